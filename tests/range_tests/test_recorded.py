"""The history of a range test is read correctly, whichever tool wrote it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lrcycles.bounds.select import select_bounds
from lrcycles.range_tests.recorded import averages
from lrcycles.range_tests.recorded.histories import read_history
from tests.range_tests.histories import POINTS, RATES, as_json, lightning_log, raw_losses


def lightning_rates(count=POINTS, ramp="exponential"):
    """As Lightning's own schedule gives them: the first, then from the third on."""
    share = np.array([0, *range(2, count + 1)]) / count
    return 1e-7 * 1e8**share if ramp == "exponential" else 1e-8 + share


def one_curve(history):
    (curve,) = history.curves.by_seed()
    return curve


def max_lr(curves):
    return select_bounds(curves).max_lr


FLAIR = averages.after_first()
# What a file of the tool says about itself, the average, and the names of rates and losses.
TOOLS = {
    "fastai or ktrain history": (averages.FASTAI, ("lrs", "losses"), RATES),
    "Lightning history": (averages.LIGHTNING, ("lr", "loss"), lightning_rates()),
    "flair learning-rate finder": (FLAIR, ("LEARNING_RATE", "TRAIN_LOSS"), RATES),
}


@pytest.mark.parametrize("source", TOOLS)
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
def test_an_average_is_undone_where_the_file_says_whose_it_is(tmp_path, source, noise):
    average, names, rates = TOOLS[source]
    raw = raw_losses(noise=noise)
    content = dict(zip(names, (rates[:POINTS], average.smooth(raw)), strict=True))
    if source.startswith("flair"):
        content = {"ITERATION": range(POINTS), "TIMESTAMP": "12:00:00", **content}
    pd.DataFrame(content).to_csv(tmp_path / "history.tsv", sep="\t", index=False)
    history = read_history(tmp_path / "history.tsv")
    assert str(history) == f"{source}, {len(rates)} points, smoothed (undone)"
    assert history.alternative is None
    assert_allclose(one_curve(history).loss, raw[: len(rates)], atol=1e-3)


@pytest.mark.parametrize("ramp", ["exponential", "linear"])
@pytest.mark.parametrize("earlier_steps", [-1, 0, 20, 500])
def test_lightnings_average_is_undone_after_any_number_of_steps(tmp_path, ramp, earlier_steps):
    rates = lightning_rates(ramp=ramp)
    raw = raw_losses(noise=0.02)[: len(rates)]
    seen = averages.corrected(late=earlier_steps + 1).smooth(raw)
    history = read_history(as_json(tmp_path, {"lr": rates.tolist(), "loss": seen.tolist()}))
    assert history.source == "Lightning history"
    assert_allclose(one_curve(history).loss, raw, rtol=0.1)
    assert len(history.curves.notes) == (earlier_steps > 0)


def test_lightnings_average_is_undone_where_the_loss_falls_from_the_first_step_on(tmp_path):
    raw = 0.5 + 2 * np.exp(-np.arange(POINTS) / 10)
    seen = averages.LIGHTNING.smooth(raw)
    path = as_json(tmp_path, {"lr": lightning_rates().tolist(), "loss": seen.tolist()})
    history = read_history(path)
    assert history.curves.notes == []
    assert_allclose(one_curve(history).loss, raw)


@pytest.mark.parametrize("noise", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("names", [("lr", "loss"), ("lrs", "losses"), ("learning_rate", "loss")])
def test_losses_too_noisy_to_be_smoothed_are_raw_without_doubt(tmp_path, noise, names):
    raw = raw_losses(noise=noise)
    path = as_json(tmp_path, dict(zip(names, (RATES.tolist(), raw.tolist()), strict=True)))
    history = read_history(path)
    assert str(history) == "history of rates and losses, 100 points, raw losses"
    assert (history.alternative, history.curves.notes) == (None, [])
    assert_allclose(one_curve(history).loss, raw)


QUIET = {
    "raw": lambda raw: raw,
    "--smoothed-by fastai": averages.KTRAIN.smooth,
    "--smoothed-by torch-lr-finder": averages.LR_FINDER.smooth,
}


@pytest.mark.parametrize("names", [("lr", "loss"), ("learning_rate", "loss"), ("LR", "train_loss")])
@pytest.mark.parametrize("made", QUIET)
def test_losses_of_little_noise_are_read_as_raw_and_the_other_reading_is_offered(
    tmp_path, made, names
):
    raw = raw_losses(noise=0.05)
    if made == "raw":  # a slow fall
        raw = 2 + np.cos(np.linspace(0, 4, POINTS)) + raw_losses(noise=0.001) / 1000
    seen = QUIET[made](raw)
    path = as_json(tmp_path, dict(zip(names, (RATES.tolist(), seen.tolist()), strict=True)))
    history = read_history(path)
    assert str(history) == "history of rates and losses, 100 points, read as raw losses"
    assert_allclose(one_curve(history).loss, seen)
    assert history.options[0] == ("--smoothed-by nobody", "if the losses are raw")
    assert history.doubt_note in history.curves.notes
    if made != "raw":
        assert history.options[1][0] == made
        (alternative,) = history.alternative.by_seed()
        assert_allclose(alternative.loss, raw)
    settled = read_history(path, smoothed_by="nobody")
    assert (settled.doubt, settled.curves.notes) == ("", [])


@pytest.mark.parametrize(
    ("how", "average"),
    [
        ({"smoothed_by": "ignite"}, averages.LR_FINDER),
        ({"smoothed_by": "torch-lr-finder", "smoothing": 0.8}, averages.from_first(0.8)),
        ({"smoothed_by": "ktrain", "smoothing": 0.9}, averages.corrected(0.9)),
        ({"smoothed_by": "flair"}, FLAIR),
        ({"smoothed_by": "lightning"}, averages.LIGHTNING),
        ({"smoothed_by": "ignite", "smoothing": 0}, None),
        ({"smoothed_by": "nobody"}, None),
        ({"running_mean_of": 30}, averages.running_mean(30)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_the_user_may_say_what_smoothed_the_losses(tmp_path, how, average):
    raw = raw_losses(noise=0.02)
    seen = raw if average is None else average.smooth(raw)
    path = as_json(tmp_path, {"lr": RATES.tolist(), "loss": seen.tolist()})
    history = read_history(path, **how)
    assert history.alternative is None
    assert_allclose(one_curve(history).loss, raw)


@pytest.mark.parametrize("tool", ["fastai", "lightning", "torch-lr-finder"])
def test_an_average_is_undone_past_a_step_without_a_loss(tmp_path, tool):
    raw = np.delete(raw_losses(noise=0.02), 40)
    average = {"fastai": averages.FASTAI, "lightning": averages.LIGHTNING}
    seen = average.get(tool, averages.LR_FINDER).smooth(raw)
    seen = np.insert(seen, 40, np.nan)  # the tool skips this step
    path = as_json(tmp_path, {"lr": RATES.tolist(), "loss": seen.tolist()})
    history = read_history(path, smoothed_by=tool)
    assert_allclose(one_curve(history).loss, raw, atol=1e-3)
    assert_allclose(one_curve(history).lr, np.delete(RATES, 40))


def test_a_smoothing_that_gives_losses_below_zero_has_a_note(tmp_path):
    path = as_json(tmp_path, {"lr": RATES.tolist(), "loss": raw_losses().tolist()})
    (note,) = read_history(path, smoothed_by="fastai").curves.notes
    assert note == (
        "Some losses are below zero if the smoothing is undone. Check --smoothed-by fastai."
    )


def means_of_keras(raw, epoch_steps):
    """The mean of each epoch so far, written out."""
    starts = [step // epoch_steps * epoch_steps for step in range(len(raw))]
    return np.array([raw[start : step + 1].mean() for step, start in enumerate(starts)])


@pytest.mark.parametrize("epoch_steps", [1, 40, 1000])
def test_the_running_mean_of_keras_is_undone_below_ktrains_average(tmp_path, epoch_steps):
    raw = raw_losses()
    seen = averages.KTRAIN.smooth(means_of_keras(raw, epoch_steps))
    path = as_json(tmp_path, {"lrs": RATES.tolist(), "losses": seen.tolist()})
    history = read_history(path, smoothed_by="ktrain", steps_per_epoch=epoch_steps)
    assert_allclose(one_curve(history).loss, raw, atol=1e-9)
    assert history.curves.notes == []
    unsettled = read_history(path, steps_per_epoch=epoch_steps)
    assert unsettled.options[1][0] == "--smoothed-by ktrain"
    assert max_lr(unsettled.alternative) == max_lr(history.curves)
    for how in ({}, {"smoothed_by": "ktrain"}):  # without the length of an epoch
        (note,) = read_history(path, **how).curves.notes
        assert "steps_per_epoch" in note


def test_the_running_mean_of_a_keras_callback_is_undone_where_the_user_knows_the_epoch(tmp_path):
    raw = raw_losses()
    seen = means_of_keras(raw, 40).tolist()
    path = as_json(tmp_path, {"lr": RATES.tolist(), "iterations": [*range(100)], "loss": seen})
    history = read_history(path)
    assert history.source == "CyclicLR callback history"
    assert "--running-mean-of" in history.curves.notes[0]
    assert_allclose(one_curve(read_history(path, running_mean_of=40)).loss, raw)
    asked = read_history(path, steps_per_epoch=40)
    assert asked.options[1][0] == "--running-mean-of 40"
    assert_allclose(one_curve(asked).loss, seen)


@pytest.mark.parametrize("average", [averages.FASTAI, averages.KTRAIN, averages.LIGHTNING])
def test_undoing_an_average_gives_the_losses_back(average):
    raw = raw_losses()
    assert_allclose(average.undo(average.smooth(raw)), raw, atol=1e-3)


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


def test_a_keras_history_has_a_note_on_the_means_of_its_epochs(tmp_path):
    metrics = {"loss": 1.0, "accuracy": 0.6, "val_accuracy": 0.5, "val_loss": 1.5}
    table = pd.DataFrame({"epoch": range(100), "learning_rate": RATES, **metrics})
    table.to_csv(tmp_path / "log.csv", index=False)
    history = read_history(tmp_path / "log.csv")
    assert history.source == "Keras history"
    assert "mean of a whole epoch" in history.curves.notes[0]
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
