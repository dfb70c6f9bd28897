"""The same sweep is read from every file in which tools and people keep it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lrcycles.range_tests.recorded.histories import read_history
from lrcycles.range_tests.recorded.names import loss_rank, rate_rank
from tests.range_tests.histories import POINTS, RATES, raw_losses

LR, LOSS = RATES.tolist(), raw_losses().tolist()
VAL = raw_losses(9).tolist()
NAN = [np.nan] * POINTS
FRAME = pd.DataFrame({"lr": LR, "loss": LOSS})
STEPS = range(POINTS)


def csv(columns, **how):
    return pd.DataFrame(columns).to_csv(index=False, **how)


def alternating(names, *, extra=()):
    """A log that has the rate and the loss of a step in two rows, and a validation now and then."""
    rate, loss, validation = names
    rows = []
    for step in STEPS:
        rows += [{"step": step, rate: LR[step]}, {"step": step, "epoch": 0, loss: LOSS[step]}]
        rows += [{"step": step, "epoch": 0, validation: VAL[step]}] if step % 25 == 24 else []
    return pd.DataFrame([*rows, *extra]).to_csv(index=False)


def log_history():
    """As transformers keeps it, with the mean loss of the whole training at the end."""
    rows = []
    for step in STEPS:
        rows.append({"epoch": step / 50, "learning_rate": LR[step], "loss": LOSS[step]})
        rows[-1] |= {"step": step + 1, "grad_norm": 1.0}
        rows += [{"eval_loss": VAL[step], "step": step + 1, "epoch": 1}] if step % 50 == 49 else []
    return [*rows, {"train_loss": 9.9, "train_runtime": 1.0, "step": POINTS, "epoch": 2.0}]


def wandb_export():
    columns = {"Step": STEPS}
    for name, values in (("train/lr", LR), ("train/loss", LOSS), ("val/loss", VAL)):
        for end in ("", "__MIN", "__MAX"):
            columns[f"brave-sun-7 - {name}{end}"] = values if not end else np.array(values) * 2
    return csv(columns)


TEXTS = {
    "slash": csv({"step": STEPS, "train/lr": LR, "train/loss": LOSS, "val/loss": VAL}),
    "eval": csv({"step": STEPS, "lr": LR, "loss": LOSS, "eval/loss": VAL}),
    "tensorboard names": csv({"lr": LR, "Loss/test": VAL, "Loss/train": LOSS}),
    "validation first": csv({"valid_loss": VAL, "dev.loss": VAL, "train_loss": LOSS, "LR": LR}),
    "camel case": csv({"learningRate": LR, "trainLoss": LOSS, "valLoss": VAL}),
    "held-out": csv({"lr": LR, "held-out loss": VAL, "loss": LOSS}),
    "not rates": csv(
        {"momentum": 0.9, "weight_decay": 0.1, "dropout_rate": 0.5, "lr": LR, "base_lr": 1e-3}
        | {"loss": LOSS, "loss_scale": 65536.0}
    ),
    "a rate that stays": csv({"lr": 0.1, "lr-Adam": LR, "train_loss ": LOSS, "loss": np.nan}),
    "parts of a loss": csv({"lr": LR, "loss_cls": VAL, "loss": LOSS, "loss_box": VAL}),
    "flair": csv(
        {"EPOCH": STEPS, "TIMESTAMP": "12:00:01", "BAD_EPOCHS": 0, "LEARNING_RATE": LR}
        | {"TRAIN_LOSS": LOSS, "DEV_LOSS": VAL},
        sep="\t",
    ),
    "wandb export": wandb_export(),
    "wandb history": pd.DataFrame(
        {"_step": np.repeat(STEPS, 2), "_runtime": 1.5, "_timestamp": 1.7e9}
        | {"lr": np.stack([LR, NAN], 1).ravel(), "train/loss": np.stack([NAN, LOSS], 1).ravel()}
    ).to_csv(),
    "lightning": alternating(("lr-Adam", "train_loss", "val_loss")),
    "lightning slash": alternating(("lr-Adam", "train/loss", "val/loss")),
    "lightning step and epoch": alternating(
        ("lr-SGD/pg1", "train_loss_step", "val_loss"),
        extra=[{"epoch": 0, "step": 99, "train_loss_epoch": 1.0}],
    ),
    "lightning slash step": alternating(
        ("lr-AdamW/no_decay", "train/loss_step", "val/loss_epoch"),
        extra=[{"epoch": 0, "step": 99, "train/loss_epoch": 1.0}],
    ),
    "lightning momentum": alternating(
        ("lr-SGD", "train_loss", "val_loss"),
        extra=[
            {"step": step, "lr-SGD-momentum": 0.9, "lr-SGD-weight_decay": 0.01} for step in STEPS
        ],
    ),
    "shuffled": FRAME.rename_axis("iteration").sample(frac=1, random_state=0).to_csv(),
    "shuffled in epochs": csv(
        {"epoch": np.arange(POINTS) // 25, "batch": np.arange(POINTS) % 25, "lr": LR, "loss": LOSS}
    ),
    "last first": FRAME[::-1].to_csv(index=False),
    "decimal commas": csv(FRAME, sep=";", decimal=","),
    "decimal commas, tabs": csv(FRAME, sep="\t", decimal=","),
    "quoted decimal commas": csv(FRAME, decimal=",", quoting=1),
    "excel": "sep=;\n" + csv(FRAME, sep=";"),
    "remarks": "# by me\n# twice\n" + csv(FRAME),
    "thousands": csv({"step": [f"{100 * step:,}" for step in STEPS], "lr": LR, "loss": LOSS}),
    "numpy": "# lr loss\n" + csv(FRAME, sep=" ", header=False),
    "no names": csv(FRAME, header=False),
    "groups": csv({"lr": [f"[{rate}, {rate / 10}]" for rate in LR], "loss": LOSS}),
    "tensors": csv(
        {"lr": [f"np.float64({rate})" for rate in LR]}
        | {"loss": [f"tensor({loss}, device='cuda:0')" for loss in LOSS]}
    ),
    "json lines": FRAME.to_json(orient="records", lines=True, double_precision=15),
    "log_history": json.dumps({"best_metric": None, "log_history": log_history()}),
    "rows": json.dumps(log_history()),
    **{
        f"pandas {orient}": FRAME.to_json(orient=orient, double_precision=15)
        for orient in ("split", "records", "index", "columns", "values", "table")
    },
    **{
        name: json.dumps(content)
        for name, content in {
            "scalars beside": {
                "mode": "exponential",
                "num": 100,
                "results": {"lr": LR, "loss": LOSS},
            },
            "deeper": {"run": {"lr_find": {"results": {"lr": LR, "loss": LOSS}, "best": 3}}},
            "history": {
                "history": {"lr": LR, "loss": LOSS},
                "params": {"steps": 100},
                "epoch": [1],
            },
            "apart": {"lr": LR, "metrics": {"train": {"loss": LOSS}}},
            "validation beside": {
                "train": {"lr": LR, "loss": LOSS},
                "val": {"lr": LR, "loss": VAL},
            },
            "other lengths": {"lr": LR, "loss": LOSS, "val_loss": [1.0, 2.0], "weights": [[1.0]]},
            "weights beside": {"results": {"lr": LR, "loss": LOSS}, "weights": [[1.0, 2.0]] * 30},
            "groups of rates": {"lr": [[rate, rate / 10] for rate in LR], "loss": LOSS},
            "one group": {"lr": [[rate] for rate in LR], "loss": [[loss] for loss in LOSS]},
            "two lists": [LR, LOSS],
            "named rows": [["lr", "loss"], *zip(LR, LOSS, strict=True)],
            "rows with metrics": [
                {"lr": rate, "metrics": {"loss": loss, "val_loss": 1.0}}
                for rate, loss in zip(LR, LOSS, strict=True)
            ],
            "text": {"lr": list(map(str, LR)), "loss": list(map(str, LOSS))},
        }.items()
    },
}
BYTES = {
    "utf-16": csv(FRAME, sep="\t").encode("utf-16"),
    "latin": csv({"lr": LR, "loss": LOSS, "größe": 1}).encode("latin-1"),
    "gz": gzip.compress(csv(FRAME).encode()),
    "bz2": bz2.compress(json.dumps({"lr": LR, "loss": LOSS}).encode()),
}


def curve_of(path, **how):
    (curve,) = read_history(path, **how).curves.by_seed()
    return curve


@pytest.mark.parametrize("name", [*TEXTS, *BYTES])
def test_the_rates_and_the_training_losses_are_found(tmp_path, name):
    path = tmp_path / "history"
    path.write_bytes(BYTES[name] if name in BYTES else TEXTS[name].encode())
    curve = curve_of(path)
    assert_allclose(curve.lr, LR)
    assert_allclose(curve.loss, LOSS)


def test_parquet_may_have_the_rates_as_its_index(tmp_path):
    FRAME.set_index("lr").to_parquet(tmp_path / "history")
    assert_allclose(curve_of(tmp_path / "history").loss, LOSS)


def test_a_pipe_is_read_once(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(csv(FRAME).encode())))
    assert_allclose(curve_of("-").loss, LOSS)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"a": {"lr": LR, "loss": LOSS}, "b": {"lr": LR, "loss": VAL}}, "a (0), b (1)"),
        ([{"lr": LR, "loss": LOSS}, {"lr": LR, "loss": VAL}], None),
        ({"seeds": {"0": {"lr": LR, "loss": LOSS}, "1": {"lr": LR, "loss": VAL}}}, None),
        (
            csv(
                {"Step": STEPS, "x - lr": LR, "x - loss": LOSS, "y - loss": VAL, "y - lr": LR}
                | {"x - loss__MIN": VAL}
            ),
            "x (0), y (1)",
        ),
        (csv({"run": ["p"] * POINTS + ["q"] * POINTS, "lr": LR * 2, "loss": LOSS + VAL}), "p (0)"),
    ],
    ids=["names", "list", "numbers", "wandb runs", "column of names"],
)
def test_several_sweeps_are_seeds_and_a_note_lists_their_names(tmp_path, content, names):
    path = tmp_path / "history"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    history = read_history(path)
    first, second = history.curves.by_seed()
    assert_allclose(first.loss, LOSS)
    assert_allclose(second.loss, VAL)
    assert names is None or names in history.curves.notes[0]


def test_of_several_rates_one_is_read_and_a_note_tells_how_to_choose(tmp_path):
    path = tmp_path / "metrics.csv"
    columns = {"step": STEPS, "epoch": 0, "lr-Adam": LR, "lr-SGD": np.array(LR) / 10, "loss": LOSS}
    path.write_text(csv({**columns, "lr-Frozen": 1e-5}))
    (note,) = read_history(path).curves.notes
    assert "lr-Adam, lr-SGD. lrcycles reads lr-Adam" in note
    assert "--lr-column" in note
    chosen = read_history(path, lr_column="lr-SGD")
    assert chosen.curves.notes == []
    assert_allclose(chosen.curves.table["lr"], np.array(LR) / 10)


def test_the_user_names_columns_that_no_rule_finds(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(csv({"speed": LR, "train_loss": VAL, "loss": VAL, "cost": LOSS}))
    assert_allclose(curve_of(path, lr_column="speed", loss_column="cost").loss, LOSS)
    path.write_text(json.dumps({"out": {"speed": LR, "cost": LOSS, "n": 3}}))
    assert_allclose(curve_of(path, lr_column="speed", loss_column="cost").loss, LOSS)


@pytest.mark.parametrize("name", ["train_loss_epoch", "smooth_loss"])
def test_a_note_names_a_loss_that_may_not_be_of_each_step(tmp_path, name):
    path = tmp_path / "log.csv"
    path.write_text(csv({"lr": LR, name: LOSS}))
    (note,) = read_history(path).curves.notes
    assert note.startswith(f"lrcycles reads {name}")
    assert read_history(path, loss_column=name).curves.notes == []


def test_two_scalars_of_tensorboard_are_joined_by_their_steps(tmp_path):
    for name, values in (("loss", LOSS), ("rate", LR)):
        table = {"Wall time": 1.7e9, "Step": STEPS, "Value": values}
        (tmp_path / f"{name}.csv").write_text(csv(table))
    curve = curve_of(tmp_path / "loss.csv", rates=tmp_path / "rate.csv")
    assert_allclose(curve.lr, LR)
    assert_allclose(curve.loss, LOSS)


def test_each_loss_has_the_last_rate_where_steps_do_not_match(tmp_path):
    rows = []
    for step in STEPS:  # the rate is logged one step before the loss
        rows += [{"step": 2 * step, "lr": LR[step]}, {"step": 2 * step + 1, "loss": LOSS[step]}]
    (tmp_path / "log.csv").write_text(csv(rows))
    history = read_history(tmp_path / "log.csv")
    assert "Each loss has the last rate before it" in history.curves.notes[0]
    assert_allclose(history.curves.table["loss"], LOSS)


@pytest.mark.parametrize("missing", ["nan", "", "None", "NA"])
def test_a_skipped_step_is_left_out_and_counted(tmp_path, missing):
    lines = csv(FRAME).splitlines()
    for point in (3, 50):
        lines[point + 1] = lines[point + 1].partition(",")[0] + f",{missing}"
    (tmp_path / "log.csv").write_text("\n".join(lines))
    history = read_history(tmp_path / "log.csv")
    assert history.curves.notes[0].startswith("2 steps are left out")
    assert_allclose(history.curves.table["loss"], np.delete(LOSS, [3, 50]))
    assert history.curves.table["step"].tolist() == list(range(1, POINTS - 1))


def test_a_log_that_ends_with_losses_of_nan_keeps_their_rates(tmp_path):
    lines = alternating(("lr-Adam", "train_loss", "val_loss")).splitlines()
    steps = [line.split(",") for line in lines]
    for cells in steps[-11:]:
        cells[3] = "nan" if cells[3] else ""
    (tmp_path / "metrics.csv").write_text("\n".join(map(",".join, steps)))
    curve = curve_of(tmp_path / "metrics.csv")
    assert_allclose(curve.lr, LR)
    assert np.isnan(curve.loss).sum() == 5


def test_steps_of_the_same_rate_are_one_point_with_their_mean_loss(tmp_path):
    losses = np.repeat(LOSS, 2) + np.tile([0.25, -0.25], POINTS)
    (tmp_path / "log.csv").write_text(csv({"lr": np.repeat(LR, 2), "loss": losses}))
    history = read_history(tmp_path / "log.csv")
    assert "100 steps have the rate of the step before" in history.curves.notes[0]
    assert_allclose(history.curves.table["lr"], LR)
    assert_allclose(history.curves.table["loss"], LOSS)


def test_a_warm_up_from_zero_starts_at_the_first_rate_above_it(tmp_path):
    (tmp_path / "log.csv").write_text(csv({"lr": [0.0, *LR], "loss": [2.3, *LOSS]}))
    assert_allclose(curve_of(tmp_path / "log.csv").lr, LR)


RATE_NAMES = ["lr", "LR", "lrs", "learning_rate", "Learning Rate", "train/lr", "rate", "lr/raw"]
GROUP_NAMES = ["lr-Adam", "lr-Adam-1", "lr-SGD/pg1", "lr/group0", "lr0", "lr-AdamW/no_decay"]
OTHER_NAMES = ["lr-SGD-momentum", "lr-SGD-weight_decay", "lr-Adam-betas", "error_rate", "min_lr"]
OTHER_NAMES += ["dropout_rate", "lr_mult", "max_learning_rate", "val_lr", "step", "clr", ""]


def test_rates_are_distinguished_from_groups_and_from_other_numbers():
    assert [rate_rank(name) for name in RATE_NAMES] == [0] * len(RATE_NAMES)
    assert [rate_rank(name) for name in GROUP_NAMES] == [1] * len(GROUP_NAMES)
    assert [rate_rank(name) for name in OTHER_NAMES] == [None] * len(OTHER_NAMES)


LOSS_NAMES = {
    0: ["train_loss_step", "train/loss_step", "batch_loss", "loss/iter"],
    1: ["loss", "Loss", "train_loss", "train/loss", "Train Loss", "loss-train", "total_loss"],
    2: ["train_loss_epoch", "avg_loss", "epoch/loss"],
    3: ["loss_cls", "smooth_loss", "g_loss"],
    None: ["val_loss", "val/loss", "valid.loss", "validation-loss", "eval_loss", "test/loss", ""],
}
NO_TRAINING = ["dev_loss", "Loss/val", "heldout_loss", "held_out_loss", "valloss", "lossless"]


def test_training_losses_are_distinguished_from_losses_on_other_data():
    for rank, names in [*LOSS_NAMES.items(), (None, NO_TRAINING)]:
        assert {name: loss_rank(name) for name in names} == dict.fromkeys(names, rank)
