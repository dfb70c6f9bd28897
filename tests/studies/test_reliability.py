"""Makes the page on reliability from planted counts."""

import json

from studies.reliability import page, read


def _count(kind, test, figures=None, **outcomes):
    line = {"kind": kind, "test": test, "outcomes": outcomes}
    return json.dumps(line | ({"figures": figures} if figures else {})) + "\n"


def test_the_page_adds_up_the_last_run_of_each_test(tmp_path):
    counts = tmp_path / "counts.jsonl"
    counts.write_text(
        _count("signals", "a", recovered=3, traceback=9)
        + _count("signals", "a", recovered=12)
        + _count("signals", "b", named=30)
        + _count("full disk", "c", recovered=2)
    )
    text = page(read(counts), [], date="2026-01-02", machine="Linux")
    assert "| signals | 42 | 0 | 12 | 30 | 0 | 0 | 0 | 0 |" in text
    assert "At least 5 faults are asked for. Planted: 2." in text
    assert text.count("At least 20 faults") == 0
    assert "Hours of pipelines" not in text


def test_the_page_shows_the_largest_of_what_was_measured(tmp_path):
    counts = tmp_path / "counts.jsonl"
    measured = [("a", {"seconds to the end": 0.25}), ("b", {"seconds to the end": 3.14159})]
    lines = [_count("signals", test, figures, named=10) for test, figures in measured]
    counts.write_text("".join(lines))
    text = page(read(counts), [], date="2026-01-02", machine="Linux")
    assert "| seconds to the end | 3.14 |" in text
    assert text.count("measured") == 1


def test_the_page_shows_what_grew_over_hours():
    rounds = [
        {
            "seconds": 60.0,
            "peak_bytes": 1e9 + 1e6 * number,
            "peak_files": 100,
            "open_processes": 0,
            "temporary_entries": 7,
            "entries": 10 * (number + 1),
            "bytes": {"cell store": 5e6},
        }
        for number in range(3)
    ]
    text = page({}, rounds, date="2026-01-02", machine="Linux")
    assert "ran 3 pipelines in 3 minutes" in text
    assert "| most memory (MB) | 1,000 | 1,001 | 1,002 | 1,002 |" in text
    assert "| entries of the cell store | 10 | 20 | 30 | 30 |" in text
