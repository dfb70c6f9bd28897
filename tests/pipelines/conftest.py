from __future__ import annotations

import pytest

from tests.pipelines.project import Project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone whose default is the smoke experiment, reproduced once and committed."""
    made = Project(tmp_path_factory.mktemp("project"))
    made.repro()
    made.run("git", "add", "-A")
    made.run("git", "commit", "-qm", "reproduced")
    return made
