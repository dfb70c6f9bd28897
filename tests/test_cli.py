"""The command `lrcycles` prints what a user needs, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lrcycles import __version__, cli
from lrcycles.bounds.peers import PEER_RULES
from lrcycles.bounds.plots import suggestions_on_curve
from lrcycles.bounds.suggestions import collect_suggestions
from lrcycles.range_tests.recorded.histories import read_history

RATES = np.geomspace(1e-6, 10.0, 141)  # twenty points a decade
HEAVY = ("pandas", "scipy", "numpy", "keras", "tensorflow", "mlflow", "matplotlib", "hydra")


def sweep(seed=0, *, shift=0.0):
    """A loss that falls at 1e-2 and rises from 1 on, and an accuracy from 0.1 to 0.9."""
    exponent = np.log10(RATES) - shift
    learnt = 1 / (1 + np.exp(-(exponent + 2) / 0.3))
    random = np.random.default_rng(seed)
    rise = 10 ** np.minimum(3 * exponent - 0.5, 4)
    return pd.DataFrame(
        {
            "seed": seed,
            "step": np.arange(1, len(RATES) + 1),
            "lr": RATES,
            "loss": 2.3 - 2 * learnt + rise + 0.05 * random.normal(size=len(RATES)),
            "accuracy": np.where(rise > 2, 0.1, 0.1 + 0.8 * learnt)
            + 0.003 * random.normal(size=len(RATES)),
        }
    )


@pytest.fixture
def curves(tmp_path, monkeypatch):
    """A range test of three seeds, in the current folder."""
    monkeypatch.chdir(tmp_path)
    pd.concat([sweep(seed) for seed in range(3)]).to_csv("curves.csv", index=False)
    return "curves.csv"


def run(capsys, *arguments):
    status = cli.main(list(arguments))
    printed = capsys.readouterr()
    assert printed.err == ""
    assert status == 0
    return printed.out


def refused(capsys, *arguments):
    assert cli.main(list(arguments)) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("lrcycles: ")
    return line


def test_every_rule_has_a_line_and_none_is_wider_than_a_terminal(curves, capsys):
    lines = run(capsys, "suggest", curves, "--rule", "smith").splitlines()
    assert lines[0].startswith("lrcycles range test, 3 seeds, 423 points, raw losses")
    assert {*PEER_RULES, "thirds"} <= {line.split(" ")[0] for line in lines}
    assert max(map(len, lines)) <= 80
    assert not any("\x1b" in line for line in lines)


def test_the_columns_stand_below_each_other(curves, capsys):
    lines = run(capsys, "suggest", curves).splitlines()
    (head,) = [line for line in lines if line.startswith("rule")]
    (valley,) = [line for line in lines if line.startswith("valley")]
    for word in ("rate", "over the seeds", "meaning"):
        at = head.index(word)
        assert valley[at - 1] == " "
        assert valley[at] != " "


def test_the_bounds_and_the_step_size_of_the_training_are_given(curves, capsys):
    text = run(
        capsys,
        *("suggest", curves, "--rule", "smith", "--steps-per-epoch", "300", "--epochs", "20"),
    )
    assert "3 cycles, step_size 1000 (rule smith)" in text  # 6,000 steps in six halves


def test_momentum_given_by_the_user_lowers_the_bounds(curves, capsys):
    def max_lr(*options):
        return json.loads(run(capsys, "suggest", curves, "--json", *options))["bounds"]["max_lr"]

    assert max_lr("--momentum", "0.9") == pytest.approx(0.631 * max_lr(), rel=0.02)
    line = refused(capsys, "suggest", curves, "--momentum", "1")
    assert "momentum" in line
    assert "Received: 1.0" in line


def test_json_holds_the_content_of_the_table(curves, capsys):
    content = json.loads(run(capsys, "suggest", curves, "--json", "--rule", "thirds"))
    rates = [rule["lr"] for name, rule in content["rules"].items() if name != "thirds"]
    assert content["disagreement_decades"] == pytest.approx(np.log10(max(rates) / min(rates)))
    assert content["bounds"]["rule"] == "thirds"
    assert content["bounds"]["max_lr"] == pytest.approx(content["rules"]["thirds"]["lr"], rel=0.01)
    assert content["no_bounds"] is None
    assert (content["file"], content["seeds"]) == (curves, 3)


def test_json_holds_the_notes_printed_above_the_table(tmp_path, capsys):
    log = sweep().drop(columns=["seed", "step"]).rename_axis("iterations")
    log.to_csv(tmp_path / "log.csv")
    (note,) = json.loads(run(capsys, "suggest", str(tmp_path / "log.csv"), "--json"))["notes"]
    assert note.startswith("Keras reports the mean loss since the start of the epoch")
    text = run(capsys, "suggest", str(tmp_path / "log.csv"))
    assert f"note: {note}" in " ".join(text.split())


def test_without_bounds_the_reason_is_printed_instead(tmp_path, capsys):
    flat = sweep().assign(loss=2.3 + 0.05 * np.random.default_rng(0).normal(size=len(RATES)))
    flat.assign(accuracy=0.1).to_csv(tmp_path / "flat.csv", index=False)
    text = " ".join(run(capsys, "suggest", str(tmp_path / "flat.csv"), "--rule", "smith").split())
    assert "No rule of another tool is applied, because the loss never falls. Bounds:" in text
    assert "Bounds: none. The range test must show where learning starts" in text


@pytest.mark.parametrize("rule", ["calibrated", "thirds", "steep", "minimum"])
@pytest.mark.parametrize(
    ("loss", "remedy"),
    [
        (np.linspace(1, 5, 141), "Lower min_lr to 1e-07."),
        (np.full(141, 2.3), "Raise max_lr to 100, raise steps, or start from weights that are"),
        (np.where(RATES < 0.01, 2.3, 2.3 + RATES), "Raise steps, or start from weights that are"),
    ],
)
def test_a_loss_that_never_falls_gets_no_rate_of_any_rule_and_one_reason(
    tmp_path, capsys, loss, remedy, rule
):
    file = str(tmp_path / "up.csv")
    sweep().assign(loss=loss).to_csv(file, index=False)
    lines = run(capsys, "suggest", file, "--rule", rule).splitlines()
    assert lines[2] == "No rule of another tool is applied, because the loss never falls."
    text = " ".join(" ".join(lines[3:]).split())
    assert text.startswith("Bounds: none. The range test must show where learning starts")
    assert "Seed 0: the loss never fell" in text
    assert remedy in text
    content = json.loads(run(capsys, "suggest", file, "--rule", rule, "--json"))
    assert {entry["lr"] for entry in content["rules"].values()} == {None}
    assert (content["bounds"], content["disagreement_decades"]) == (None, None)


def test_a_rate_below_the_sweep_is_not_suggested(tmp_path, capsys):
    early = np.interp(np.log10(RATES), [-6, -5.8, -5.6, 1], [2.3, 0.3, 0.3, 6.0])
    file = str(tmp_path / "early.csv")
    sweep().assign(loss=early).to_csv(file, index=False)
    content = json.loads(run(capsys, "suggest", file, "--json"))
    below = content["rules"]["ktrain_minimum"]
    assert below["lr"] is None
    assert "below the first rate" in below["reason"]
    assert all(rule["lr"] is None or rule["lr"] >= 1e-6 for rule in content["rules"].values())
    text = run(capsys, "suggest", file, "--rule", "ktrain_minimum")
    assert "below the first rate" in " ".join(text.split())


def test_a_rule_without_a_rate_in_half_of_the_seeds_has_no_rate(tmp_path, capsys):
    for rising, rate in (([1], "none"), ([], "1")):
        seeds = [
            sweep(seed).assign(loss=lambda t, up=seed in rising: t["step"] if up else t["loss"])
            for seed in range(2)
        ]
        pd.concat(seeds).to_csv(tmp_path / "two.csv", index=False)
        content = json.loads(run(capsys, "suggest", str(tmp_path / "two.csv"), "--json"))
        assert (content["rules"]["thirds"]["lr"] is None) == (rate == "none")


def test_a_smoothed_history_gives_the_rates_of_its_raw_losses(tmp_path, capsys):
    raw = sweep()
    seen = PEER_RULES["torch_lr_finder"].tool.records(raw["loss"].to_numpy())
    raw = raw[: len(seen)]
    raw.to_csv(tmp_path / "raw.csv", index=False)
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"lr": raw["lr"].tolist(), "loss": seen.tolist()}))
    rules = [
        json.loads(run(capsys, "suggest", *map(str, arguments), "--json"))["rules"]
        for arguments in ((tmp_path / "raw.csv",), (path, "--smoothed-by", "torch-lr-finder"))
    ]
    assert rules[0] == rules[1]


def test_in_doubt_both_bounds_are_printed_and_each_option_gives_its_own(tmp_path, capsys):
    raw = sweep()
    seen = PEER_RULES["torch_lr_finder"].tool.average.smooth(raw["loss"].to_numpy())
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"lr": raw["lr"].tolist(), "loss": seen.tolist()}))
    content = json.loads(run(capsys, "suggest", str(path), "--json"))
    text = run(capsys, "suggest", str(path))
    assert max(map(len, text.splitlines())) <= 80
    doubt = content["doubt"]
    assert doubt["reason"] in " ".join(text.split())
    for option, bounds in (
        (doubt["read"]["option"], content["bounds"]),
        (doubt["alternative"]["option"], doubt["alternative"]["bounds"]),
    ):
        assert f"({option}): base_lr {bounds['base_lr']:g}" in " ".join(text.split())
        settled = json.loads(run(capsys, "suggest", str(path), "--json", *option.split()))
        assert settled["doubt"] is None
        assert settled["bounds"]["max_lr"] == bounds["max_lr"]


def test_a_range_test_is_read_from_a_pipe(curves, capsys, monkeypatch):
    text = run(capsys, "suggest", curves)
    with Path(curves).open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert run(capsys, "suggest", "-") == text


def test_a_picture_is_drawn_into_the_named_file(curves, capsys, tmp_path):
    assert "drawn in curves.png" in run(capsys, "plot", curves)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    run(capsys, "plot", curves, "-o", "new/other.png", "--rule", "smith")
    assert (tmp_path / "new" / "other.png").stat().st_size > 10_000
    assert "drawn in curves.png" in run(capsys, "plot", curves)  # a PNG may be replaced


def test_nothing_but_a_picture_is_ever_replaced(curves, capsys, tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    assert "Received: notes.png" in refused(capsys, "plot", curves, "-o", "notes.png")
    assert (tmp_path / "notes.png").read_text() == "not a picture"
    line = refused(capsys, "plot", curves, "-o", "curves.csv")
    assert "end in .png. Received: curves.csv" in line


@pytest.mark.parametrize("rule", ["smith", "valley"])
def test_every_rule_is_drawn_at_its_rate_and_no_label_covers_another(curves, rule):
    suggestions = collect_suggestions(read_history(Path(curves)), rule=rule)
    figure = suggestions_on_curve(suggestions)
    below = figure.axes[1]
    dots = sorted(float(line.get_xdata()[0]) for line in below.lines if line.get_marker() == "o")
    assert dots == sorted(rule.lr for rule in suggestions.rules if rule.lr is not None)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in (*below.texts, *below.get_yticklabels())]
    assert not [(i, j) for i, box in enumerate(boxes) for j in range(i) if box.overlaps(boxes[j])]
    assert all(box.x1 <= figure.bbox.x1 and box.x0 >= 0 for box in boxes)


def test_a_sweep_without_any_suggested_rate_is_drawn(tmp_path):
    lost = sweep().assign(loss=lambda t: np.where(t["step"] < 5, t["loss"], np.nan))
    lost.to_csv(tmp_path / "lost.csv", index=False)
    figure = suggestions_on_curve(collect_suggestions(read_history(tmp_path / "lost.csv")))
    assert "no rate" in {text.get_text() for text in figure.axes[1].texts}


def test_a_long_sweep_is_drawn_with_some_of_its_points(tmp_path):
    count = 12_000
    loss = np.linspace(3, 1, count)
    table = pd.DataFrame({"lr": np.geomspace(1e-6, 1, count), "loss": loss})
    table.to_csv(tmp_path / "long.csv", index=False)
    suggestions = collect_suggestions(read_history(tmp_path / "long.csv"))
    drawn = suggestions.thinned().history.curves
    assert len(drawn.table) == 4000
    assert drawn.notes[-1] == "The figure shows 1 of every 3 points of the file."
    assert len(suggestions.history.curves.table) == count


def test_a_users_mistake_gives_one_line(curves, capsys):
    assert "No such file" in refused(capsys, "suggest", "nothing.csv")
    assert "Received: 'guess'" in refused(capsys, "suggest", curves, "--rule", "guess")
    assert "one of fastai, ktrain, lightning" in refused(
        capsys, "suggest", curves, "--smoothed-by", "me"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["guess"],
        ["suggest"],
        ["suggest", "f", "--cycles", "0"],
        ["suggest", "f", "--epochs", "3"],
        ["suggest", "f", "--epochs", "three", "--steps-per-epoch", "3"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_one_line_and_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("lrcycles")


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"lrcycles {__version__}\n"


@pytest.mark.parametrize("command", ["suggest", "plot", "sync"])
def test_the_help_of_a_command_has_an_example(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    printed = capsys.readouterr().out
    assert "xample" in printed
    assert printed.count(f"lrcycles {command}") > 1  # the usage, and the example
    assert max(map(len, printed.splitlines())) <= 80


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from lrcycles import cli\n"
        "try: cli.main(['--help'])\n"
        f"except SystemExit: print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("suggest", "plot", "sync", "compare"):
        assert f"\n    {command} " in done.stdout


def test_a_closed_pipe_is_no_error(curves):
    piped = f"{sys.executable} -m lrcycles.cli suggest {curves} --json | head -1"
    done = subprocess.run(piped, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "{\n"
    assert done.stderr == ""
