"""Writes report.html, report.md, metrics.json, headline.json and the tables of DVC plots."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lrcycles import files
from lrcycles.config.schema import Report
from lrcycles.evidence.gather import gather
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import counted
from lrcycles.report.metrics import headline_metrics, metrics, plot_tables
from lrcycles.report.section import Downloads, Picture, Section, Text, pictures_of
from lrcycles.report.sections import (
    bounds,
    cautions,
    claims,
    controlled,
    data,
    ingredients,
    protocol,
    rates,
    reference,
    replay,
    short,
    terms,
    time,
)

TITLE = "Does cycling the learning rate help here?"
# In the order of the page. A section that has nothing to show is left out.
SECTIONS: Sequence[ModuleType] = (
    short,
    cautions,
    replay,
    ingredients,
    reference,
    bounds,
    controlled,
    time,
    claims,
    rates,
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
    """A report that was written: its metrics, and its first section as Markdown."""

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
    head = Head(TITLE, experiment, date, commit)
    built = write_report(gather(artifacts, report, against), head, out=out)
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
    for section in sections:
        for picture in pictures_of(section.blocks):
            _write_picture(out / f"figures/{picture.name}.png", picture)
    runs = {len(arm.cells) for arm in evidence.arms.values()}
    seeds = " or ".join(counted(count, "seed") for count in sorted(runs))
    page = {"head": head, "seeds": seeds, "out": out}
    for name, url in (("report.html", _data_url), ("report.md", _relative_to(out))):
        files.write_text(out / name, _render(name, sections=sections, url=url, **page))
    first = _render("sections.md", sections=sections[:1], url=_relative_to(out), out=out)
    return Built(numbers, first)


def _raw_data(head: Head, paths: Sequence[Path]) -> Section:
    blocks: list[Downloads | Text] = [Downloads(sorted(paths, key=lambda path: path.name))]
    if head.commit:
        blocks.append(Text(f"Code: commit {head.commit}."))
    return Section("raw", "Raw data", blocks)


def _write_picture(target: Path, picture: Picture) -> None:
    if isinstance(picture.drawn, Path):
        with files.replacing(target) as temporary_path:
            temporary_path.write_bytes(picture.drawn.read_bytes())
    else:
        files.write_figure(target, picture.drawn)


def _relative_to(out: Path) -> Callable[[Path], str]:
    return lambda path: path.relative_to(out).as_posix()


def _data_url(path: Path) -> str:
    kind = "image/png" if path.suffix == ".png" else "text/plain"
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _render(template: str, **values: Any) -> str:
    import jinja2

    html = template.endswith(".html")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lrcycles.report"),
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_unbroken if html else None,
    )
    environment.filters["row"] = _markdown_row
    return environment.get_template(f"{template}.j2").render(**values)


def _markdown_row(cells: Sequence[Any]) -> str:
    texts = [cell if isinstance(cell, str) else cell.text for cell in cells]
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"


def _unbroken(value: Any) -> Any:
    """Keep a figure and its unit on one line."""
    if type(value) is not str:  # Markup is a macro's finished HTML
        return value
    for text, kept in (
        (" %", "~%"),
        (" ± ", "~±~"),
        (" = ", "~=~"),
        ("< 0.", "<~0."),
    ):
        value = value.replace(text, kept.replace("~", "\N{NO-BREAK SPACE}"))
    return value.replace("e-0", "e\N{NON-BREAKING HYPHEN}0")
