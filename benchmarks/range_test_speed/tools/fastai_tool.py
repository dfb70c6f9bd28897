"""Runs `Learner.lr_find` of fastai, which writes the model to a file and reads it back."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import fastai.callback.schedule  # noqa: F401  # adds lr_find to Learner
import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper

from benchmarks.range_test_speed import torch_parts
from benchmarks.range_test_speed.protocol import MAX_LR, MIN_LR, STEPS, Found, Test, read

PACKAGES = ("fastai", "torch")


def prepare(folder: Path) -> Test:
    images, labels = read(folder)
    batches = torch_parts.loader(images, labels)
    learner = Learner(
        DataLoaders(batches, batches, device="cpu"),
        torch_parts.network(),
        loss_func=torch.nn.CrossEntropyLoss(),
        # PyTorch's Adam is faster than fastai's, which updates weight by weight in Python.
        opt_func=partial(OptimWrapper, opt=torch_parts.adam),
        path=tempfile.mkdtemp(),
    )

    def test() -> Found:
        with learner.no_bar():
            suggestion = learner.lr_find(MIN_LR, MAX_LR, STEPS, stop_div=False, show_plot=False)
        return Found(len(learner.recorder.lrs), f"{suggestion.valley:.3g}")

    return test
