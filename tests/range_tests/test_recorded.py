"""The history of a range test is read correctly, whichever tool wrote it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lrcycles.bounds.peers import PEER_RULES
from lrcycles.range_tests.recorded import averages
from lrcycles.range_tests.recorded.histories import read_history
from tests.range_tests.histories import POINTS, RATES, as_json, lightning_log, raw_losses


def lightning_rates():
    """As Lightning's own schedule gives them: the first, then from the third on."""
    steps = np.array([0, *range(2, POINTS + 1)])
    return 1e-7 * 1e8 ** (steps / POINTS)


def one_curve(history):
    (curve,) = history.curves.by_seed()
    return curve


TOOLS = {
    "torch-lr-finder or ignite": (("lr", "loss"), "torch_lr_finder", RATES),
    "Lightning": (("lr", "loss"), "lightning", lightning_rates()),
    "fastai or ktrain": (("lrs", "losses"), "valley", RATES),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("seed", range(3))
def test_a_tools_history_is_recognised_and_its_average_undone(tmp_path, tool, seed):
    (lr, loss), rule, rates = TOOLS[tool]
    raw = raw_losses(seed)
    seen = PEER_RULES[rule].tool.records(raw)
    rates = rates[: len(seen)]
    path = as_json(tmp_path, {lr: rates.tolist(), loss: seen.tolist()})
    history = read_history(path)
    assert str(history) == f"{tool} history, {len(seen)} points, smoothed (undone)"
    assert_allclose(one_curve(history).lr, rates)
    assert_allclose(one_curve(history).loss, raw[: len(seen)], atol=1e-3)


def test_fastais_history_is_distinguished_from_torch_lr_finders_by_its_start(tmp_path):
    right = 0
    for seed in range(20):
        for average, name in ((averages.FASTAI, "fastai"), (averages.LR_FINDER, "torch")):
            loss = average.smooth(raw_losses(seed)).tolist()
            path = as_json(tmp_path, {"lr": RATES.tolist(), "loss": loss})
            right += read_history(path).source.startswith(name)
    assert right >= 36  # nine in ten


@pytest.mark.parametrize("noise", [0.05, 0.1, 0.3])
def test_raw_losses_stay_as_they_are(tmp_path, noise):
    raw = raw_losses(noise=noise)
    path = as_json(tmp_path, {"lr": RATES.tolist(), "loss": raw.tolist()})
    history = read_history(path)
    assert str(history) == "history of rates and losses, 100 points, raw losses"
    assert_allclose(one_curve(history).loss, raw)


def test_the_user_may_name_the_tool_that_smoothed(tmp_path):
    raw = raw_losses()
    path = as_json(
        tmp_path, {"lr": RATES.tolist(), "loss": averages.LR_FINDER.smooth(raw).tolist()}
    )
    assert_allclose(one_curve(read_history(path, smoothed_by="ignite")).loss, raw)
    left = one_curve(read_history(path, smoothed_by="nobody"))
    assert_allclose(left.loss, averages.LR_FINDER.smooth(raw))


@pytest.mark.parametrize("average", [averages.FASTAI, averages.KTRAIN, averages.LIGHTNING])
def test_undoing_an_average_gives_the_losses_back(average):
    raw = raw_losses()
    assert_allclose(average.undo(average.smooth(raw)), raw, atol=1e-3)


@pytest.mark.parametrize("separator", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("names", [("lr", "loss"), ("Learning_Rate", "Train Loss"), ("LR", "LOSS")])
def test_separators_and_spellings_do_not_matter(tmp_path, separator, names):
    path = tmp_path / "history.csv"
    table = pd.DataFrame({names[0]: RATES, names[1]: raw_losses()})
    table.to_csv(path, sep=separator, index=True)  # with the index that pandas adds
    assert_allclose(one_curve(read_history(path)).loss, raw_losses())


def test_decimal_commas_and_a_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "history.csv"
    table = pd.DataFrame({"lr": RATES, "loss": raw_losses()})
    table.to_csv(path, sep=";", decimal=",", index=False, encoding="utf-8-sig")
    assert_allclose(one_curve(read_history(path)).loss, raw_losses())


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_our_own_curves_are_read_with_seeds_and_held_out_accuracy(tmp_path, form):
    tables = [
        pd.DataFrame(
            {
                "seed": seed,
                "step": np.arange(1, POINTS + 1),
                "lr": RATES,
                "loss": raw_losses(seed),
                "accuracy": np.where(np.arange(POINTS) % 2, 0.5, np.nan),
            }
        )
        for seed in (3, 7)
    ]
    path, table = tmp_path / f"curves.{form}", pd.concat(tables)
    table.to_csv(path, index=False) if form == "csv" else table.to_parquet(path, index=False)
    history = read_history(path, steps_per_epoch=5)
    assert str(history) == "lrcycles range test, 2 seeds, 200 points, raw losses"
    assert history.curves.seeds == [3, 7]
    assert history.curves.steps_per_epoch == 5
    for curve in history.curves.by_seed():
        assert_allclose(curve.loss, raw_losses(curve.seed))
        assert np.nansum(curve.metric) == 25


def test_rows_in_any_order_are_put_into_the_order_of_their_steps(tmp_path):
    table = pd.DataFrame({"seed": 0, "step": range(POINTS), "lr": RATES, "loss": raw_losses()})
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "curves.csv", index=False)
    assert_allclose(one_curve(read_history(tmp_path / "curves.csv")).lr, RATES)


def test_the_summary_of_stage_range_test_is_read_with_its_curves(tmp_path):
    pd.DataFrame({"seed": 0, "step": range(POINTS), "lr": RATES, "loss": 1.0}).to_parquet(
        tmp_path / "curves.parquet"
    )
    summary = {"initial_loss": {"0": 2.5}, "initial_accuracy": {"0": 0.125}}
    as_json(
        tmp_path,
        {
            **summary,
            "ramp": "exponential",
            "train_seconds": 1.0,
            "optimizer": {"name": "sgd", "arguments": {"momentum": 0.9}},
            "notes": ["the range was widened"],
        },
        name="range_test.json",
    )
    history = read_history(tmp_path / "curves.parquet")
    curve = one_curve(history)
    assert (curve.initial_loss, curve.initial_metric, curve.momentum) == (2.5, 0.125, 0.9)
    assert history.curves.notes[0] == "the range was widened"


def test_several_sweeps_in_one_json_are_seeds(tmp_path):
    sweeps = {
        seed: {"lr": RATES.tolist(), "loss": raw_losses(int(seed)).tolist()} for seed in ("2", "5")
    }
    history = read_history(as_json(tmp_path, sweeps))
    assert history.curves.seeds == [2, 5]


@pytest.mark.parametrize("wrapped", ["history", "results", None])
def test_json_may_hold_the_columns_inside_or_a_row_a_step(tmp_path, wrapped):
    columns = {"lr": RATES.tolist(), "loss": raw_losses().tolist()}
    rows = pd.DataFrame(columns).to_dict("records")
    path = as_json(tmp_path, {wrapped: columns} if wrapped else rows)
    assert_allclose(one_curve(read_history(path)).loss, raw_losses())


@pytest.mark.parametrize(
    ("columns", "source"),
    [
        ({"epoch": range(100), "learning_rate": RATES}, "Keras history"),
        ({"lr": RATES, "iterations": range(1, 101)}, "CyclicLR callback history"),
    ],
    ids=["CSVLogger", "callback"],
)
def test_a_note_names_the_running_mean_of_keras(tmp_path, columns, source):
    table = pd.DataFrame({**columns, "loss": 1.0, "val_accuracy": 0.5, "val_loss": 1.5})
    table.to_csv(tmp_path / "log.csv", index=False)
    history = read_history(tmp_path / "log.csv")
    assert history.source == source
    assert "mean loss since the start of the epoch" in history.curves.notes[0]
    assert one_curve(history).metric[0] == 0.5
    assert one_curve(history).heldout_loss[0] == 1.5


def test_the_rows_of_lightnings_logger_are_joined_by_their_step(tmp_path):
    (tmp_path / "metrics.csv").write_text("\n".join(lightning_log(every=50)))
    history = read_history(tmp_path / "metrics.csv")
    assert str(history) == "Lightning log, 100 points, raw losses"
    assert_allclose(one_curve(history).lr, RATES)
    assert_allclose(one_curve(history).loss, raw_losses())
    assert list(history.curves.notes) == []


def test_a_validation_within_the_last_step_keeps_its_loss(tmp_path):
    log = lightning_log()[:-1]
    (tmp_path / "metrics.csv").write_text("\n".join([*log, f"0,,{POINTS - 1},,1.5"]))
    heldout = one_curve(read_history(tmp_path / "metrics.csv")).heldout_loss
    assert heldout[-1] == 1.5
    assert np.isnan(heldout[:-1]).all()


def test_losses_may_be_nan_at_the_end(tmp_path):
    raw = raw_losses()
    raw[80:] = np.nan
    history = read_history(as_json(tmp_path, {"lr": RATES.tolist(), "loss": raw.tolist()}))
    assert np.isnan(one_curve(history).loss[80:]).all()
    assert np.isfinite(one_curve(history).loss[:80]).all()


def test_the_ramp_is_recognised_by_the_rates(tmp_path):
    for rates, ramp in ((RATES, "exponential"), (np.linspace(1e-4, 1, POINTS), "linear")):
        path = as_json(tmp_path, {"lr": rates.tolist(), "loss": raw_losses().tolist()})
        assert read_history(path).curves.ramp == ramp


def test_a_long_history_is_read_whole(tmp_path):
    count = 200_000
    table = pd.DataFrame({"lr": np.geomspace(1e-7, 1, count), "loss": np.linspace(3, 1, count)})
    table.to_csv(tmp_path / "long.csv", index=False)
    assert len(read_history(tmp_path / "long.csv").curves.table) == count
