"""Writes the runs of cells to MLflow's database, many in one transaction.

A run goes through MLflow's client in ten transactions, which takes a database 0.2 s and more. The
tables hold the same after both ways.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from lrcycles.tracking import writers
from lrcycles.tracking.cell_delivery import deliver_files, run_tags
from lrcycles.tracking.database.cell_rows import Rows
from lrcycles.tracking.database.tables import Database
from lrcycles.tracking.networks.models import model_name
from lrcycles.tracking.points import FinishedCell, read_cell
from lrcycles.tracking.writers import milliseconds

if TYPE_CHECKING:
    from lrcycles.tracking.delivery import Delivery
    from lrcycles.tracking.store import TrackingStore

_TOGETHER = 20  # cells of a transaction: others wait for the database meanwhile
_ATTEMPTS = 2  # then MLflow's client tries, and words what is wrong

Wanted = Mapping[str, Any]  # a cell in a record's content


def write_cells(delivery: Delivery, cells: Sequence[Wanted]) -> None:
    """Write the cells that have no run yet; leave out what MLflow's client must write."""
    new = [cell for cell in cells if f"{cell['name']} run" not in delivery.marks]
    if not new or not Database.is_at(delivery.store.uri):
        return
    database = delivery.caller.call(lambda _: Database.of(delivery.store.uri))
    if database is None:
        return
    for first in range(0, len(new), _TOGETHER):
        _write(delivery, database, new[first : first + _TOGETHER])


def _write(delivery: Delivery, database: Database, wanted: Sequence[Wanted]) -> None:
    """Insert the runs of cells, write their files, and then end the runs."""
    cells = {
        cell["name"]: read_cell(delivery.record.folder / "cells" / cell["name"]) for cell in wanted
    }
    delivery.caller.call(partial(_insert, delivery, database, wanted, cells))
    inserted = [cell for cell in wanted if f"{cell['name']} rows" in delivery.marks]
    delivery.caller.each(
        [partial(deliver_files, delivery, cell, cells[cell["name"]]) for cell in inserted]
    )
    delivery.caller.call(lambda _: _end(delivery, database, inserted, cells))


def _insert(
    delivery: Delivery,
    database: Database,
    wanted: Sequence[Wanted],
    cells: Mapping[str, FinishedCell],
    attempt: int,
) -> None:
    """Insert the runs of the cells that have none, and their networks."""
    if attempt:
        delivery.record.fresh = False  # the rows may be there, and only the answer was lost
    stage, experiment_id = delivery.stage, delivery.pipeline["experiment"]
    place = stage["artifacts"].removesuffix(f"/{stage['id']}/artifacts")
    if attempt >= _ATTEMPTS or place == stage["artifacts"]:
        return
    [dataset] = [given.dataset for given in writers.dataset_inputs(delivery.record.content["data"])]
    marks: dict[str, Any] = {}
    # Two pipelines may train or reuse one cell at once.
    queries = [writers.cell_query(*_names(cell)) for cell in wanted]
    with _locked(delivery.store, queries), database.transaction() as connection:
        if not _is_active(connection, experiment_id):
            return
        known = _known(connection, experiment_id, [cell["key"] for cell in wanted])
        dataset_id = _dataset_id(connection, experiment_id, dataset)
        rows = Rows(int(experiment_id), place, dataset_id or uuid.uuid4().hex)
        if dataset_id is None:
            rows.add_dataset(dataset)
        for cell in wanted:
            if _names(cell) not in known:
                marks |= _add(rows, delivery, cell, cells[cell["name"]])
        if marks:
            rows.insert(connection)
    delivery.mark(marks)


def _add(
    rows: Rows, delivery: Delivery, wanted: Wanted, cell: FinishedCell
) -> Iterator[tuple[str, Any]]:
    """Add the rows of a cell, and give the marks of the steps that they are."""
    name, params, users = wanted["name"], wanted["params"], [delivery.pipeline["id"]]
    run = rows.add_run(cell, tags=run_tags(delivery, cell, users), params=params)
    yield f"{name} rows", True
    yield f"{name} run", run
    yield f"{name} data set", True
    if wanted["network"]:
        yield f"{name} output", True
        yield (
            f"{name} model",
            rows.add_network(
                cell,
                run["id"],
                name=model_name(cell.result),
                params=params,
                data=delivery.record.content["data"],
            ),
        )


def _names(cell: Wanted) -> tuple[str, str, str]:
    return cell["key"], cell["group"], cell["arm"]


@contextmanager
def _locked(store: TrackingStore, queries: Iterable[str]) -> Iterator[None]:
    """Lock the creation of the runs that these queries find."""
    locks = {str(lock.lock_file): lock for lock in map(store.lock_of, queries)}
    with ExitStack() as held:
        for _, lock in sorted(locks.items()):  # in one order, so that two processes do not wait
            held.enter_context(lock)
        yield


def _is_active(connection: Any, experiment_id: str) -> bool:
    from mlflow.store.tracking.dbmodels.models import SqlExperiment
    from sqlalchemy import select

    asked = select(SqlExperiment.lifecycle_stage).where(
        SqlExperiment.experiment_id == int(experiment_id)
    )
    return bool(connection.execute(asked).scalar() == "active")


def _known(connection: Any, experiment_id: str, keys: Sequence[str]) -> set[tuple[str | None, ...]]:
    """Find the runs of cells of these keys, of whatever status, by key, group and arm."""
    from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag
    from sqlalchemy import select

    same = (
        select(SqlTag.run_uuid)
        .join(SqlRun, SqlRun.run_uuid == SqlTag.run_uuid)
        .where(SqlRun.experiment_id == int(experiment_id), SqlRun.lifecycle_stage == "active")
        .where(SqlTag.key == "lrcycles.key", SqlTag.value.in_(keys))
    )
    names = ("lrcycles.key", "lrcycles.group", "lrcycles.arm")
    asked = select(SqlTag.run_uuid, SqlTag.key, SqlTag.value)
    tags: dict[str, dict[str, str]] = {}
    for run_id, name, value in connection.execute(
        asked.where(SqlTag.run_uuid.in_(same), SqlTag.key.in_(names))
    ):
        tags.setdefault(run_id, {})[name] = value
    return {tuple(map(of_run.get, names)) for of_run in tags.values()}


def _dataset_id(connection: Any, experiment_id: str, dataset: Any) -> str | None:
    from mlflow.store.tracking.dbmodels.models import SqlDataset
    from sqlalchemy import select

    asked = select(SqlDataset.dataset_uuid).where(
        SqlDataset.experiment_id == int(experiment_id),
        SqlDataset.name == dataset.name,
        SqlDataset.digest == dataset.digest,
    )
    found: str | None = connection.execute(asked).scalar()
    return found


def _end(
    delivery: Delivery,
    database: Database,
    wanted: Sequence[Wanted],
    cells: Mapping[str, FinishedCell],
) -> None:
    """End the runs and make their networks ready; a run that was deleted meanwhile stays so."""
    from mlflow.entities import LoggedModelStatus
    from mlflow.store.tracking.dbmodels.models import SqlLoggedModel, SqlRun
    from mlflow.utils.time import get_current_time_millis
    from sqlalchemy import update

    ready = {
        "status": LoggedModelStatus.READY.to_int(),
        "last_updated_timestamp_ms": get_current_time_millis(),
    }
    ended = {}
    with database.transaction() as connection:
        for cell in wanted:
            name = cell["name"]
            run_id, model = delivery.marks[f"{name} run"]["id"], delivery.marks.get(f"{name} model")
            end = {"status": "FINISHED", "end_time": milliseconds(cells[name].ended)}
            whole = (SqlRun.run_uuid == run_id, SqlRun.lifecycle_stage == "active")
            if connection.execute(update(SqlRun).where(*whole).values(end)).rowcount:
                ended[f"{name} end"] = True
            if model:
                of_run = SqlLoggedModel.model_id == model["id"]
                connection.execute(update(SqlLoggedModel).where(of_run).values(ready))
    delivery.mark(ended)
