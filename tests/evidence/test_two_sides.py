"""Do two folders of results give the comparison that their seeds hold?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lrcycles import cli
from lrcycles.errors import InputError
from lrcycles.evidence.two_sides import compare_two
from lrcycles.report.sections import cautions
from tests.report_inputs import RANGE_TEST_SECONDS, read_metrics, tutorial_arms, write_artifacts


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
    assert error.paired.n == 8
    assert error.paired.mean == pytest.approx(-0.3)
    assert error.outcome == "better"
    same = found.comparisons["new:baseline", "old:baseline", "test_error_percent"]
    assert same.outcome == "equivalent"


def test_two_named_arms_are_compared_whatever_their_names(root):
    found = compare_two("old:baseline", "new:clr", root=root, margin_percent=0.05)
    error = found.comparisons["new:clr", "old:baseline", "test_error_percent"]
    assert error.paired.mean == pytest.approx(-0.4, abs=0.005)
    assert set(found.arms) == {"old:baseline", "new:clr"}


def test_the_command_prints_verdicts_and_writes_a_report_of_both(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert cli.main(["compare", "old", "new"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("A is old. B is new. Differences are B minus A, paired by seed.\n")
    assert "Error: new:clr (triangular, 0.00032 to 0.0064) makes fewer errors than" in printed
    out = root / "outputs/compare/old_new"
    assert f"The report is {out.relative_to(root)}/report.html" in printed
    page = (out / "report.md").read_text()
    assert "# Is new better than old?" in page
    assert "(the median final error of old:baseline)" in page
    assert "adjusted by Holm's method for the 4 comparisons" in page
    pair = read_metrics(out)["comparisons"]["new:clr_vs_old:clr"]
    assert pair["test_error_percent"]["verdict"] == "better"


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


def test_an_arm_that_continues_another_is_compared_in_error_alone(root):
    for name in ("third", "fourth"):
        write_artifacts(root / name, tutorial_arms())
    found = compare_two("third", "fourth", root=root, margin_percent=0.05)
    pair = "fourth:published", "third:published"
    assert (*pair, "test_error_percent") in found.comparisons
    assert (*pair, "time_to_target_seconds") not in found.comparisons
    assert found.arms[pair[0]].label == "fourth:published (after published_baseline)"
    assert ("fourth:clr", "third:clr", "time_to_target_seconds") in found.comparisons


def test_each_side_pays_for_its_own_range_test(root):
    price = root / "new/range_test/range_test.json"
    price.write_text(json.dumps({**json.loads(price.read_text()), "train_seconds": 60.0}))
    found = compare_two("old", "new", root=root, margin_percent=0.05)
    paid = {name: found.range_test_seconds[name] for name in ("old:clr", "new:clr", "new:baseline")}
    assert paid == {"old:clr": RANGE_TEST_SECONDS, "new:clr": 60.0, "new:baseline": 0.0}


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
        write_artifacts(root / name, tutorial_arms())
    monkeypatch.chdir(root)
    assert cli.main(["compare", "third", "fourth"]) == 0
    assert "fourth:published" in capsys.readouterr().out
    assert cli.main(["compare", "third:published", "fourth:published"]) == 0


@pytest.mark.usefixtures("pictures_left_out")
def test_without_the_price_of_the_range_test_no_time_is_compared(root, monkeypatch, capsys):
    shutil.rmtree(root / "new/range_test")
    found = compare_two("old", "new", root=root, margin_percent=0.05)
    assert ("new:clr", "old:clr", "time_to_target_seconds") not in found.comparisons
    assert ("new:baseline", "old:baseline", "time_to_target_seconds") in found.comparisons
    monkeypatch.chdir(root)
    assert cli.main(["compare", "old", "new"]) == 0
    note = "Note: new:clr takes its bounds from a range test whose time is not known here."
    assert note in capsys.readouterr().out


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
