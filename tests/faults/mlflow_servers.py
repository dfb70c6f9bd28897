"""Starts MLflow servers and PostgreSQL, and compares what two MLflow stores hold."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

POSTGRES = Path("/usr/lib/postgresql/15/bin")
# They name the process, the moment or other runs.
_VARYING = {
    "lrcycles.pid",
    "lrcycles.pid_started",
    "lrcycles.record",
    "lrcycles.pipeline",
    "lrcycles.pipeline_runs",
    "mlflow.parentRunId",
    "mlflow.note.content",
}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[Any] | None = None) -> None:
    for _ in range(600):
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process is None or process.poll() is None, "the server has ended"
        time.sleep(0.1)
    raise AssertionError("the server does not start")


@contextmanager
def mlflow_server(folder: Path, backend: str = "sqlite:///server.db") -> Iterator[int]:
    """A real tracking server in its own process group; gives its port."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--backend-store-uri", backend],
        cwd=folder,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        yield port
    finally:
        os.killpg(process.pid, 9)
        process.wait()


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of an unprivileged user; gives the address without a database."""
    folder = Path(tempfile.mkdtemp(prefix="lrcycles-postgres-"))
    port, own = free_port(), []
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        own = ["runuser", "-u", "postgres", "--"]
    data = str(folder / "data")
    quiet = {"stdout": subprocess.DEVNULL, "check": True, "cwd": "/"}
    init = [*own, str(POSTGRES / "initdb"), "-D", data, "-U", "ann", "--auth=trust"]
    subprocess.run(init, **quiet)
    options = f"-p {port} -k {folder} -c fsync=off"
    control = [*own, str(POSTGRES / "pg_ctl"), "-D", data, "-w"]
    subprocess.run([*control, "-o", options, "-l", str(folder / "log"), "start"], **quiet)
    try:
        yield f"postgresql+psycopg2://ann:very-secret@127.0.0.1:{port}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **quiet)
        shutil.rmtree(folder, ignore_errors=True)


def new_database(address: str, name: str) -> str:
    """Make an empty database; give its address."""
    import psycopg2

    connection = psycopg2.connect(f"{address.replace('+psycopg2', '')}/postgres")
    connection.autocommit = True
    connection.cursor().execute(f"CREATE DATABASE {name}")
    connection.close()
    return f"{address}/{name}"


def contents(uri: str, experiment: str = "lrcycles") -> list[dict[str, Any]]:
    """Describe all runs of an experiment, without ids and times."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    place = [found.experiment_id]
    runs = {run.info.run_id: run for run in client.search_runs(place)}

    def path(run: Any) -> str:
        parent = runs.get(run.data.tags.get("mlflow.parentRunId"))
        return f"{path(parent)}/{run.info.run_name}" if parent else str(run.info.run_name)

    described = [_describe(client, place, path(run), run) for run in runs.values()]
    return sorted(described, key=lambda run: str(run["path"]))


def _describe(client: Any, place: list[str], path: str, run: Any) -> dict[str, Any]:
    run_id, tags = run.info.run_id, run.data.tags
    models = client.search_logged_models(place, f"source_run_id = '{run_id}'")
    return {
        "path": path,
        "status": run.info.status,
        "ended": run.info.end_time is not None,
        "tags": {name: value for name, value in tags.items() if name not in _VARYING},
        "varying": sorted(_VARYING & set(tags)),
        "note": re.sub(r"\[.*\n|\n\nTo repeat it(.|\n)*", "", tags.get("mlflow.note.content", "")),
        "params": dict(run.data.params),
        "metrics": {
            key: sorted((m.step, m.value) for m in client.get_metric_history(run_id, key))
            for key in run.data.metrics
        },
        "data sets": [entry.dataset.name for entry in run.inputs.dataset_inputs],
        "models": [(m.name, str(m.status), len(m.metrics or []), m.params) for m in models],
        "outputs": len(run.outputs.model_outputs),
        "artifacts": _artifacts(client, run_id, None),
        "pipelines": len(tags.get("lrcycles.pipeline_runs", "").split()),
    }


def _artifacts(client: Any, run_id: str, folder: str | None) -> list[str]:
    paths: list[str] = []
    for file in client.list_artifacts(run_id, folder):
        paths += _artifacts(client, run_id, file.path) if file.is_dir else [file.path]
    return sorted(paths)
