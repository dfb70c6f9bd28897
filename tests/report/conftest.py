"""Builds the report that the tests read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrcycles.report import build
from tests import report_inputs
from tests.report_inputs import tutorial_arms, write_artifacts


def build_report(folder: Path, arms: Any, **more: Any) -> Path:
    """Write the artifacts of these arms and the report of them; return the report's folder."""
    artifacts = write_artifacts(folder / "artifacts", arms, **more)
    build.build(
        artifacts=artifacts,
        out=folder / "report",
        report=report_inputs.REPORT,
        experiment="tutorial",
        date="2025-01-02",
    )
    return folder / "report"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the tutorial's arms, clr planted .2 points better in every seed."""
    return build_report(
        tmp_path_factory.mktemp("tutorial"),
        tutorial_arms(gain=0.2),
        differences={"train.epochs": {"conf": 10, "used": 3}},
        bound_warnings=["a half-cycle lasts 1.67 epochs, under 2"],
        fit=True,
    )
