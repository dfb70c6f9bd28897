"""Histories of range tests as other tools write them."""

from __future__ import annotations

import json

import numpy as np

POINTS = 100
RATES = np.geomspace(1e-7, 10.0, POINTS)


def raw_losses(seed=0, noise=0.1):
    exponent = np.log10(RATES)
    loss = 2.3 - 2 / (1 + np.exp(-(exponent + 2) / 0.3)) + 10 ** (2 * exponent)
    return loss + noise * np.random.default_rng(seed).normal(size=POINTS)


def as_json(folder, content, name="history.json"):
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def lightning_log(*, every=1):
    """What CSVLogger writes: a call of LearningRateMonitor's, then one of the module's own."""
    rows = ["epoch,lr-Adam,step,train_loss,val_loss"]
    for step, (rate, loss) in enumerate(zip(RATES, raw_losses(), strict=True)):
        rows += [f",{rate},{step * every},,", f"0,,{step * every},{loss},"]
    return [*rows, f"0,,{step * every + 7},,1.5"]
