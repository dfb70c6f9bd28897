"""Pushes results to DVC remotes and takes them up elsewhere, without training."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.faults.results import all_numbers
from tests.pipelines.project import STAGES, Project

pytestmark = pytest.mark.faults

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3, with the bucket `results`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="results")
    yield address
    server.stop()


@pytest.mark.parametrize("remote", ["folder", "s3"])
def test_results_that_were_pushed_are_taken_up_elsewhere_without_training(
    project, remote, s3, tmp_path
):
    url = "s3://results/store" if remote == "s3" else str(tmp_path / "remote")
    project.dvc("remote", "add", "--force", "--default", "shared", url)
    if remote == "s3":
        project.dvc("remote", "modify", "shared", "endpointurl", s3)
    project.dvc("push", **KEYS)
    project.run("git", "commit", "-qam", f"share by {remote}")
    project.run("git", "clone", "-q", str(project.root), str(tmp_path / "elsewhere"))
    elsewhere = Project.__new__(Project)
    elsewhere.root = tmp_path / "elsewhere"
    elsewhere.dvc("pull", **KEYS)
    assert elsewhere.repro() == []
    assert all_numbers(elsewhere.root) == all_numbers(project.root)
    assert elsewhere.run("python", "-m", "lrcycles.stages.checkup").stderr == ""
    # A stage that has to run again finds no cell store here and trains again, to equal results.
    elsewhere.dvc("repro", "--force", "--single-item", "train@clr")
    assert all_numbers(elsewhere.root) == all_numbers(project.root)


def test_the_results_of_the_workspace_survive_dvc_gc(project):
    before, store = all_numbers(project.root), project.root / ".lrcycles" / "cells"
    stored = sorted(path.name for path in store.iterdir())
    project.dvc("gc", "--workspace", "--force")
    for stage in STAGES:
        project.dvc("checkout", "--force", stage)
    assert project.repro() == []
    assert all_numbers(project.root) == before
    assert sorted(path.name for path in store.iterdir()) == stored  # gc is not about the store
