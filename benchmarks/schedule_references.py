"""Computes rates of other packages with which the schedules of lrcycles must agree.

    pip install torch optax transformers                # in an environment of its own
    python benchmarks/schedule_references.py            # writes the file
    python benchmarks/schedule_references.py --check    # compares; exit status 1 if rates differ

The file is tests/references/schedule_references.json. For each source it holds the rates of 10,000
random settings (2,000 of those with a warm-up), at one random step each. In a quarter of the cases
the step is at or next to a turning point of the schedule. The settings are not in the file; they
follow from a seed. The file also holds two weights after each update of PyTorch's optimizers with a
cycling momentum.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

FILE = Path(__file__).parents[1] / "tests/references/schedule_references.json"
SETTINGS, WARM_SETTINGS = 10_000, 2_000
TINY = 1e-30  # stands for a rate of 0
TOLERANCE = 2e-7  # the file holds 32 bits
Setting = dict[str, Any]

# A quadratic loss of two weights, ten times steeper in one of them, and the cycle of momentum.
START, CURVATURE, UPDATES = (1.0, -2.0), (1.0, 10.0), 50
MOMENTUM = {"base_momentum": 0.85, "max_momentum": 0.95}
SGD_RATE, SGD_STEP_SIZE = 0.01, 10
ONE_CYCLE = {"max_lr": 0.1, "total_steps": UPDATES, "pct_start": 0.3, "div_factor": 10.0}
ONE_CYCLE |= {"final_div_factor": 100.0}
OPTIMIZERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"momentum": 0.95}),
    "nesterov": ("SGD", {"momentum": 0.95, "nesterov": True}),
    # PyTorch and Keras add epsilon in different places; 1e-12 is too small to matter.
    "adam": ("Adam", {"eps": 1e-12}),
    "adamw": ("AdamW", {"eps": 1e-12, "weight_decay": 0.1}),
    "nadam": ("NAdam", {"eps": 1e-12, "momentum_decay": 1.0}),  # the only decay that Keras has
}


def log_uniform(rng: Random, low: float, high: float) -> float:
    return float(math.exp(math.log(low) + rng.random() * math.log(high / low)))


def whole(rng: Random, low: int, high: int) -> int:
    return low + int(rng.random() * (high - low + 1))


def some_step(rng: Random, last: int, turns: list[int]) -> int:
    """Draw a step from 0 to `last`, in a quarter of the cases at or next to one of `turns`."""
    if rng.random() < 0.75:
        return whole(rng, 0, last)
    return min(last, max(0, turns[whole(rng, 0, len(turns) - 1)] + whole(rng, -1, 1)))


def draw_cyclic(rng: Random) -> Setting:
    base_lr = log_uniform(rng, 1e-6, 1e-1)
    up, down = whole(rng, 1, 2000), whole(rng, 1, 2000)
    return {
        "mode": ("triangular", "triangular2", "exp_range")[whole(rng, 0, 2)],
        "base_lr": base_lr,
        "max_lr": base_lr * log_uniform(rng, 1.1, 100),
        "up": up,
        "down": down,
        "gamma": 1 - log_uniform(rng, 1e-6, 1e-2),
        "step": some_step(rng, 5 * (up + down), [up, up + down, 3 * (up + down)]),
    }


def draw_one_cycle(rng: Random) -> Setting:
    total = whole(rng, 50, 3000)
    three = rng.random() < 0.5
    share = 0.05 + (0.4 if three else 0.9) * rng.random()
    return {
        "max_lr": log_uniform(rng, 1e-4, 10),
        "total_steps": total,
        "share": share,
        "three_phase": three,
        "shape": ("linear", "cosine")[whole(rng, 0, 1)],
        "div": log_uniform(rng, 2, 50),
        "final_div": log_uniform(rng, 10, 1e5),
        "step": some_step(rng, total - 1, [int(share * total), int(2 * share * total), total - 1]),
    }


def draw_restarts(rng: Random) -> Setting:
    max_lr = log_uniform(rng, 1e-4, 10)
    first, factor = whole(rng, 1, 40), whole(rng, 1, 3)
    return {
        "max_lr": max_lr,
        "base_lr": max_lr * log_uniform(rng, 1e-5, 0.5),
        "first": first,
        "factor": factor,
        "step": some_step(rng, 150, [first, first + first * factor]),
    }


def draw_optax(rng: Random) -> Setting:
    total = whole(rng, 10, 3000)
    kinds = ("linear", "cosine", "step_decay", "one_cycle_linear", "one_cycle_cosine")
    return {
        "kind": kinds[whole(rng, 0, len(kinds) - 1)],
        "max_lr": log_uniform(rng, 1e-4, 10),
        "low": log_uniform(rng, 1e-2, 0.5),  # as a share of max_lr
        "total_steps": total,
        "rise": 0.1 + 0.3 * rng.random(),
        "fall_end": 0.5 + 0.4 * rng.random(),
        "div": log_uniform(rng, 2, 50),
        "final_div": log_uniform(rng, 10, 1e5),
        "step": some_step(rng, total + 10, [0, total // 2, total]),
    }


def draw_warmup(kinds: tuple[str, ...]) -> Callable[[Random], Setting]:
    """Return a function that draws a schedule after a warm-up of 1 to a few hundred steps."""

    def draw(rng: Random) -> Setting:
        total = whole(rng, 10, 400)
        warmup = whole(rng, 1, total - 5)
        decay = whole(rng, 1, total - warmup)
        return {
            "kind": kinds[whole(rng, 0, len(kinds) - 1)],
            "max_lr": log_uniform(rng, 1e-4, 10),
            "low": log_uniform(rng, 1e-2, 0.5),  # as a share of max_lr
            "total_steps": total,
            "warmup": warmup,
            "decay": decay,
            "first": whole(rng, 1, 40),
            "factor": whole(rng, 1, 3),
            "step": some_step(rng, total, [0, warmup, total - decay, total]),
        }

    return draw


def torch_cyclic(s: Setting) -> float:
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CyclicLR(
        optimizer,
        base_lr=s["base_lr"],
        max_lr=s["max_lr"],
        step_size_up=s["up"],
        step_size_down=s["down"],
        mode=s["mode"],
        gamma=s["gamma"],
        cycle_momentum=False,
    )
    return _rate_at(scheduler, s["step"])


def torch_one_cycle(s: Setting) -> float:
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=s["max_lr"],
        total_steps=s["total_steps"],
        pct_start=s["share"],
        anneal_strategy="cos" if s["shape"] == "cosine" else "linear",
        cycle_momentum=False,
        div_factor=s["div"],
        final_div_factor=s["final_div"],
        three_phase=s["three_phase"],
    )
    return _rate_at(scheduler, s["step"])


def torch_restarts(s: Setting) -> float:
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=s["max_lr"])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, T_0=s["first"], T_mult=s["factor"], eta_min=s["base_lr"]
    )
    # Step by step: a jump uses a logarithm and ends in the wrong cycle at some restarts.
    for _ in range(s["step"]):
        scheduler.step()
    return float(optimizer.param_groups[0]["lr"])


def optax_rate(s: Setting) -> float:
    import optax

    top, total = s["max_lr"], s["total_steps"]
    schedule = {
        "linear": lambda: optax.linear_schedule(top, top * s["low"], total),
        "cosine": lambda: optax.cosine_decay_schedule(top, total, alpha=s["low"]),
        "step_decay": lambda: optax.exponential_decay(top, total // 5, s["low"], staircase=True),
        "one_cycle_linear": lambda: optax.linear_onecycle_schedule(
            total, top, s["rise"], s["fall_end"], s["div"], s["final_div"]
        ),
        "one_cycle_cosine": lambda: optax.cosine_onecycle_schedule(
            total, top, s["rise"], s["div"], s["final_div"]
        ),
    }[s["kind"]]()
    return float(schedule(s["step"]))


def torch_warmup(s: Setting) -> float:
    """Join a LinearLR and the schedule with PyTorch's SequentialLR."""
    import torch

    top, after = s["max_lr"], s["total_steps"] - s["warmup"]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=top)
    lr = torch.optim.lr_scheduler
    schedule: Any = {
        "constant": lambda: lr.ConstantLR(optimizer, factor=1.0),
        "linear": lambda: lr.LinearLR(optimizer, 1.0, s["low"], total_iters=after),
        "cosine": lambda: lr.CosineAnnealingLR(optimizer, T_max=after, eta_min=top * s["low"]),
        "restarts": lambda: lr.CosineAnnealingWarmRestarts(
            optimizer, T_0=s["first"], T_mult=s["factor"], eta_min=top * s["low"]
        ),
        "step_decay": lambda: lr.StepLR(optimizer, step_size=s["first"], gamma=s["low"]),
    }[s["kind"]]()
    rise = lr.LinearLR(optimizer, 1 / (s["warmup"] + 1), 1.0, total_iters=s["warmup"])
    scheduler = lr.SequentialLR(optimizer, [rise, schedule], milestones=[s["warmup"]])
    for _ in range(s["step"]):
        scheduler.step()
    return float(optimizer.param_groups[0]["lr"])


def optax_warmup(s: Setting) -> float:
    """Join a linear schedule and the schedule with optax.join_schedules."""
    import optax

    top, low = s["max_lr"], s["max_lr"] * s["low"]
    warmup, total = s["warmup"], s["total_steps"]
    rise = optax.linear_schedule(top / (warmup + 1), top, warmup)
    if s["kind"] == "warmup_cosine":
        whole_run = optax.warmup_cosine_decay_schedule(top / (warmup + 1), top, warmup, total, low)
        return float(whole_run(s["step"]))
    if s["kind"] == "stable":
        stable, fall = optax.constant_schedule(top), optax.linear_schedule(top, low, s["decay"])
        joined = optax.join_schedules([rise, stable, fall], [warmup, total - s["decay"]])
        return float(joined(s["step"]))
    peak = optax.linear_schedule(low, top, s["first"])
    fall = optax.linear_schedule(top, low, s["first"])
    cycle = optax.join_schedules([peak, fall], [s["first"]])
    rise = optax.linear_schedule(low / (warmup + 1), low, warmup)
    cycles = [cycle] * (total // (2 * s["first"]) + 1)
    ends = [warmup + 2 * k * s["first"] for k in range(len(cycles))]
    return float(optax.join_schedules([rise, *cycles], ends)(s["step"]))


def transformers_warmup(s: Setting) -> float:
    """Compute the rate of Hugging Face one step later, for a warm-up and a run one step longer.

    Its first update has a rate of 0, which lrcycles leaves out.
    """
    import torch
    from transformers import optimization as hf

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=s["max_lr"])
    warmup, total, step = s["warmup"] + 1, s["total_steps"] + 1, s["step"] + 1
    stable = {
        "num_warmup_steps": warmup,
        "num_training_steps": total,
        "num_decay_steps": s["decay"],
        # Its warm-up begins at this share of the rate, too.
        "min_lr_ratio": s["low"] if step > warmup else 0.0,
    }
    scheduler = {
        "constant": lambda: hf.get_constant_schedule_with_warmup(optimizer, warmup),
        "linear_to_0": lambda: hf.get_linear_schedule_with_warmup(optimizer, warmup, total),
        "cosine_to_0": lambda: hf.get_cosine_schedule_with_warmup(optimizer, warmup, total),
        "inverse_sqrt": lambda: hf.get_inverse_sqrt_schedule(optimizer, warmup, s["first"]),
        "stable": lambda: hf.get_wsd_schedule(optimizer, decay_type="linear", **stable),
        "stable_sqrt": lambda: hf.get_wsd_schedule(optimizer, decay_type="1-sqrt", **stable),
    }[s["kind"]]()
    return _rate_at(scheduler, step)


SOURCES: Mapping[str, tuple[Callable[[Random], Setting], Callable[[Setting], float]]] = {
    "torch_cyclic": (draw_cyclic, torch_cyclic),
    "torch_one_cycle": (draw_one_cycle, torch_one_cycle),
    "torch_restarts": (draw_restarts, torch_restarts),
    "optax": (draw_optax, optax_rate),
    "torch_warmup": (
        draw_warmup(("constant", "linear", "cosine", "restarts", "step_decay")),
        torch_warmup,
    ),
    "optax_warmup": (draw_warmup(("warmup_cosine", "stable", "triangular")), optax_warmup),
    "transformers_warmup": (
        draw_warmup(
            ("constant", "linear_to_0", "cosine_to_0", "inverse_sqrt", "stable", "stable_sqrt")
        ),
        transformers_warmup,
    ),
}


def settings(source: str) -> list[Setting]:
    """Draw the random settings of a source, the same on every machine."""
    rng = Random(list(SOURCES).index(source))  # Python promises that Random.random() never changes
    count = WARM_SETTINGS if source.endswith("_warmup") else SETTINGS
    return [SOURCES[source][0](rng) for _ in range(count)]


def read_rates(source: str) -> np.ndarray:
    """Read the rates of the committed file, in the order of `settings`."""
    return _unpack(json.loads(FILE.read_text(encoding="utf-8"))["rates"][source])


def read_weights(optimizer: str) -> np.ndarray:
    """Read the two weights after each update, shape (UPDATES, 2)."""
    return np.array(json.loads(FILE.read_text(encoding="utf-8"))["weights"][optimizer])


def torch_weights(name: str) -> list[list[float]]:
    """Train the two weights while momentum cycles; return them after each update."""
    import torch

    kind, arguments = OPTIMIZERS[name]
    weights = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, kind)([weights], lr=SGD_RATE, **arguments)
    if kind == "SGD":  # constant rate: PyTorch applies it to the velocity, Keras to the gradient
        scheduler: Any = torch.optim.lr_scheduler.CyclicLR(
            optimizer, base_lr=SGD_RATE, max_lr=SGD_RATE, step_size_up=SGD_STEP_SIZE, **MOMENTUM
        )
    else:
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, **ONE_CYCLE, **MOMENTUM)
    path = []
    for update in range(UPDATES):
        weights.grad = torch.tensor(CURVATURE, dtype=torch.float64) * weights.detach()
        optimizer.step()
        if update < UPDATES - 1:
            scheduler.step()
        path.append([round(w, 10) for w in weights.tolist()])
    return path


def compute() -> dict[str, Any]:
    """Compute all references with the other packages."""
    import jax
    import optax
    import torch
    import transformers

    jax.config.update("jax_enable_x64", True)
    warnings.filterwarnings("ignore", message=".*`lr_scheduler.step\\(\\)` before.*")
    rates = {source: [SOURCES[source][1](s) for s in settings(source)] for source in SOURCES}
    return {
        "made_by": {each.__name__: each.__version__ for each in (torch, optax, transformers)},
        "rates": {source: _pack(values) for source, values in rates.items()},
        "weights": {name: torch_weights(name) for name in OPTIMIZERS},
    }


def _rate_at(scheduler: Any, step: int) -> float:
    """Jump to a step; these schedulers compute the rate from `last_epoch` alone."""
    if step:
        scheduler.last_epoch = step - 1
        scheduler.step()
    return float(scheduler.optimizer.param_groups[0]["lr"])


def _pack(values: list[float]) -> str:
    return base64.b64encode(np.array(values, "<f4").tobytes()).decode()


def _unpack(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare and write no file")
    check = parser.parse_args().check
    fresh = compute()
    if not check:
        FILE.write_text(json.dumps(fresh, indent=1) + "\n", encoding="utf-8")
        return 0
    differs = False
    for source in SOURCES:
        values, committed = _unpack(fresh["rates"][source]), read_rates(source)
        deviation = np.max(np.abs(values - committed) / np.maximum(np.abs(committed), TINY))
        print(f"{source}: {len(values)} settings, largest relative difference {deviation:.1e}")
        differs |= bool(deviation > TOLERANCE)
    for name in OPTIMIZERS:
        deviation = np.max(np.abs(np.array(fresh["weights"][name]) - read_weights(name)))
        print(f"weights under {name}: largest difference {deviation:.1e}")
        differs |= bool(deviation > TOLERANCE)
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
