"""Finds or creates the runs of a pipeline and of its stages."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from lrcycles.errors import InputError
from lrcycles.tracking import processes, writers
from lrcycles.tracking.store import TrackingStore, without_password


def launched_run(store: TrackingStore, run_id: str) -> Any:
    """Get the run that `mlflow run` has made; `mlflow run` also ends it."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_run(run_id)
    except MlflowException as error:
        raise InputError(
            f"MLFLOW_RUN_ID must name a run of {without_password(store.uri)}. "
            f"Received: {run_id!r}. Outside of `mlflow run`, unset MLFLOW_RUN_ID and "
            "LRCYCLES_PIPELINE_RUN."
        ) from error


def enter_pipeline(
    store: TrackingStore, root: Path, stage: str, tags: Mapping[str, str], key: str | None
) -> Any:
    """Find or create the pipeline's run, and set it RUNNING.

    Args:
        stage: names the run if this stage runs by hand.
        key: names the pipeline run; by default it follows from the process.
    """
    client, owner = store.client, processes.pipeline_owner()
    by_hand = key is None and processes.is_by_hand(owner)
    key = key or processes.pipeline_key(owner, root)
    pipelines = _pipelines(store, key)
    if not pipelines:
        experiment, dvc_name = tags["lrcycles.experiment"], tags.get("lrcycles.dvc_exp_name")
        name = f"{experiment} ({dvc_name})" if dvc_name else experiment
        note = (
            f"Pipeline run of experiment `{experiment}`. Its stages are the runs below it. "
            "The answer appears here when stage `report` has ended."
        )
        if by_hand:
            name = f"{experiment}: {stage} by hand"
            note = f"Stage `{stage}` of experiment `{experiment}`, run by hand without a pipeline."
        return client.create_run(
            store.experiment_id,
            tags={
                **{tag: value for tag, value in tags.items() if tag != "lrcycles.dvc_stage"},
                **processes.process_tags(owner),
                "lrcycles.pipeline": key,
                writers.NOTE: note,
            },
            run_name=name,
        )
    pipeline_id = pipelines[0].info.run_id
    for name, value in processes.process_tags(owner).items():
        client.set_tag(pipeline_id, name, value)
    client.update_run(pipeline_id, status="RUNNING")
    return pipelines[0]


def _pipelines(store: TrackingStore, key: str) -> list[Any]:
    query = f"tags.`lrcycles.pipeline` = '{key}'"
    return list(store.client.search_runs([store.experiment_id], query, max_results=1))


def finished_stages(store: TrackingStore, key: str) -> set[str]:
    """Name the stages that have a finished run below the run of that pipeline."""
    query = "tags.`mlflow.parentRunId` = '{}' and attributes.status = 'FINISHED'"
    return {
        stage.data.tags["lrcycles.stage"]
        for pipeline in _pipelines(store, key)
        for stage in store.client.search_runs(
            [store.experiment_id], query.format(pipeline.info.run_id)
        )
    }


def end_the_dead(client: Any, experiment_ids: set[str]) -> None:
    """Set runs to KILLED whose process on this host has ended without ending them."""
    running = f"attributes.status = 'RUNNING' and tags.`lrcycles.host` = '{platform.node()}'"
    for run in client.search_runs(sorted(experiment_ids), running):
        if not processes.is_alive(run.data.tags):
            client.set_terminated(run.info.run_id, "KILLED")


def create_stage_run(
    store: TrackingStore, pipeline: Any, stage: str, tags: Mapping[str, str]
) -> str:
    created = store.client.create_run(
        pipeline.info.experiment_id,  # the UI nests only runs of one experiment
        tags={
            **tags,
            **processes.process_tags(psutil.Process()),
            "lrcycles.stage": stage,
            "mlflow.parentRunId": pipeline.info.run_id,
        },
        run_name=stage,
    )
    return str(created.info.run_id)


def withdraw(store: TrackingStore, pipeline: Any, run_id: str) -> bool:
    """Delete the run of a stage and its pipeline's run, unless the pipeline has other stages."""
    query = f"tags.`mlflow.parentRunId` = '{pipeline.info.run_id}'"
    below = store.client.search_runs([pipeline.info.experiment_id], query, max_results=2)
    if [run.info.run_id for run in below] != [run_id]:
        return False
    for each in (run_id, pipeline.info.run_id):
        store.client.set_terminated(each, "FAILED")  # for whoever restores it
        store.client.delete_run(each)
    return True
