"""Opens the tables of MLflow in a database, if they are as this version of lrcycles knows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from lrcycles.tracking.store import is_sqlite

# MLflow changes its tables with some of its versions, and names each state of them. In a database
# with another state, MLflow itself writes everything: that takes longer.
REVISION = "dc11669786a5"
_BUSY_SECONDS = 20


@dataclass(frozen=True)
class Database:
    """A database in which MLflow keeps its runs."""

    engine: Any

    @staticmethod
    def is_at(uri: str) -> bool:
        """Return whether the address is that of a database, and not of a server of MLflow."""
        return is_sqlite(uri) or urlsplit(uri).scheme.partition("+")[0] == "postgresql"

    @classmethod
    def of(cls, uri: str) -> Database | None:
        """Open the database at an address; None if its tables are unknown."""
        database = cls(_engine(uri))
        return database if database.is_known() else None

    def is_known(self) -> bool:
        """Return whether the tables have the columns that the rows are made for."""
        from sqlalchemy import text

        with self.transaction() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
            return list(found) == [REVISION]

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Give a connection whose changes all become visible at the end of the block, or none."""
        with self.engine.begin() as connection:
            yield connection


@cache  # an engine keeps the statements that it has compiled
def _engine(uri: str) -> Any:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    waiting = {"timeout": _BUSY_SECONDS} if is_sqlite(uri) else {}
    return create_engine(uri, connect_args=waiting, poolclass=NullPool)
