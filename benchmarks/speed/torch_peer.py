"""Trains with PyTorch.

Variants that were measured on one core of an AMD EPYC with AVX-512:

- LeNet at batch 512, ms of CPU per step: eager 223, with channels_last 118; network and loss
  compiled 152, with channels_last 145; the whole step compiled as one function of its parameters
  (torch.func) 211, with channels_last 199; max-autotune 182.
- MLP at batch 200, seconds of CPU per epoch: eager 2.15; network and loss compiled 2.12; the step
  of the optimizer compiled as well 2.25; the whole step as one function 2.15.
- Adam, MLP at batch 200 on two cores: fused 3.9 ms per step, foreach 4.9 ms.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from benchmarks.speed.tasks import CLASSES, Data, Prepared, Task

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _network(name: str) -> nn.Module:
    if name == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 784), nn.ReLU(), nn.Linear(784, CLASSES))
    return nn.Sequential(
        nn.Conv2d(1, 20, 5),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 500),
        nn.ReLU(),
        nn.Linear(500, CLASSES),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def torch_eager(task: Task, data: Data, threads: int) -> Prepared:
    """Train on tensors in memory, without a DataLoader, which would collect single images."""
    return _prepare(task, data, threads, lambda loss: loss)


def torch_compile(task: Task, data: Data, threads: int) -> Prepared:
    """Train as `torch_eager`, with network and loss compiled by Inductor."""
    return _prepare(task, data, threads, torch.compile)


def _prepare(task: Task, data: Data, threads: int, compiled: Callable[[Loss], Loss]) -> Prepared:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = _network(task.network)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    x, y = torch.from_numpy(data.x).unsqueeze(1), torch.from_numpy(data.y).long()
    x_test, y_test = torch.from_numpy(data.x_test).unsqueeze(1), torch.from_numpy(data.y_test)
    used = task.steps(len(y)) * task.batch_size

    @compiled
    def loss_of(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(network(images), labels)

    def train_epoch() -> None:
        for batch in torch.randperm(len(y))[:used].split(task.batch_size):
            optimizer.zero_grad()
            loss_of(x[batch], y[batch]).backward()
            optimizer.step()

    @torch.no_grad()
    def accuracy() -> float:
        return float((network(x_test).argmax(1) == y_test).float().mean())

    return Prepared(train_epoch, accuracy)
