"""Builds the network, the optimizer and a fast data loader for the tools on PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from benchmarks.range_test_speed.protocol import BATCH_SIZE, CLASSES, MIN_LR, PIXELS, THREADS, UNITS

torch.set_num_threads(THREADS)


def network() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(PIXELS, UNITS), torch.nn.ReLU(), torch.nn.Linear(UNITS, CLASSES)
    )


def adam(parameters: Any, lr: float = MIN_LR, **settings: Any) -> torch.optim.Adam:
    """Return the fused Adam, the fastest of the three in PyTorch for this network."""
    return torch.optim.Adam(parameters, lr=lr, fused=True, **settings)


def loader(images: np.ndarray, labels: np.ndarray) -> DataLoader:
    """Gather whole shuffled batches, several times faster than sample by sample."""
    data = TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    batches = BatchSampler(RandomSampler(data), BATCH_SIZE, drop_last=True)
    return DataLoader(data, sampler=batches, batch_size=None, num_workers=0)
