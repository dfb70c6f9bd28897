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
    "only names": (b"lr,loss\n", "without rows"),
    "binary": (bytes(range(256)) * 20, "binary"),
    "broken parquet": (b"PAR1" + bytes(50), "CSV, JSON or parquet file.*cannot be read"),
    "broken json": (b'{"lr": [1, 2', "CSV, JSON or parquet file.*cannot be read"),
    "json without columns": (b"[1, 2, 3]", "JSON must have the form.*no such lists"),
    "no lr": (CSV.replace("lr", "speed").encode(), r"a column lr .*Received: .*speed, loss"),
    "no loss": (CSV.replace("loss", "cost").encode(), r"a column loss .*Received: .*lr, cost"),
    "other lengths": (b'{"lr": [1, 2, 3], "loss": [1, 2]}', "Received: lr 3, loss 2"),
    "words": (CSV.replace("1.1", "high", 1).encode(), "Received: 'high"),
    "lists of rates": (
        json.dumps({"lr": [[1, 2]] * 30, "loss": [1] * 30}).encode(),
        r"Column lr .* must contain numbers\. Received: '\[1, 2\]' in row 1",
    ),
    "few": (
        b"lr,loss\n" + b"".join(b"%d,1\n" % n for n in range(1, 20)),
        "20 points.*Received: 19",
    ),
    "a training": (
        CSV.encode() + CSV.partition("\n")[2].encode(),
        "Received: 1e-07 after 10 at point 101.* not a training",
    ),
    "zero": (
        b"lr,loss\n" + b"".join(b"%d,1\n" % n for n in range(30)),
        "above 0. Received: 0 at point 1",
    ),
    "no rate": (CSV.replace("1e-07,", ",", 1).encode(), "Received: nan at point 1"),
    "no finite loss": (
        b"lr,loss\n" + b"".join(b"%d,nan\n" % n for n in range(1, 40)),
        "must have finite losses",
    ),
    "gaps": (
        b"lr,loss\n" + b"".join(b"%d,%s\n" % (n, b"1" if n % 2 else b"") for n in range(1, 40)),
        "Received: none at point 2",
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
        (lambda log: [*log[:4], *log[5:]], "must have a loss at every rate.*none at point 2"),
        (lambda log: [*log[:3], *log[4:]], "finite and above 0.*nan at point 2"),
        (lambda log: [*log, *log[1:]], "Received: nan at point 2"),
    ],
    ids=["a loss", "a rate", "two runs"],
)
def test_a_log_in_which_a_step_lacks_something_is_refused(tmp_path, change, message):
    (tmp_path / "metrics.csv").write_text("\n".join(change(lightning_log())))
    with pytest.raises(InputError, match=message):
        read_history(tmp_path / "metrics.csv")


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.csv.*No such file"):
        read_history(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="Received: the folder"):
        read_history(tmp_path)


def test_an_unknown_tool_is_named(tmp_path):
    path = as_json(tmp_path, {"lr": RATES.tolist(), "loss": raw_losses().tolist()})
    with pytest.raises(InputError, match=r"smoothed_by.*Received: 'me'"):
        read_history(path, smoothed_by="me")
