"""Shows the progress of sweeps and trials: a bar with the time left in a terminal or notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Progress:
    """A bar that counts the updates of all seeds."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def expect(self, updates: int) -> None:
        """Expect so many updates of all seeds from now on, because the range has changed."""
        self._bar.reset(total=updates)

    def step(self, seed: int, rate: float, loss: float) -> None:
        """Count one update."""
        self._bar.set_postfix_str(f"seed {seed}, lr {rate:.2g}, loss {loss:.3g}", refresh=False)
        self._bar.update()

    def skip(self, steps: int) -> None:
        """Count the updates that a sweep spared because it stopped early."""
        self._bar.update(steps)


@contextmanager
def bar(*, verbose: bool | str, name: str = "range test") -> Iterator[Progress]:
    """Open a bar; `verbose` is True, False or "auto", which is True where somebody can see it."""
    from tqdm.auto import tqdm

    seen = sys.stderr.isatty() or "ipykernel" in sys.modules
    disabled = not (seen if verbose == "auto" else verbose)
    with tqdm(desc=name, unit="step", disable=disabled) as shown:
        yield Progress(shown)
