"""Runs `LRFinder.range_test` of torch-lr-finder, whose plot method returns the suggestion."""

from __future__ import annotations

import math
import os
from pathlib import Path
from unittest.mock import MagicMock

import torch

os.environ["TQDM_DISABLE"] = "1"  # before tqdm is imported
from torch_lr_finder import LRFinder

from benchmarks.range_test_speed import torch_parts
from benchmarks.range_test_speed.protocol import MAX_LR, STEPS, Found, Test, read

PACKAGES = ("torch-lr-finder", "torch")


def prepare(folder: Path) -> Test:
    images, labels = read(folder)
    batches, net = torch_parts.loader(images, labels), torch_parts.network()

    def test() -> Found:
        finder = LRFinder(
            net, torch_parts.adam(net.parameters()), torch.nn.CrossEntropyLoss(), device="cpu"
        )
        finder.range_test(batches, end_lr=MAX_LR, num_iter=STEPS, diverge_th=math.inf)
        _, rate = finder.plot(ax=MagicMock())  # drawing would only take time
        finder.reset()
        return Found(len(finder.history["lr"]), f"{rate:.3g}")

    return test
