"""Shows the data: sample images, the balance of the classes, counts and digests."""

from __future__ import annotations

from lrcycles.evidence.weigh import Evidence
from lrcycles.report.section import Picture, Section, Table


def section(evidence: Evidence) -> Section | None:
    """Show the data; None where two experiments are compared."""
    if evidence.of_stages is None:
        return None
    folder = evidence.stages.artifacts / "data"
    return Section(
        "data",
        "The data",
        [
            Picture(
                "digits",
                folder / "digits.png",
                "Ten images of every class.",
                "The first images of every class.",
                photo=True,
            ),
            Picture(
                "classes",
                folder / "classes.png",
                "The share of every class in each split.",
                "Class balance of the splits.",
            ),
            _table(evidence),
        ],
        about="The first images, the balance of the classes, counts and digests.",
    )


def _table(evidence: Evidence) -> Table:
    data = evidence.stages.data
    rows = [[f"{part} images", f"{count:,}"] for part, count in data["counts"].items()]
    shape = " x ".join(map(str, data["image_shape"]))
    rows += [["image shape", shape], ["split seed", str(data["split_seed"])]]
    for part, digest in data["sha256"].items():
        rows.append([f"SHA-256 {part.replace('_', ' ')}", digest])
    rows.append(["digest of data and split", str(data["digest"])])
    return Table(["", f"{data['name']}, from {data['source']}"], rows)
