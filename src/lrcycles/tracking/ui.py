"""Starts MLflow's pages and prints the address that shows the arms side by side.

python -m lrcycles.tracking.ui [PORT]
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from lrcycles.errors import InputError
from lrcycles.tracking import views
from lrcycles.tracking.addresses import masked
from lrcycles.tracking.background import write_left
from lrcycles.tracking.calls import Calls
from lrcycles.tracking.store import (
    SETTINGS,
    environment,
    open_store,
    usable_store,
)

_HOST = "127.0.0.1"


def main(arguments: list[str]) -> None:
    """Print the address and become the server; a server of MLFLOW_TRACKING_URI runs already.

    Raises:
        InputError: the port is not usable, or the store is not.
    """
    store = open_store(Path.cwd())
    with environment(SETTINGS), usable_store(store.uri):
        write_left(Path.cwd(), store, Calls(side_by_side=False))
        page = first_page(store.client, store.experiment_id)
    if store.uri.startswith("http"):
        print(f"Runs: {masked(store.uri).rstrip('/')}/{page}")
        return
    port = free_port(arguments[0] if arguments else "5000")
    print(f"Runs: http://{_HOST}:{port}/{page}", flush=True)
    command = ["mlflow", "ui", "--workers", "1", "--host", _HOST, "--port", str(port)]
    command += ["--uvicorn-opts", "--log-level warning"]  # the address must stay in sight
    os.environ["PYTHONWARNINGS"] = "ignore"
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # it would start twelve processes
    os.environ["MLFLOW_BACKEND_STORE_URI"] = store.uri  # the list of processes shows arguments
    os.execv(sys.executable, [sys.executable, "-m", *command])


def first_page(client: Any, experiment_id: str) -> str:
    """Find the latest view of arms in any experiment; without one, list the runs.

    Args:
        experiment_id: the experiment to list if there is no view.
    """
    saved = {
        json.loads(experiment.tags[views.VIEW_TAG])["updatedAt"]: experiment.experiment_id
        for experiment in client.search_experiments()
        if views.VIEW_TAG in experiment.tags
    }
    if not saved:
        return f"#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    return views.view_address(saved[max(saved)])


def free_port(given: str) -> int:
    received = given
    if given.isdigit() and 0 < int(given) < 65536:
        with socket.socket() as asked:
            if asked.connect_ex((_HOST, int(given))) != 0:
                return int(given)
        received = f"{given}, which another process uses"
    raise InputError(
        f"PORT must be a free port from 1 to 65535. Received: {received}. "
        "Write for example `make ui PORT=5001`."
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InputError as error:
        sys.exit(f"lrcycles ui: {error}")
