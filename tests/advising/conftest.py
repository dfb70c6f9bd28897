"""The data that the tests of `advise` share."""

from __future__ import annotations

import pytest

from tests.range_tests import small_models


@pytest.fixture(scope="session")
def blobs():
    """Samples of three clusters and their labels."""
    return small_models.clusters()
