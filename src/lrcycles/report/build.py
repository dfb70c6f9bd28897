"""How does the evidence become report.html, report.md, metrics.json and the tables of DVC plots?"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles import files
from lrcycles.evidence.comparisons import ERROR, TIME
from lrcycles.evidence.gather import Evidence, gather
from lrcycles.report import answers, evidence_tables, published, tables, wording
from lrcycles.report.cautions import cautions
from lrcycles.report.metrics import metrics, plot_tables
from lrcycles.report.pictures import Picture, of_arms, pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Does cycling the learning rate help here?"
_ONLY_OF_STAGES = [
    "source",
    "differences",
    "headline",
    "glance",
    "ingredients",
    "waterfall",
    "reference",
    "reproduced",
    "reference_notes",
    "side_claims",
    "tuning",
    "replay",
    "deviations",
    "bounds",
    "chosen",
    "reasons",
    "data",
    "protocol",
]


def build(
    *,
    artifacts: Path,
    out: Path,
    report_config: Mapping[str, Any],
    experiment: str,
    date: str,
    commit: str = "unknown",
    against: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Write the report of the stages' files in `artifacts` into `out`; return its metrics.

    Args:
        report_config: conf/report.
        date: as it shall stand in the head; nothing else changes from one day to the next.
        commit: of the code that ran.
        against: by arm, the arms it is compared with where that is not the baseline.
    """
    evidence = gather(artifacts, report_config, against)
    drawn = pictures(evidence, report_config["published"])
    shown = {"title": TITLE, "experiment": experiment, "date": date, "commit": commit}
    shown |= _of_arms(evidence) | _of_stages(evidence, report_config)
    return _write(evidence, out, drawn, shown)


def build_comparison(evidence: Evidence, *, out: Path, title: str, date: str) -> dict[str, Any]:
    """Write the report of two experiments that `comparing.compare_two` has put side by side."""
    pictures = of_arms(evidence)
    shown: dict[str, Any] = {"title": title, "experiment": "", "date": date, "commit": ""}
    shown |= dict.fromkeys(_ONLY_OF_STAGES) | _of_arms(evidence)
    shown["summary"] = wording.judged_pairs(evidence)
    return _write(evidence, out, pictures, shown)


def _write(
    evidence: Evidence,
    out: Path,
    pictures: Mapping[str, Picture],
    shown: Mapping[str, Any],
) -> dict[str, Any]:
    found = metrics(evidence)
    files.write_json(out / "metrics.json", found)
    for name, table in plot_tables(evidence).items():
        files.write_text(out / f"plots/{name}.csv", table.to_csv(index=False))
    for name, picture in pictures.items():
        _write_picture(out / f"figures/{name}.png", picture.drawn)

    def render(template: str, url: Callable[[Path], str]) -> str:
        """Fill in a template whose files stand beside it, or lie inside it."""
        raw = {path.name: url(path) for path in [out / "metrics.json", *out.glob("plots/*.csv")]}
        drawn = {
            name: {"src": url(out / f"figures/{name}.png"), "alt": picture.alt}
            for name, picture in pictures.items()
        }
        return _render(template, pictures=drawn, downloads=dict(sorted(raw.items())), **shown)

    files.write_text(
        out / "report.md", render("report.md.j2", lambda path: path.relative_to(out).as_posix())
    )
    files.write_text(out / "report.html", render("report.html.j2", _data_url))
    return found


def _write_picture(target: Path, drawn: Figure | Path) -> None:
    if isinstance(drawn, Path):
        with files.replacing(target) as beside:
            beside.write_bytes(drawn.read_bytes())
    else:
        files.write_figure(target, drawn)


def _render(template: str, **shown: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lrcycles.report"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_unbroken if template.endswith(".html.j2") else None,
    )
    environment.filters["cell"] = lambda text: text.replace("|", "\\|").replace("\n", " ")
    return environment.get_template(template).render(**shown)


def _unbroken(shown: Any) -> Any:
    """Keep a figure and its unit on one line."""
    if type(shown) is not str:  # not Markup, which is a macro's finished HTML
        return shown
    for text, kept in ((" %", "~%"), (" ± ", "~±~"), (" = ", "~=~"), ("< .", "<~.")):
        shown = shown.replace(text, kept.replace("~", "\u00a0"))
    return shown


def _data_url(path: Path) -> str:
    kind = "image/png" if path.suffix == ".png" else "text/plain"
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _of_arms(evidence: Evidence) -> dict[str, Any]:
    """What every report shows, as text and tables of text."""
    names = evidence.controlled
    return {
        "seeds": sorted({len(arm.cells) for arm in evidence.arms.values()}),
        "errors": evidence_tables.losses_and_errors(evidence, names),
        "error_comparisons": tables.comparisons(evidence, ERROR, names),
        "controlled_seeds": tables.seeds(evidence, names),
        "chances": evidence_tables.chances(evidence),
        "times": tables.times(evidence),
        "time_comparisons": tables.comparisons(evidence, TIME, names),
        "time_notes": wording.time_notes(evidence),
        "warnings": cautions(evidence),
        "reaching": evidence_tables.reaching(evidence),
        "arms": tables.settings(evidence),
        "machine": tables.machine(evidence),
        "rule": wording.rule(evidence),
    }


def _of_stages(evidence: Evidence, report_config: Mapping[str, Any]) -> dict[str, Any]:
    """What only the report of a whole pipeline shows."""
    replay, figures = evidence.replay, report_config["published"]
    reference, ingredients = None, answers.ingredients(evidence)
    if rows := report_config["reference"]:
        reference = evidence_tables.reference(evidence, rows)
    return {
        "source": report_config["published_source"],
        "differences": wording.differences(evidence),
        "warnings": [*evidence.stages.bounds["warnings"], *cautions(evidence)],
        "headline": tables.headline(evidence),
        "glance": evidence_tables.at_a_glance(evidence, figures),
        "summary": wording.summary(evidence, ingredients),
        "ingredients": ingredients,
        "waterfall": evidence_tables.waterfall(evidence) if evidence.steps else None,
        "reference": reference,
        "reproduced": reference
        and answers.reproduced(reference.rows, report_config["reference_source"]),
        "reference_notes": report_config["reference_notes"],
        "side_claims": answers.side_claims(evidence),
        "tuning": answers.tuning(evidence),
        "replay": tables.replay(evidence, figures) if replay else None,
        "replay_comparisons": tables.comparisons(evidence, ERROR, replay),
        "replay_seeds": tables.seeds(evidence, replay),
        "what_was_published": published.what_was_published(evidence, figures),
        "deviations": published.DEVIATIONS if replay else None,
        "bounds": tables.bounds(evidence),
        "chosen": wording.chosen_bounds(evidence),
        "reasons": evidence.stages.bounds["reasons"],
        "data": tables.data(evidence),
        "protocol": wording.protocol(evidence),
    }
