"""The figures of bounds show the bounds where they lie, once per notebook cell."""

from __future__ import annotations

import base64
import sys
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from lrcycles.bounds import plots
from lrcycles.bounds.select import select_bounds
from lrcycles.range_tests.curves import Curves
from tests import report_inputs
from tests.figure_contents import legend, lines


def test_bounds_stand_on_the_curves_with_their_values_in_thelegend():
    bounds = report_inputs.bounds()
    figure = plots.bounds_on_curve(report_inputs.range_curves(), bounds)
    at = [line[0, 0] for line in lines(figure, 0)[-2:]]
    assert at == [bounds["base_lr"], bounds["max_lr"]]
    assert {"base_lr = 0.00032", "max_lr = 0.0064"} <= set(legend(figure))


@pytest.fixture
def shell(monkeypatch):
    """The parts of IPython's shell that plots use; `outputs` collects what the cells show."""
    outputs = []
    shell = SimpleNamespace(
        execution_count=1, display_pub=SimpleNamespace(publish=outputs.append), outputs=outputs
    )
    # Matplotlib reads the version when it makes the first canvas of a process.
    ipython = SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0, 0))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return shell


def _plotted_bounds() -> Figure:
    curves = Curves(report_inputs.range_curves())
    return plots.plot_bounds(curves, select_bounds(curves, rule="smith"))


def test_a_notebook_shows_the_bounds_wherever_in_a_cell_they_are_plotted(shell):
    _plotted_bounds()
    (output,) = shell.outputs
    assert base64.b64decode(output["image/png"]).startswith(b"\x89PNG")


def test_a_figure_that_ends_a_cell_is_not_shown_twice_but_again_in_a_later_one(shell):
    figure = _plotted_bounds()
    figure._ipython_display_()  # what IPython calls for the value of a cell
    assert len(shell.outputs) == 1
    for count in (2, 3):
        shell.execution_count = count
        figure._ipython_display_()
        figure._ipython_display_()
        assert len(shell.outputs) == count


def test_a_script_that_has_loaded_ipython_shows_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not hasattr(_plotted_bounds(), "_ipython_display_")


def test_a_plot_of_bounds_leaves_no_open_figure():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    _plotted_bounds()
    assert pyplot.get_fignums() == before
