from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock

from tests.pipelines.project import Project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone whose default is the smoke experiment, reproduced and committed.

    Reproducing takes a minute, so all test processes copy one project.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "reproduced"
    done = Path(f"{shared}.done")
    with FileLock(f"{shared}.lock"):
        if not done.exists():
            made = Project(shared)
            made.repro()
            made.run("git", "add", "-A")
            made.run("git", "commit", "-qm", "reproduced")
            done.touch()
    return Project.copy_of(shared, tmp_path_factory.mktemp("copy") / "project")
