"""The figures of bounds show the bounds where they lie, once per notebook cell."""

from __future__ import annotations

import base64
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lrcycles.bounds import plots
from lrcycles.bounds.select import Bounds, select_bounds
from lrcycles.errors import InputError
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


@pytest.fixture(scope="module")
def swept() -> tuple[Curves, Bounds]:
    table = report_inputs.range_curves()
    curves = Curves(table, ramp="exponential")
    return curves, select_bounds(curves, rule="steep")


def test_bounds_are_drawn_into_given_axes_and_a_derived_base_lr_has_no_band(swept):
    curves, bounds = swept
    left, right = Figure().subplots(1, 2)
    assert plots.plot_bounds(curves, bounds, ax=right) is right
    assert not left.lines
    assert right.get_xscale() == "log"
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels == [f"base_lr = {bounds.base_lr:.3g}", f"max_lr = {bounds.max_lr:.3g}"]
    bands = [patch.get_label() for patch in right.patches]
    assert "max_lr over the seeds" in bands
    assert "base_lr over the seeds" not in bands
    assert right.get_xlim()[0] < bounds.base_lr


def test_bounds_of_a_linear_ramp_and_of_one_seed_are_drawn_into_axes():
    rates = np.linspace(1e-3, 1, 80)
    table = pd.DataFrame({"seed": 3, "step": np.arange(1, 81), "lr": rates})
    curves = Curves(table.assign(loss=(np.log10(rates) + 1) ** 2), ramp="linear")
    ax = Figure().subplots()
    plots.plot_bounds(curves, select_bounds(curves, rule="thirds"), ax)
    assert ax.get_xscale() == "linear"


def test_what_cannot_be_plotted_is_refused(swept):
    curves, bounds = swept
    with pytest.raises(InputError, match=r"Received: Bounds and Curves\. Pass both in that order"):
        plots.plot_bounds(bounds, curves)
    with pytest.raises(InputError, match=r"ax must be one .* Received: ndarray\. Pass one"):
        plots.plot_bounds(curves, bounds, Figure().subplots(2))
    polar = Figure().subplots(subplot_kw={"projection": "polar"})
    with pytest.raises(InputError, match=r"without another projection\. Received: PolarAxes"):
        plots.plot_bounds(curves, bounds, polar)
