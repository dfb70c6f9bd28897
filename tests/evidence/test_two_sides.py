"""Do two folders of results give the comparison that their seeds hold?"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lrcycles import cli
from lrcycles.errors import InputError
from lrcycles.evidence.families import Reason
from lrcycles.evidence.two_sides import compare_two
from lrcycles.report.sections import cautions
from tests.report_inputs import read_metrics, tutorial_arms, write_artifacts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Folders `old` and `new`: there clr makes .3 points fewer errors than in `old`."""
    for name, gain in (("old", 0.1), ("new", 0.4)):
        arms = tutorial_arms(gain=gain)
        write_artifacts(tmp_path / name, {arm: arms[arm] for arm in ("baseline", "clr")})
    return tmp_path


def test_arms_of_equal_name_are_paired_by_seed_and_the_second_is_judged(root):
    found = compare_two("old", "new", root=root, margin_percent=0.05)
    error = found.comparisons["new:clr", "old:clr", "test_error_percent"]
    assert error.estimate.n == 8
    assert error.estimate.mean == pytest.approx(-0.3)
    assert (error.outcome, error.family) == ("better", "schedules")
    same = found.comparisons["new:baseline", "old:baseline", "test_error_percent"]
    assert (same.outcome, same.verdict.reason) == ("not comparable", Reason.SAME)


def test_two_named_arms_are_compared_whatever_their_names(root):
    found = compare_two("old:baseline", "new:clr", root=root, margin_percent=0.05)
    error = found.comparisons["new:clr", "old:baseline", "test_error_percent"]
    assert error.estimate.mean == pytest.approx(-0.4)
    assert (error.outcome, error.family) == ("better", "primary")
    assert set(found.arms) == {"old:baseline", "new:clr"}


def test_a_difference_changes_its_sign_with_the_order_of_the_two(root):
    there = compare_two("old:clr", "new:clr", root=root, margin_percent=0.05)
    back = compare_two("new:clr", "old:clr", root=root, margin_percent=0.05)
    one, other = (next(iter(found.comparisons.values())) for found in (there, back))
    assert one.estimate.interval() == pytest.approx(
        [-end for end in other.estimate.interval()[::-1]]
    )
    assert (one.outcome, other.outcome) == ("better", "worse")


@pytest.mark.usefixtures("pictures_left_out")
def test_the_command_prints_the_answer_and_writes_a_report_of_both(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert cli.main(["compare", "old", "new"]) == 0
    begin, answer, same, sure, end = capsys.readouterr().out.splitlines()
    assert begin == "A is old. B is new. Differences are B minus A, paired by seed."
    assert answer.startswith("new:clr makes fewer errors than old:clr: \N{MINUS SIGN}0.30 points (")
    assert same == "new:baseline and old:baseline are the same trainings, so nothing is compared."
    assert sure == "The other verdict is decided at 8 seeds."
    out = root / "outputs/compare/old_new"
    assert end == f"The report is {out.relative_to(root)}/report.html."
    page = (out / "report.md").read_text()
    assert "# Is new better than old?" in page
    pair = read_metrics(out)["comparisons"]["new:clr_vs_old:clr"]
    assert pair["test_error_percent"]["verdict"] == "better"


@pytest.mark.usefixtures("pictures_left_out")
def test_two_arms_are_worded_in_one_line(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert cli.main(["compare", "old:clr", "new:clr"]) == 0
    _, answer, sure, _ = capsys.readouterr().out.splitlines()
    assert answer.startswith("new:clr makes fewer errors than old:clr: ")
    assert sure.startswith("This is decided at 8 seeds")


@pytest.mark.usefixtures("pictures_left_out")
@pytest.mark.parametrize(
    ("trains", "words"),
    [
        (
            False,
            ["8 of 8 runs of odd:clr diverged.", "odd:clr fails more often than old:clr."],
        ),
        (True, ["odd:clr and old:clr are the same trainings, so nothing is compared."]),
    ],
)  # fmt: skip
def test_odd_results_are_worded_and_leave_no_pair_out(root, monkeypatch, capsys, trains, words):
    arms = tutorial_arms(gain=0.1)
    if not trains:
        arms["clr"]["errors"] = dict.fromkeys(arms["clr"]["errors"])
    write_artifacts(root / "odd", {"clr": arms["clr"]})
    monkeypatch.chdir(root)
    assert cli.main(["compare", "old:clr", "odd:clr"]) == 0
    assert capsys.readouterr().out.splitlines()[1 : 1 + len(words)] == words


def test_eight_seeds_can_decide_one_changed_arm_among_equal_ones(root):
    arms = tutorial_arms(gain=0.1)
    write_artifacts(root / "many", {**arms, "clr": tutorial_arms(gain=0.4)["clr"]})
    write_artifacts(root / "old", arms)
    found = compare_two("old", "many", root=root, margin_percent=0.05)
    outcomes = {key[0]: str(one.outcome) for key, one in found.comparisons.items()}
    assert outcomes.pop("many:clr") == "better"
    assert set(outcomes.values()) == {"not comparable"}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("old", "nowhere", "'nowhere'.* Name a DVC experiment"),
        ("old:welch", "new", "an arm of old.* welch.* Name one of baseline, clr"),
        ("old:clr", "old:clr", "the same arm of the same results"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(root, first, second, message):
    with pytest.raises(InputError, match=message):
        compare_two(first, second, root=root, margin_percent=0.05)


def test_results_without_common_arms_or_seeds_name_what_there_is(root):
    arms = tutorial_arms(seeds=2)
    only = {"other": arms["baseline"], "apart": {"errors": {90: 1.0}}}
    write_artifacts(root / "third", only)
    with pytest.raises(
        InputError, match=r"must share an arm's name\. Received: old with .* and third"
    ):
        compare_two("old", "third", root=root, margin_percent=0.05)
    with pytest.raises(InputError, match="must share a seed"):
        compare_two("old:clr", "third:apart", root=root, margin_percent=0.05)


def test_an_arm_that_continues_another_is_compared_with_its_like(root):
    for name in ("third", "fourth"):
        arms = tutorial_arms(seeds=1)
        write_artifacts(root / name, {n: arms[n] for n in ("published_baseline", "published")})
    found = compare_two("third", "fourth", root=root, margin_percent=0.05)
    assert ("fourth:published", "third:published", "test_error_percent") in found.comparisons
    assert found.arms["fourth:published"].label == "fourth:published (after published_baseline)"


def test_a_wrong_name_leaves_nothing_behind(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    before = sorted(root.iterdir())
    assert cli.main(["compare", "old", "nowhere"]) == 1
    (root / "file").write_text("mine")
    assert cli.main(["compare", "old", "new", "-o", "file"]) == 1
    assert "file, which is a file" in capsys.readouterr().err
    assert sorted(root.iterdir()) == sorted([*before, root / "file"])


@pytest.mark.usefixtures("pictures_left_out")
def test_experiments_with_a_replay_are_compared_by_the_command(root, monkeypatch, capsys):
    for name in ("third", "fourth"):
        write_artifacts(root / name, tutorial_arms(seeds=2))
    monkeypatch.chdir(root)
    assert cli.main(["compare", "third", "fourth"]) == 0
    assert "fourth:published" in capsys.readouterr().out
    assert cli.main(["compare", "third:published", "fourth:published"]) == 0


def test_each_machine_has_its_own_seconds(root):
    arms = tutorial_arms(gain=0.4)
    faster = {"device_name": "another", "seconds_per_step": 0.001}
    write_artifacts(root / "new", {n: {**arms[n], **faster} for n in ("baseline", "clr")})
    found = compare_two("old", "new", root=root, margin_percent=0.05)
    assert found.seconds_per_step["old:clr"] == pytest.approx(0.004)
    assert found.seconds_per_step["new:clr"] == pytest.approx(0.001)
    assert "new:clr and old:clr differ in device name too" in "\n".join(cautions.sentences(found))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("backend", "jax"),
        ("precision", "mixed_float16"),
        ("threads", 7),
        ("side_by_side", 8),
        ("versions", {"keras": "4"}),
    ],
)
def test_what_changes_bits_is_named(root, key, value):
    arms = tutorial_arms(gain=0.4)
    write_artifacts(root / "new", {n: {**arms[n], key: value} for n in ("baseline", "clr")})
    found = compare_two("old", "new", root=root, margin_percent=0.05)
    name = key.replace("_", " ")
    lines = "\n".join(cautions.sentences(found))
    assert f"new:clr and old:clr differ in {name} too" in lines


def test_other_data_are_named_before_any_difference_is_believed(root):
    arms = tutorial_arms(gain=0.4)
    write_artifacts(root / "new", {n: {**arms[n], "data": "e" * 64} for n in ("baseline", "clr")})
    found = compare_two("old", "new", root=root, margin_percent=0.05)
    assert "new:clr and old:clr differ in data too" in "\n".join(cautions.sentences(found))


def test_a_folder_with_one_group_only_is_compared_by_what_it_has(root):
    shutil.rmtree(root / "new/train/clr")
    shutil.rmtree(root / "new/train/controls")
    found = compare_two("old", "new", root=root, margin_percent=0.05)
    assert set(found.arms) == {"old:baseline", "new:baseline"}


def test_what_cannot_be_written_or_drawn_is_one_line(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    (root / "file").write_text("mine")
    for names, told in (
        (["old", "new", "-o", "file/below"], "file/below must be a folder"),
        (["a$^$", "new"], "A and B must not contain $"),
    ):
        assert cli.main(["compare", *names]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"lrcycles: {told}")
