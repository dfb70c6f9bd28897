"""Opens the MLflow store that the environment names, or explains why it cannot be used."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from lrcycles.errors import InputError
from lrcycles.tracking.writers import NOTE

LOCK_SECONDS = 120
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a call to a dead server then takes 5 s, not 247 s
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_NOTE = """Does cycling the learning rate help? The runs form a tree of three levels:

- A **pipeline run** is one `dvc repro` or `dvc exp run`. Its description holds the answer.
- A **stage run** lies below it: `config`, `data`, `range_test`, `bounds`, `train@GROUP`, `report`.
- A **training** lies below its stage `train@GROUP`: one arm with one seed, and its network.

To see the arms of the latest pipeline side by side, choose its saved view at the top right. To see
all trainings of an arm, search for ``tags.`lrcycles.arm` = 'clr'``."""
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


@dataclass(frozen=True)
class TrackingStore:
    """An MLflow store that has answered, and the experiment its runs go to."""

    client: Any
    uri: str
    experiment_id: str
    lock: Path


def open_store(root: Path) -> TrackingStore:
    """Open the store and find or create the experiment.

    Raises:
        InputError: the store cannot be used; this takes seconds and not minutes.
    """
    uri = store_uri(root)
    lock = root / ".lrcycles" / "mlflow.lock"
    for noisy in ("mlflow.store.db.utils", "alembic"):  # their errors are raised as well
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    # No retries: at the start a wrong address is more likely than a server that is restarting.
    settings = {**SETTINGS, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    with environment(settings), usable_store(uri):
        from mlflow import MlflowClient

        lock.parent.mkdir(parents=True, exist_ok=True)
        # Two processes that create one sqlite file at once ruin it.
        with FileLock(lock, timeout=LOCK_SECONDS):
            knock(uri)
            client = MlflowClient(tracking_uri=uri)
            return TrackingStore(client, uri, find_experiment(client, root, uri), lock)


@contextmanager
def environment(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """For a block, unset the variables given as None, and set the others unless the user has."""
    before = {name: os.environ.get(name) for name in wanted}
    for name, value in wanted.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def usable_store(uri: str) -> Iterator[None]:
    """Turn the errors of a store that cannot be used into an InputError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except InputError:
        raise
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        raise unusable(uri, error) from error
    except (OSError, ImportError, ValueError) as error:
        raise unusable(uri, error) from error


def store_uri(root: Path) -> str:
    """Read MLFLOW_TRACKING_URI, by default the project's own store.

    A relative sqlite path counts from `root`.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    path = given.removeprefix("sqlite:///")
    if path in (given, "", ":memory:") or Path(path).is_absolute():
        return given
    # Escape the percent sign only: MLflow reads the path without unescaping it in one place, and
    # would make a second folder "a%20b" for a folder "a b".
    folder = root.resolve().as_posix().replace("%", "%25")
    return f"sqlite:///{folder}/{path}"


def knock(uri: str) -> None:
    """Check that the database opens; MLflow itself would try for 100 s.

    Raises:
        OSError: no server answers, or the file's folder cannot be made.
        sqlite3.Error: the file cannot be opened, or is no database.
        ValueError: the port is no number.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme in _DATABASE_PORTS and parts.hostname:
        where = (parts.hostname, parts.port or _DATABASE_PORTS[scheme])
        socket.create_connection(where, timeout=5).close()
    if scheme == "sqlite":
        path = Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0]))
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA schema_version")


def find_experiment(client: Any, root: Path, uri: str) -> str:
    """Find or create the experiment MLFLOW_EXPERIMENT_NAME, by default lrcycles.

    Returns:
        The experiment's id.

    Raises:
        InputError: the experiment was deleted.
    """
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "lrcycles"
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        # Without a server, the client would keep artifacts in the current folder, which a queued
        # experiment deletes. A server has a place of its own for them.
        direct = urlsplit(uri).scheme.partition("+")[0] in {"sqlite", *_DATABASE_PORTS}
        location = (root / "mlartifacts").resolve().as_uri() if direct else None
        # Without the kind, MLflow's pages ask the user for it.
        tags = {NOTE: _NOTE, "mlflow.experimentKind": "custom_model_development"}
        return str(client.create_experiment(name, artifact_location=location, tags=tags))
    if experiment.lifecycle_stage != "active":
        raise InputError(
            f"The MLflow experiment must not be deleted. Received: {name!r}, deleted. "
            f"Run `mlflow experiments restore -x {experiment.experiment_id}`, or set "
            "MLFLOW_EXPERIMENT_NAME."
        )
    return str(experiment.experiment_id)


def unusable(uri: str, error: Exception) -> InputError:
    """Word the error of a store that cannot be used."""
    received = f"Received: {without_password(uri)} ({reason(error, uri)})"
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return InputError(
            f"MLFLOW_TRACKING_URI must name an MLflow store that can be used. {received}. Correct "
            "it, start its server, or unset it to use the project's own mlflow.db."
        )
    return InputError(
        f"The project's MLflow store must be usable. {received}. Make it writable, move it away, "
        "or set MLFLOW_TRACKING_URI to another store."
    )


def without_password(uri: str) -> str:
    """Hide the password in a store's address.

    >>> without_password("postgresql://ann:secret@host/runs")
    'postgresql://ann:***@host/runs'
    """
    password = _password(uri)
    return uri.replace(f":{password}@", ":***@") if password else uri


def reason(error: BaseException, uri: str) -> str:
    """Word the innermost cause in one line; in MLflow's chains of errors it is the clearest."""
    while (inner := error.__cause__ or error.__context__) and not isinstance(inner, KeyError):
        error = inner
    line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    password = _password(uri)
    return line.replace(password, "***") if password else line


def _password(uri: str) -> str | None:
    try:
        return urlsplit(uri).password
    except ValueError:
        return None
