"""Writes report.html, report.md, metrics.json, headline.json and the tables of DVC plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from lrcycles import files
from lrcycles.config.schema import Report
from lrcycles.evidence.gather import gather
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import counted
from lrcycles.report.metrics import headline_metrics, metrics, plot_tables
from lrcycles.report.rendering import data_url, relative_to, render
from lrcycles.report.section import Downloads, Folded, Picture, Section, Text, pictures_of
from lrcycles.report.sections import (
    averages,
    bounds,
    budgets,
    cautions,
    claims,
    controlled,
    data,
    factorial,
    protocol,
    reference,
    replay,
    short,
    terms,
    time,
)

# In the order of the page. A section that has nothing to show is left out.
SECTIONS: Sequence[ModuleType] = (
    short,
    cautions,
    replay,
    factorial,
    reference,
    budgets,
    bounds,
    controlled,
    averages,
    time,
    claims,
    data,
    protocol,
    terms,
)


@dataclass(frozen=True)
class Head:
    """The head of the page; `commit` is of the code that ran."""

    title: str
    experiment: str
    date: str
    commit: str = ""


@dataclass(frozen=True)
class Built:
    """A report that was written: its metrics, and its answers in Markdown."""

    metrics: dict[str, Any]
    short: str


def build(
    *,
    artifacts: Path,
    out: Path,
    report: Report,
    experiment: str,
    date: str,
    commit: str = "",
    against: Mapping[str, Sequence[str]] | None = None,
) -> Built:
    """Write the report of the stages' files in `artifacts` into `out`.

    Args:
        report: conf/report.
        date: as it stands in the head; nothing else changes from one day to the next.
        commit: of the code that ran.
        against: by arm, the arms it is compared with where that is not the baseline alone.
    """
    evidence = gather(artifacts, report, against)
    head = Head(short.title(evidence), experiment, date, commit)
    built = write_report(evidence, head, out=out)
    files.write_json(out / "headline.json", headline_metrics(built.metrics))
    return built


def write_report(evidence: Evidence, head: Head, *, out: Path) -> Built:
    """Write what `evidence` holds into `out`: page, Markdown, figures, metrics and tables."""
    numbers = metrics(evidence)
    files.write_json(out / "metrics.json", numbers)
    raw = [out / "metrics.json"]
    for name, table in plot_tables(evidence).items():
        raw.append(out / f"plots/{name}.csv")
        files.write_text(raw[-1], table.to_csv(index=False))
    made = [module.section(evidence) for module in SECTIONS]
    sections = [section for section in made if section is not None]
    sections.append(_raw_data(head, raw))
    pictures = [picture for section in sections for picture in pictures_of(section.blocks)]
    for picture in pictures:
        _write_picture(out / f"figures/{picture.name}.png", picture)
    runs = {len(arm.cells) for arm in evidence.arms.values()}
    page = {
        "head": head,
        "seeds": " or ".join(counted(count, "seed") for count in sorted(runs)),
        "trained": short.trained(evidence),
        "out": out,
        "number_of": {picture.name: place for place, picture in enumerate(pictures, start=1)},
    }
    for name, url in (("report.html", data_url), ("report.md", relative_to(out))):
        files.write_text(out / name, render(name, sections=sections, url=url, **page))
    shown = [block for block in sections[0].blocks if not isinstance(block, Folded | Picture)]
    answers = [replace(sections[0], blocks=shown)]
    return Built(numbers, render("sections.md", sections=answers, url=relative_to(out), **page))


def _raw_data(head: Head, paths: Sequence[Path]) -> Section:
    blocks: list[Downloads | Text] = [Downloads(sorted(paths, key=lambda path: path.name))]
    if head.commit:
        blocks.append(Text(f"Code: commit {head.commit}."))
    about = "The results of every run, every epoch and every comparison, to save as files."
    return Section("raw", "Raw data", blocks, about=about)


def _write_picture(target: Path, picture: Picture) -> None:
    if isinstance(picture.drawn, Path):
        with files.replacing(target) as temporary_path:
            temporary_path.write_bytes(picture.drawn.read_bytes())
    else:
        files.write_figure(target, picture.drawn)
