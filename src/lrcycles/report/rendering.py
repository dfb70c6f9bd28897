"""Renders sections as HTML or Markdown."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles.report.section import Cell, Table

if TYPE_CHECKING:
    from markupsafe import Markup

_UNITS = "%|±|s|ms|times|decades|percentage|(?:pair|run|seed|step|epoch|cycle|image|row)s?"
# The spaces within a number: before its unit, around signs, and around the "to" of an interval.
_WITHIN = re.compile(
    rf"(?<=\d) (?=(?:{_UNITS})(?!\w))|(?<=±) |(?<=[pn]) (?==)|(?<==) |(?<=<) "
    r"|(?<=\d) (?=(?:to|x) [\N{MINUS SIGN}\d])|(?<=\d to) (?=[\N{MINUS SIGN}\d])|(?<=\d x) (?=\d)"
)
_WHOLE = re.compile(r"(?<!\w)\d[\d.]*e[+-]?\d+(?!\w)")  # a browser would break it after the hyphen
_DIGEST = re.compile(r"\b[0-9a-f]{40,}\b")
_NUMBER = re.compile(r"[<> \N{MINUS SIGN}]*\d[\d.,]*(e-?\d+)?( %)?|\N{EN DASH}|none")


def render(template: str, **values: Any) -> str:
    """Fill a template of templates/."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lrcycles.report"),
        autoescape=template.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"prose": prose, "row": _markdown_row, "numeric": numeric_columns}
    environment.globals["size"] = _size
    return environment.get_template(f"{template}.j2").render(**values)


def data_url(path: Path) -> str:
    """Give a file as an address that holds the file itself."""
    kind = "image/png" if path.suffix == ".png" else "text/plain"
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def relative_to(folder: Path) -> Callable[[Path], str]:
    """Return a function that gives a file's address as seen from a folder."""
    return lambda path: path.relative_to(folder).as_posix()


def prose(text: str) -> Markup:
    """Give text as HTML in which no line breaks within a number and its unit.

    >>> print(prose("2.18e-05 < 1").replace("\N{NO-BREAK SPACE}", "_"))
    <span class="whole">2.18e-05</span> &lt;_1
    """
    from markupsafe import Markup, escape

    kept = str(escape(_WITHIN.sub("\N{NO-BREAK SPACE}", text)))
    kept = _WHOLE.sub(r'<span class="whole">\g<0></span>', kept)
    return Markup(_DIGEST.sub(r'<span class="digest">\g<0></span>', kept))


def numeric_columns(table: Table) -> list[bool]:
    """Tell which columns of a table hold single numbers only; the first one names the rows."""
    columns = zip(*table.rows, strict=True)
    numeric = [all(_NUMBER.fullmatch(_text(cell)) for cell in column) for column in columns]
    return [False, *numeric[1:]]


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell.text


def _markdown_row(cells: Sequence[Cell]) -> str:
    texts = [_text(cell).replace("|", "\\|").replace("\n", " ") for cell in cells]
    return "| " + " | ".join(texts) + " |"


def _size(png: Path) -> tuple[int, int]:
    """Read the width and height of a PNG, in pixels, from its header."""
    width, height = struct.unpack(">II", png.read_bytes()[16:24])
    return width, height
