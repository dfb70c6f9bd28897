"""The table of experiments fits into a terminal."""

from __future__ import annotations

from rich.console import Console

from lrcycles.report.experiments import table


def printed(*rows: dict[str, str], width: int = 100) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table(rows))
    return capture.get()


NUMBERS = {
    "baseline_error_percent": "1.8863333333333334",
    "clr_error_percent": "1.6669999999999996",
    "linear_decay_error_percent": "1.6203333333333336",
    "clr_minus_baseline_percent": "-0.21933333333333335",
    "clr_minus_linear_decay_percent": "0.04666666666666667",
}


def test_a_row_has_the_name_the_changes_and_the_numbers_and_fits_into_a_hundred_columns():
    row = {
        "Experiment": "nodal-cane",
        "rev": "e8b5aaf",
        "train.epochs": "5",
        "src/lrcycles": "0d2f",
    }
    text = printed({**row, "settings": "experiment=tutorial train.epochs=5", **NUMBERS})
    assert max(map(len, text.splitlines())) <= 100
    (line,) = [line for line in text.splitlines() if "nodal-cane" in line]
    numbers = "1.886 1.667 1.62 -0.2193 0.04667"
    assert " ".join(line.split()) == f"nodal-cane tutorial train.epochs=5 {numbers}"
    assert "0d2f" not in text


def test_a_commit_without_results_has_no_row_and_a_queued_experiment_has_its_state():
    commit = {
        "Experiment": "",
        "rev": "main",
        "State": "",
        "settings": "!",
        "clr_error_percent": "!",
    }
    queued = {"Experiment": "flawy-jass", "rev": "f7ebac8", "State": "Queued", "settings": "!"}
    assert table([commit]).row_count == 0
    assert "flawy-jass (queued)" in " ".join(printed(commit, queued).split())
    assert "main" not in printed(commit, queued)


def test_long_settings_are_folded_and_not_cut():
    settings = "experiment=tutorial model.function=" + "own.my_long_module" * 4
    text = printed({"rev": "workspace", "settings": settings}, width=80)
    assert settings.removeprefix("experiment=").replace(" ", "") in "".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
