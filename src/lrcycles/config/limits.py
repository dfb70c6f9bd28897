"""Says what a number or a text may be. The schema gives every key its limits."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lrcycles.config import plain
from lrcycles.errors import InputError
from lrcycles.schedules.limits import is_number

MOST_DEPTH = 12  # of mappings and lists within one another
MOST_ITEMS = 10_000  # of a list, such as one of seeds
MOST_LETTERS = 1000  # of one text, and of one word of an override
MOST_LETTERS_OF_KEY = 200
MOST_LETTERS_OF_OVERRIDE = 20_000  # Hydra's parser takes seconds for more
_ENDLESS = re.compile(r"[^\s,:=\[\]{}()]" + f"{{{MOST_LETTERS + 1},}}")
MOST_VALUES = 100_000  # of one file
MOST_WHOLE = 2**63 - 1  # that files and MLflow hold
MOST_UPDATES = 2**29  # of all trainings: their rates fill 2 GiB
_BLANKS = "\n\t\xa0\u202f\u2009"  # of texts of several lines, and of tables of numbers

# An arm's name becomes a folder, a column, a row and an anchor. These names are taken there, or
# pandas reads them as NaN.
RESERVED = frozenset(
    {
        "null",
        "na",
        "nan",
        "none",
        "bounds",
        "comparisons",
        "report",
        "train",
        "target_validation_error_percent",
    }
)


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, or one of `words`.

    Args:
        above: `low` itself is refused.
        below: `high` itself is refused.
    """

    low: float
    high: float
    words: tuple[str, ...] = ()
    whole: bool = False
    above: bool = False
    below: bool = False

    @property
    def rule(self) -> str:
        """What a value must be.

        >>> print(Number(1, 1024, ("auto",), whole=True).rule)
        auto or a whole number from 1 to 1,024
        >>> print(Number(0, 1, above=True).rule)
        a number above 0 and at most 1
        """
        low, high = (f"{int(x):,}" if x == int(x) else f"{x:g}" for x in (self.low, self.high))
        limits = f"from {low} to {high}"
        if self.above or self.below:
            lower = "above" if self.above else "of at least"
            limits = f"{lower} {low} and {'below' if self.below else 'at most'} {high}"
        kind = "a whole number" if self.whole else "a number"
        return f"{', '.join(self.words)}{' or ' if self.words else ''}{kind} {limits}"

    @property
    def example(self) -> Any:
        """A value that is allowed."""
        if self.words:
            return self.words[0]
        if 0 < self.low < 0.001 or (self.above and self.low == 0):
            return 0.001
        return 2 * self.low if self.above else self.low

    def allows(self, value: Any) -> bool:
        """Return whether a value is one of the words or within the limits."""
        if isinstance(value, str):
            return value in self.words
        if not is_number(value) or (self.whole and not isinstance(value, int)):
            return False
        ends = [end for end, out in ((self.low, self.above), (self.high, self.below)) if out]
        return bool(self.low <= value <= self.high and value not in ends)


@dataclass(frozen=True)
class Text:
    """A text of printable characters that matches a pattern."""

    rule: str
    example: str
    pattern: str
    most_letters: int = 100  # it becomes a folder, a file or a label of a figure

    def allows(self, value: Any) -> bool:
        """Return whether a value is such a text."""
        if not isinstance(value, str) or len(value) > self.most_letters:
            return False
        return value.isprintable() and re.fullmatch(self.pattern, value) is not None


def whole(low: int, high: int, *words: str) -> Number:
    """Return the limits of a whole number, and the words that may stand for it."""
    return Number(low, high, words, whole=True)


NAME = Text(
    "a name of letters, digits, blanks and . _ + -, with at most 100 characters and a letter or "
    "digit first",
    "mine",
    r"[^\W_]([\w .+-]*[\w.+-])?",
)
# matplotlib would read $ as the start of a formula.
LABEL = Text(
    "a text of 1 to 100 printable characters without $, not . or .., and without blanks at its "
    "ends",
    "cat",
    r"(?!\.{1,2}$)[^\s$]([^$]*[^\s$])?",
)


def may_name_an_arm(name: str) -> bool:
    """Return whether an arm may have this name, in this experiment or another."""
    return (
        re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{,59}", name) is not None
        and name.lower() not in RESERVED
    )


def need(key: str, value: Any, limits: Number | Text, *, remedy: str = "") -> None:
    """Refuse a value beyond its limits.

    Args:
        key: the full dotted key.
    """
    if not limits.allows(value):
        remedy = remedy or f"Set {key}={plain.typed(limits.example)}, for example."
        raise InputError(
            f"{key} must be {limits.rule}. Received: {plain.received(value)}. {remedy}"
        )


def need_updates(key: str, updates: int, received: str, *, most: int = MOST_UPDATES) -> None:
    """Refuse more updates than their rates and losses can be kept of."""
    if updates > most:
        raise InputError(
            f"{key} must ask for at most {most:,} updates. Received: {updates:,} updates, from "
            f"{received}. Lower one of them."
        )


def need_rates(where: str, rates: Mapping[str, Any], *, words: Collection[str] = ()) -> None:
    """Refuse what is no rate, and a first rate that is not below the second.

    Args:
        rates: one or two, by the last part of their key.
        words: stand for rates that are not known yet.
    """
    or_word = ", `bounds` or `peak`" if words else ""
    for name, value in rates.items():
        if value not in words and (not is_number(value) or value <= 0):
            raise InputError(
                f"{where}.{name} must be a rate above 0{or_word}. Received: {value!r}. "
                f"Set {where}.{name}=0.001, for example."
            )
    if len(rates) == 2 and not set(words) & set(rates.values()):
        (low, base_lr), (high, max_lr) = rates.items()
        if base_lr >= max_lr:
            raise InputError(
                f"{where}.{low} must be below {where}.{high}. Received: {low}={base_lr}, "
                f"{high}={max_lr}. Swap or change them."
            )


def need_plain(values: Mapping[str, Any]) -> None:
    """Refuse what no key may hold: control characters, numbers that are not finite, deep nesting.

    The walk needs no recursion, which deep values would exhaust.
    """
    waiting: list[tuple[str, Any, int]] = [("", values, 0)]
    while waiting:
        key, value, depth = waiting.pop()
        if depth > MOST_DEPTH:
            _refuse(key, f"a value of at most {MOST_DEPTH} levels", "more levels")
        if isinstance(value, Mapping | list) and len(value) > MOST_ITEMS:
            _refuse(key, f"a list or mapping of at most {MOST_ITEMS:,} items", len(value))
        if isinstance(value, Mapping | list):
            waiting += [(inner, each, depth + 1) for inner, each in _inner(key, value)]
        elif not isinstance(value, str | bool | int | float | None):
            _refuse(key, "a number, a text, true, false or null", type(value).__name__)
        elif isinstance(value, float) and not math.isfinite(value):
            _refuse(key, "a finite number", value)
        elif isinstance(value, int) and abs(value) > MOST_WHOLE:
            _refuse(key, "a number of at most 64 bits", value)
        elif isinstance(value, str) and not _is_readable(value):
            _refuse(key, f"a text of at most {MOST_LETTERS:,} printable characters", value)


def _inner(key: str, value: Mapping[Any, Any] | list[Any]) -> Iterable[tuple[str, Any]]:
    if isinstance(value, list):
        return ((f"{key}[{index}]", each) for index, each in enumerate(value))
    for name in value:
        if not isinstance(name, str) or len(name) > MOST_LETTERS or not name.isprintable():
            of = f"Every key of {plain.shown(key)}" if key else "Every key"
            raise InputError(
                f"{of} must be a text of at most {MOST_LETTERS:,} printable characters. "
                f"Received: {plain.received(name)}. Rename it."
            )
    return ((f"{key}.{name}" if key else name, each) for name, each in value.items())


def _is_readable(text: str) -> bool:
    return len(text) <= MOST_LETTERS and all(c.isprintable() or c in _BLANKS for c in text)


def _refuse(key: str, rule: str, value: Any) -> NoReturn:
    raise InputError(
        f"{plain.shown(key)} must be {rule}. Received: {plain.received(value)}. Correct the value."
    )


def need_few_values(files: Iterable[Path]) -> None:
    """Refuse YAML files whose aliases stand for more values than memory holds.

    A file that is no YAML passes: who reads it names the mistake.
    """
    import yaml

    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
            if "&" not in text or "*" not in text:
                continue
            count = _count(yaml.compose(text, Loader=yaml.SafeLoader), {})
        except (OSError, ValueError, RecursionError, yaml.YAMLError):
            continue
        if count > MOST_VALUES:
            raise InputError(
                f"{path.name} must hold at most {MOST_VALUES:,} values. Received: {count:,}, "
                "because aliases repeat others. Write the values without aliases."
            )


def _count(node: Any, counted: dict[int, int]) -> int:
    """Count the values below a node of YAML; one that contains itself counts as one."""
    if id(node) not in counted:
        counted[id(node)] = 1
        below = getattr(node, "value", None)
        if isinstance(below, list):
            parts = itertools.chain.from_iterable(p if isinstance(p, tuple) else [p] for p in below)
            counted[id(node)] = 1 + sum(_count(part, counted) for part in parts)
    return counted[id(node)]


def need_readable(overrides: Iterable[str]) -> None:
    """Refuse overrides that Hydra takes without effect, or that its parser cannot bear.

    Raises:
        InputError: an override holds control characters, endless words or deep nesting, or is a
            setting of Hydra's own.
    """
    for text in overrides:
        key = text.partition("=")[0]
        depth = max(itertools.accumulate(map(_opens, text)), default=0)
        rule = None
        if not text.isprintable():
            rule = "An override must have printable characters only"
        elif len(key) > MOST_LETTERS_OF_KEY:
            rule = f"A key must have at most {MOST_LETTERS_OF_KEY} characters"
        elif len(text) > MOST_LETTERS_OF_OVERRIDE or _ENDLESS.search(text):
            rule = f"A word of an override must have at most {MOST_LETTERS:,} characters"
        elif depth > MOST_DEPTH:
            rule = f"A value must have at most {MOST_DEPTH} levels of lists and mappings"
        elif key.lstrip("+~").startswith(("hydra.", "hydra/")):
            rule = "Settings of Hydra must be left out, because they change nothing here"
        if rule:
            raise InputError(
                f"{rule}. Received: {plain.shown(text)}. Correct or remove {plain.shown(key)}."
            )


def _opens(letter: str) -> int:
    return (letter in "[{(") - (letter in "]})")
