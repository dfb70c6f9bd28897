"""Opens the MLflow store that the environment names, or explains why it cannot be used."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from lrcycles.errors import InputError
from lrcycles.tracking.addresses import masked, reason, without_secrets
from lrcycles.tracking.views import EXPERIMENT_NOTE, VIEW_TAG
from lrcycles.tracking.writers import NOTE

LOCK_SECONDS = 120
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a call to a dead server then takes 5 s, not 247 s
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_NOISY = ("mlflow", "alembic", "urllib3", "sqlalchemy")  # their errors are raised as well
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_KNOCK_SECONDS = 2
_LOCKED_SECONDS = 1.5
_ADVISORY_LOCK = 0x6C726379  # a number of our own
_LOCKS_OF_CELLS = 64


@dataclass(frozen=True)
class TrackingStore:
    """An MLflow store that has answered, and the experiment its runs go to."""

    client: Any
    uri: str
    experiment_id: str
    view_saved: int  # when the experiment's view was saved, in milliseconds; 0 without one

    @property
    def lock(self) -> Path:
        """The file that who changes shared runs must lock."""
        return lock_path(self.uri)

    def lock_of(self, name: str) -> FileLock:
        """Lock the creation of the run of that name."""
        number = int(hashlib.sha256(name.encode()).hexdigest(), 16) % _LOCKS_OF_CELLS
        path = self.lock if is_sqlite(self.uri) else self.lock.with_suffix(f".{number}.lock")
        return FileLock(path, timeout=LOCK_SECONDS)


def open_store(root: Path) -> TrackingStore:
    """Open the store and find or create the experiment.

    Raises:
        InputError: the store cannot be used; this takes seconds and not minutes.
    """
    uri = store_uri(root)
    with environment(SETTINGS), usable_store(uri):
        return connect(root, uri)


def connect(root: Path, uri: str) -> TrackingStore:
    """Open the store of that address, and make its tables and experiment if they are missing.

    Raises:
        InputError: the experiment was deleted.
        Exception: what MLflow and its libraries raise; `FAILURES` of the module delivery.
    """
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    from mlflow import MlflowClient

    # Two processes that create the tables of one database at once ruin them.
    with FileLock(lock_path(uri), timeout=LOCK_SECONDS):
        _make_sqlite(uri)
        knock(uri)
        with _database_lock(uri):
            client = MlflowClient(tracking_uri=uri)
            experiment = find_experiment(client, root, uri)
    view = experiment.tags.get(VIEW_TAG)
    saved = json.loads(view)["updatedAt"] if view else 0
    return TrackingStore(client, uri, str(experiment.experiment_id), saved)


def _make_sqlite(uri: str) -> None:
    """Make the tables of a missing sqlite file whole or not at all: MLflow cannot finish half."""
    path = _sqlite_path(uri)
    if not is_sqlite(uri) or path.name in ("", ":memory:") or "?" in uri:
        return
    for abandoned in path.parent.glob(f"{path.name}.new-*"):
        abandoned.unlink(missing_ok=True)
    if path.exists() and path.stat().st_size:
        return
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new-{os.getpid()}")
    MlflowClient(f"{uri}.new-{os.getpid()}").search_experiments(max_results=1)
    temporary.replace(path)


def store_digest(uri: str) -> str:
    """Name a store without its address."""
    return hashlib.sha256(without_secrets(uri).encode()).hexdigest()[:16]


def is_sqlite(uri: str) -> bool:
    return uri.partition(":")[0].partition("+")[0] == "sqlite"


def _sqlite_path(uri: str) -> Path:
    return Path(unquote(uri.partition("///")[2].partition("?")[0]).removeprefix("file:"))


def lock_path(uri: str) -> Path:
    """Name the lock of a store: every process that uses the store on this host gets the same.

    It lies next to a file of sqlite, and otherwise in a temporary folder of the user.
    """
    if is_sqlite(uri) and _sqlite_path(uri).name not in ("", ":memory:"):
        path = _sqlite_path(uri)
        return path.with_name(f"{path.name}.lock")
    folder = Path(tempfile.gettempdir()) / f"lrcycles-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{store_digest(uri)}.lock"


@contextmanager
def _database_lock(uri: str) -> Iterator[None]:
    """Keep other hosts from making the tables of a PostgreSQL at the same moment."""
    if urlsplit(uri).scheme.partition("+")[0] != "postgresql":
        yield
        return
    from sqlalchemy import text

    with _engine(uri).connect() as connection:
        connection.execute(text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
        yield  # the end of the connection ends the lock


def _engine(uri: str) -> Any:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    return create_engine(
        uri,
        connect_args={"connect_timeout": _KNOCK_SECONDS},
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )


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
    if path in (given, "", ":memory:") or path.startswith("file:") or Path(path).is_absolute():
        return given
    # Escape the percent sign only: MLflow reads the path without unescaping it in one place, and
    # would make a second folder "a%20b" for a folder "a b".
    folder = root.resolve().as_posix().replace("%", "%25")
    return f"sqlite:///{folder}/{path}"


def knock(uri: str) -> None:
    """Check that the database opens and can be written; MLflow itself would try for 100 s.

    Raises:
        OSError: no server answers, or the file's folder cannot be made.
        sqlite3.Error: the file cannot be opened or written, is locked, or is no database.
        SQLAlchemyError: the server of the database refuses the user or lacks the database.
        ValueError: the port is no number.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme in DATABASE_PORTS and parts.hostname:
        where = (parts.hostname, parts.port or DATABASE_PORTS[scheme])
        socket.create_connection(where, timeout=_KNOCK_SECONDS).close()
    if scheme in ("postgresql", "mysql"):
        _engine(uri).connect().close()
    if is_sqlite(uri):
        path = _sqlite_path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=_LOCKED_SECONDS)) as database:
            database.execute("PRAGMA schema_version")
            database.execute("BEGIN IMMEDIATE")
            database.rollback()


def find_experiment(client: Any, root: Path, uri: str) -> Any:
    """Find or create the experiment MLFLOW_EXPERIMENT_NAME, by default lrcycles.

    Raises:
        InputError: the experiment was deleted.
    """
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "lrcycles"
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        # Without a server, the client would keep artifacts in the current folder, which a queued
        # experiment deletes. A server has a place of its own for them.
        direct = urlsplit(uri).scheme.partition("+")[0] in {"sqlite", *DATABASE_PORTS}
        location = (root / "mlartifacts").resolve().as_uri() if direct else None
        # Without the kind, MLflow's pages ask the user for it.
        tags = {NOTE: EXPERIMENT_NOTE, "mlflow.experimentKind": "custom_model_development"}
        with _made_by_another_host(client, name):
            client.create_experiment(name, artifact_location=location, tags=tags)
        experiment = client.get_experiment_by_name(name)
    if experiment.lifecycle_stage != "active":
        raise InputError(
            f"The MLflow experiment must not be deleted. Received: {name!r}, deleted. "
            f"Run `mlflow experiments restore -x {experiment.experiment_id}`, or set "
            "MLFLOW_EXPERIMENT_NAME."
        )
    return experiment


@contextmanager
def _made_by_another_host(client: Any, name: str) -> Iterator[None]:
    """Accept that the experiment appears while it is being made here."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException:
        if client.get_experiment_by_name(name) is None:
            raise


def unusable(uri: str, error: BaseException) -> InputError:
    """Word the error of a store that cannot be used."""
    return InputError(f"{rule(uri, error)} {remedy()}")


def rule(uri: str, error: BaseException) -> str:
    """Say that the store must be usable, and why it is not."""
    if isinstance(error, InputError):
        return str(error)
    received = f"Received: {masked(uri)} ({reason(error, uri)})."
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return f"MLFLOW_TRACKING_URI must name an MLflow store that can be used. {received}"
    return f"The project's MLflow store must be usable. {received}"


def remedy() -> str:
    """Say what makes a store usable."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return "Correct it, start its server, or unset it to use the project's own mlflow.db."
    return "Make it writable, move it away, or set MLFLOW_TRACKING_URI to another store."
