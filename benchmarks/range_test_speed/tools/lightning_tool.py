"""Runs `Tuner.lr_find` of Lightning, which always saves and restores a checkpoint."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.tuner import Tuner

from benchmarks.range_test_speed import torch_parts
from benchmarks.range_test_speed.protocol import MAX_LR, MIN_LR, STEPS, Found, Test, read

PACKAGES = ("lightning", "torch")


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.lr = MIN_LR
        self.net = torch_parts.network()

    def training_step(self, batch: Any) -> torch.Tensor:
        images, labels = batch
        return torch.nn.functional.cross_entropy(self.net(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch_parts.adam(self.parameters(), self.lr)


def prepare(folder: Path) -> Test:
    images, labels = read(folder)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    batches, checkpoints = torch_parts.loader(images, labels), tempfile.mkdtemp()

    def test() -> Found:
        trainer = Trainer(
            accelerator="cpu",
            default_root_dir=checkpoints,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        finder = Tuner(trainer).lr_find(
            Net(),
            batches,
            min_lr=MIN_LR,
            max_lr=MAX_LR,
            num_training=STEPS,
            early_stop_threshold=None,
        )
        assert finder is not None
        return Found(len(finder.results["lr"]), f"{finder.suggestion():.3g}")

    return test
