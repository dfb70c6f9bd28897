"""Defines a section of the report as a value: a title and the blocks below it.

Sections hold text and figures and no markup. One loop renders them as HTML, one as Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Tone(StrEnum):
    """How a verdict is coloured."""

    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"


@dataclass(frozen=True)
class VerdictCell:
    """A table cell that holds a verdict, in the first column a whole answer."""

    text: str
    tone: Tone


Cell = str | VerdictCell


@dataclass(frozen=True)
class Text:
    """A paragraph; a `quiet` one is a note in smaller letters."""

    kind: ClassVar[str] = "text"
    text: str
    quiet: bool = False


@dataclass(frozen=True)
class Lead:
    """The answer of the report in large letters, a paragraph for each line."""

    kind: ClassVar[str] = "lead"
    lines: Sequence[str]


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    kind: ClassVar[str] = "points"
    lines: Sequence[str]


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Table:
    """A table of text; its first column names the rows.

    Attributes:
        grid: many columns of short numbers. On a phone it scrolls sideways, while the rows of
            other tables become blocks of names and values.
    """

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    grid: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure, or the file of one that a stage has drawn.

    Attributes:
        name: of the file under figures/.
        alt: what the picture shows, for readers who cannot see it.
        photo: keeps its colours on a dark page.
    """

    kind: ClassVar[str] = "picture"
    name: str
    drawn: Figure | Path
    alt: str
    caption: str
    photo: bool = False


@dataclass(frozen=True)
class Downloads:
    """Links to the files that hold the raw data."""

    kind: ClassVar[str] = "downloads"
    paths: Sequence[Path]


@dataclass(frozen=True)
class Folded:
    """Blocks that a click unfolds."""

    kind: ClassVar[str] = "folded"
    title: str
    blocks: Sequence[Block]


Block = Text | Lead | Points | Heading | Table | Picture | Downloads | Folded


class Look(StrEnum):
    """How a section stands on the page: open in a box, or folded until a click."""

    FOLDED = "folded"
    BOX = "box"
    WARNING = "warning"


@dataclass(frozen=True)
class Section:
    """A titled part of the report.

    Attributes:
        anchor: its address within the page.
        about: what it holds, for readers who see only the title.
    """

    anchor: str
    title: str
    blocks: Sequence[Block]
    look: Look = Look.FOLDED
    about: str = ""


@dataclass(frozen=True)
class Screen:
    """The answer of a report: what fits on one screen.

    Attributes:
        lead: the answer in a few sentences.
        lines: what it rests on.
        shown: a figure, if there is one, a table, and perhaps a note on it.
        compared: blocks about the comparisons behind it, which a click unfolds.
    """

    lead: Sequence[str]
    lines: Sequence[str]
    shown: Sequence[Picture | Table | Text | None]
    compared: Sequence[Block] = ()


def pictures_of(blocks: Sequence[Block]) -> list[Picture]:
    """List every picture among blocks, folded ones included."""
    pictures = []
    for block in blocks:
        if isinstance(block, Picture):
            pictures.append(block)
        elif isinstance(block, Folded):
            pictures += pictures_of(block.blocks)
    return pictures
