"""A file that holds no range test is refused in one line."""

from __future__ import annotations

import json

import pytest

from lrcycles.errors import InputError
from lrcycles.range_tests.recorded.histories import read_history
from tests.range_tests.histories import RATES, as_json, lightning_log, raw_losses

CSV = "lr,loss\n" + "".join(f"{rate},{1 + rate}\n" for rate in RATES)
REFUSED = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n", "is empty"),
    "only names": (b"lr,loss\n", "no rows"),
    "binary": (bytes(range(256)) * 20, "binary"),
    "broken parquet": (b"PAR1" + bytes(50), "no CSV, JSON or parquet file"),
    "broken json": (b'{"lr": [1, 2', "no CSV, JSON or parquet file"),
    "json without columns": (b"[1, 2, 3]", "holds no columns"),
    "no lr": (CSV.replace("lr", "speed").encode(), r"need a column lr .* got: speed, loss"),
    "no loss": (CSV.replace("loss", "cost").encode(), r"need a column loss .* got: lr, cost"),
    "other lengths": (b'{"lr": [1, 2, 3], "loss": [1, 2]}', "got lr 3, loss 2"),
    "words": (CSV.replace("1.1", "high", 1).encode(), "got 'high"),
    "lists of rates": (
        json.dumps({"lr": [[1, 2]] * 30, "loss": [1] * 30}).encode(),
        r"need numbers in column lr of .*, got '\[1, 2\]' in row 1",
    ),
    "few": (b"lr,loss\n" + b"".join(b"%d,1\n" % n for n in range(1, 20)), "20 points .* got 19"),
    "a training": (
        CSV.encode() + CSV.partition("\n")[2].encode(),
        "got 1e-07 after 10 at point 101 .* a training instead",
    ),
    "zero": (
        b"lr,loss\n" + b"".join(b"%d,1\n" % n for n in range(30)),
        "above 0, got 0 at point 1",
    ),
    "no rate": (CSV.replace("1e-07,", ",", 1).encode(), "got nan at point 1"),
    "no finite loss": (
        b"lr,loss\n" + b"".join(b"%d,nan\n" % n for n in range(1, 40)),
        "need finite losses",
    ),
    "gaps": (
        b"lr,loss\n" + b"".join(b"%d,%s\n" % (n, b"1" if n % 2 else b"") for n in range(1, 40)),
        "got none at point 2",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_range_test_is_refused_in_one_line(tmp_path, case):
    content, message = REFUSED[case]
    path = tmp_path / "history"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        read_history(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda log: [*log[:4], *log[5:]], "need a loss at every rate, got none at point 2"),
        (lambda log: [*log[:3], *log[4:]], "need finite rates above 0, got nan at point 2"),
        (lambda log: [*log, *log[1:]], "got nan at point 2"),
    ],
    ids=["a loss", "a rate", "two runs"],
)
def test_a_log_in_which_a_step_lacks_something_is_refused(tmp_path, change, message):
    (tmp_path / "metrics.csv").write_text("\n".join(change(lightning_log())))
    with pytest.raises(InputError, match=message):
        read_history(tmp_path / "metrics.csv")


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.csv: No such file"):
        read_history(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="got the folder"):
        read_history(tmp_path)


def test_an_unknown_tool_is_named(tmp_path):
    path = as_json(tmp_path, {"lr": RATES.tolist(), "loss": raw_losses().tolist()})
    with pytest.raises(InputError, match="got 'me'"):
        read_history(path, smoothed_by="me")
