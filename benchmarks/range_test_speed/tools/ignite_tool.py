"""Runs `FastaiLRFinder` of ignite, which saves model and optimizer to a file and restores them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from ignite.engine import create_supervised_trainer
from ignite.handlers import FastaiLRFinder

from benchmarks.range_test_speed import torch_parts
from benchmarks.range_test_speed.protocol import MAX_LR, MIN_LR, STEPS, Found, Test, read

PACKAGES = ("pytorch-ignite", "torch")


def prepare(folder: Path) -> Test:
    images, labels = read(folder)
    batches, net = torch_parts.loader(images, labels), torch_parts.network()
    optimizer = torch_parts.adam(net.parameters())
    trainer = create_supervised_trainer(net, optimizer, torch.nn.CrossEntropyLoss(), device="cpu")
    kept: dict[str, Any] = {"model": net, "optimizer": optimizer}

    def test() -> Found:
        finder = FastaiLRFinder()
        with finder.attach(
            trainer,
            kept,
            start_lr=MIN_LR,
            end_lr=MAX_LR,
            num_iter=STEPS,
            diverge_th=math.inf,
        ) as running:
            running.run(batches)
        rate = finder.lr_suggestion()
        return Found(len(finder.get_results()["lr"]), f"{rate:.3g}")

    return test
