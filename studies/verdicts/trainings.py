"""Draws trainings with a known truth: seeds, test images with a difficulty, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lrcycles.cells.result import CellResult, ScheduleResult
from lrcycles.evidence.arms import Arm

IMAGES = 10_000
HARD = 0.04  # share of the images that are ever wrong; half of the time, which makes 2 % errors
SEED_SPREAD = 0.02  # of a training's error, as a share of it

CELL = CellResult(
    group="controls",
    arm="",
    seed=0,
    key="",
    status="finished",
    schedule=ScheduleResult(name="constant"),
    optimizer={"name": "adam"},
    model={"function": "lrcycles.models:mlp"},
    classes=10,
    epochs=10,
    batch_size=200,
    training_set="split",
    images=55_000,
    data="",
    test_error_percent=None,
    test_loss=None,
    validation_error_percent=None,
    validation_loss=None,
    train_seconds=1.0,
    compile_seconds=0.0,
    evaluate_seconds=0.0,
    steps=2750,
    steps_per_second=None,
    device="cpu",
    device_name="",
    threads=1,
    side_by_side=1,
    backend="tensorflow",
    precision="float32",
    compile="graph",
    versions={},
    history=[],
)


@dataclass(frozen=True)
class World:
    """The truth about two arms, of which a test set and some seeds are drawn.

    Attributes:
        effect: mean error of the arm minus that of the other, in percentage points, over all seeds
            and all images.
        images_error: standard error of a measured difference that the test images cause, in points.
        failing: probability that a run of the arm, and of the other, fails.
    """

    effect: float = 0.0
    images_error: float = 0.0
    failing: tuple[float, float] = (0.0, 0.0)


def draw_arms(rng: np.random.Generator, world: World, seeds: int) -> dict[str, Arm]:
    """Draw a test set, then the trainings of an arm and of the other.

    An image is wrong with a probability of its own, which differs between the arms by a random
    part with mean 0. Every training makes all its images a little easier or harder.
    """
    hard = rng.random(IMAGES) < HARD
    difficulty = rng.choice([0.2, 0.8], hard.sum())
    side = rng.choice([-1.0, 1.0], hard.sum())
    part = world.images_error / 100 * np.sqrt(IMAGES / HARD) / 2 * side
    shift = world.effect / 100 / HARD / 2
    arms = {}
    for name, sign, failing in zip(("arm", "other"), (1, -1), world.failing, strict=True):
        ease = 1 + SEED_SPREAD * rng.standard_normal((seeds, 1))
        chance = difficulty * ease + sign * (part + shift)
        mistakes = np.zeros((seeds, IMAGES), bool)
        mistakes[:, hard] = rng.random(chance.shape) < chance
        arms[name] = make_arm(name, mistakes, failed=rng.random(seeds) < failing)
    return arms


def make_arm(
    name: str,
    mistakes: NDArray[np.bool_],
    *,
    seeds: Sequence[int] | None = None,
    failed: Sequence[bool] | NDArray[np.bool_] = (),
    settings: CellResult = CELL,
) -> Arm:
    """Make an arm of trainings whose mistakes are known; a failed one diverged.

    Args:
        mistakes: shape (seeds, images).
    """
    own = range(len(mistakes)) if seeds is None else seeds
    lost = {seed for seed, one in zip(own, failed, strict=False) if one}
    cells = {
        seed: replace(
            settings,
            arm=name,
            seed=seed,
            key=f"{name} {seed}",
            status="diverged" if seed in lost else "finished",
            test_error_percent=None if seed in lost else 100 * float(wrong.mean()),
            test_images=len(wrong),
        )
        for seed, wrong in zip(own, mistakes, strict=True)
    }
    bits = {seed: one for seed, one in zip(own, mistakes, strict=True) if seed not in lost}
    return Arm(name, "controls", cells, [], bits)


def first_seeds(arms: Mapping[str, Arm], seeds: int) -> dict[str, Arm]:
    """Keep the first seeds of every arm, as an earlier look sees them."""
    return {
        name: replace(arm, cells=dict(islice(arm.cells.items(), seeds)))
        for name, arm in arms.items()
    }
