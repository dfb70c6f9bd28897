"""Runs the pipeline on a disk that fills up, then again with space."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from tests.faults.conftest import Faults
from tests.faults.results import all_numbers
from tests.pipelines.project import Project

pytestmark = [pytest.mark.faults, pytest.mark.counts("full disk")]

# The project lies on a disk of its own. `filler` leaves some kB free; without it there is space.
SCRIPT = """
set -u
mount -t tmpfs -o size=600M none {disk}
cp -a {project}/. {disk}/
cd {disk}
free=$(df --output=avail -k . | tail -1)
head -c $((1024 * (free - {left}))) /dev/zero > filler
dvc repro > {logs}/full.out 2> {logs}/full.err; echo $? > {logs}/full.status
rm filler
python -m lrcycles.stages.checkup 2> {logs}/checkup.err
grep -q 'rm .dvc/tmp/rwlock' {logs}/checkup.err && rm .dvc/tmp/rwlock
grep -q 'rm dvc.lock' {logs}/checkup.err && rm dvc.lock
dvc repro > {logs}/again.out 2> {logs}/again.err; echo $? > {logs}/again.status
cp -a artifacts {logs}/artifacts
"""


@pytest.mark.parametrize("left_kb", [40, 300, 700, 1500, 3000, 6000])
def test_a_pipeline_on_a_full_disk_stops_with_one_line_and_continues_with_space(
    project, left_kb, tmp_path, faults: Faults
):
    made = ("artifacts", ".lrcycles", "cache", "tmp", "mlflow.db*", "mlartifacts", "dvc.lock")
    fresh = Project.copy_of(project.root, tmp_path / "fresh", without=made)
    disk, logs = tmp_path / "disk", tmp_path / "logs"
    disk.mkdir(), logs.mkdir()
    places = {"disk": disk, "logs": logs, "project": fresh.root}
    script = SCRIPT.format(left=left_kb, **{k: shlex.quote(str(v)) for k, v in places.items()})
    subprocess.run(
        ["unshare", "--map-root-user", "--mount", "bash", "-c", script],
        env=fresh.environment(PYTHONPATH=str(disk / "src")),
        check=True,
    )
    read = {path.name: path.read_text() for path in logs.glob("*.*")}
    assert read["full.status"].strip() != "0", "the disk was not full"
    if "Traceback" in read["full.err"] + read["full.out"]:
        outcome = "traceback"
    elif read["again.status"].strip() != "0" or all_numbers(logs) != all_numbers(project.root):
        outcome = "lost"
    else:
        outcome = "recovered"
    faults.add(f"{left_kb} kB left: {read['full.err'][-600:]} {read['again.err'][-600:]}", outcome)
