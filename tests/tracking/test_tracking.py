"""Checks the tree of runs in real MLflow stores, and that losing MLflow loses nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import psutil
import pytest
import yaml

from lrcycles.cells.result import AverageResult, read_result, write_result
from lrcycles.errors import InputError
from lrcycles.stages.sync import sync_results
from lrcycles.tracking import records, runs
from lrcycles.tracking.processes import is_alive, origin_tags, pipeline_key, process_tags
from lrcycles.tracking.records import are_waiting, create
from lrcycles.tracking.ui import first_page, free_port
from lrcycles.tracking.views import cells_of
from lrcycles.tracking.writers import NOTE
from tests.cell_results import cell_result
from tests.faults.mini_pipeline import DATA

SOURCE = Path(runs.__file__).parents[2]
STEPS = cell_result().steps
WAIT = "run.send(); run.background.wait(seconds=60); print('in'); input()"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder; its store is made once, because that takes seconds."""
    return tmp_path_factory.mktemp("project")


@pytest.fixture(autouse=True)
def own_locks(tmp_path_factory, monkeypatch):
    """Keep the locks of servers apart from those of tests in other processes."""
    folder = str(tmp_path_factory.mktemp("locks"))
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr("tempfile.tempdir", folder)


@pytest.fixture(autouse=True)
def pipeline(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A new pipeline for each test, without the environment variables of a stage."""
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "DVC_", "LRCYCLES_")):
            monkeypatch.delenv(name)
    key = request.function.__name__
    monkeypatch.setenv("LRCYCLES_PIPELINE", key)
    return key


def start(root: Path, stage: str = "bounds", **more):
    return runs.start(stage, root=root, config={"train.epochs": 3, **more}, experiment="smoke")


def settle(run: runs.StageRun) -> None:
    """Wait until MLflow holds what the stage has logged so far."""
    run.send()
    assert run.background is not None
    run.background.wait(seconds=60)


def id_of(run: runs.StageRun) -> str:
    """The id of the stage's run."""
    settle(run)
    assert run.background is not None
    assert run.background.delivery is not None
    return run.background.delivery.stage["id"]


def log_cell(run: runs.StageRun, folder: Path, **more) -> str:
    """Log a cell and return the id of its run."""
    run.log_cell(folder, **{"params": {}, "data": DATA, **more})
    run.send()
    assert run.background is not None
    run.background.wait(seconds=60)
    result = read_result(folder / "result.json")
    return run.cell_ids()[f"{result.arm}/{result.seed}"]


def client_of(root: Path):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{root}/mlflow.db")


def runs_of(root: Path, filter_string: str = "") -> list:
    client = client_of(root)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, filter_string, order_by=["attributes.start_time"])


def pipelines_of(root: Path, key: str) -> list:
    return runs_of(root, f"tags.`lrcycles.pipeline` = '{key}'")


def children_of(root: Path, run_id: str) -> list:
    return runs_of(root, f"tags.`mlflow.parentRunId` = '{run_id}'")


def statuses(root: Path, key: str) -> tuple[str, list[tuple[str, str]]]:
    """The status of the one pipeline run of that key, and names and statuses of its stages."""
    [parent] = pipelines_of(root, key)
    stages = children_of(root, parent.info.run_id)
    return parent.info.status, [(run.info.run_name, run.info.status) for run in stages]


def script_of(root: Path, body: str, stage: str = "bounds") -> str:
    return (
        "from pathlib import Path\nfrom lrcycles.tracking import runs as tracking\n"
        f"with tracking.start({stage!r}, root=Path({str(root)!r}), config={{}}, "
        f"experiment='smoke') as run:\n    {body}\n"
    )


def child_environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "LRCYCLES_PIPELINE"}
    return {**kept, "PYTHONPATH": str(SOURCE), **extra}


def made_cell(folder: Path, **changes) -> Path:
    folder.mkdir(parents=True)
    number = np.arange(1, STEPS + 1)
    pd.DataFrame(
        {"step": number, "epoch": (number - 1) // 1250 + 1, "lr": number * 1e-6, "loss": 9 / number}
    ).to_parquet(folder / "steps.parquet")
    result = cell_result(**{"versions": {"numpy": np.__version__}, **changes})
    write_result(folder / "result.json", result)
    return folder


def test_processes_starting_at_once_make_one_store_and_one_pipeline_run(tmp_path):
    environment = child_environment(LRCYCLES_PIPELINE="together")
    stages = ["data", "range_test"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script_of(tmp_path, "run.log_metrics({'a': 1.0})", stage)],
            env=environment,
        )
        for stage in stages
    ]
    assert [process.wait() for process in processes] == [0, 0]
    status, found = statuses(tmp_path, "together")
    assert status == "FINISHED"
    assert sorted(found) == [(stage, "FINISHED") for stage in sorted(stages)]


def test_a_stage_has_its_configuration_and_origin_and_lies_below_its_pipeline(
    root, pipeline, monkeypatch, tmp_path
):
    monkeypatch.setenv("DVC_STAGE", "train@clr")
    monkeypatch.setenv("DVC_EXP_NAME", "misty-sole")
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    many = {"note": "x" * 7000, **{f"many.{i}": i for i in range(250)}}
    with start(root, "train@clr", **many) as run:
        settle(run)
        assert statuses(root, pipeline) == ("RUNNING", [("train@clr", "RUNNING")])
    [parent] = pipelines_of(root, pipeline)
    [stage] = children_of(root, parent.info.run_id)
    assert (parent.info.run_name, parent.info.status) == ("smoke (misty-sole)", "FINISHED")
    assert parent.data.params == stage.data.params
    assert stage.data.params["train.epochs"] == "3"
    assert len(stage.data.params) == 252
    assert len(stage.data.params["note"]) == 6000
    head = Path(tmp_path / ".git/HEAD").read_text().split()[1]
    expected = {
        "mlflow.source.git.commit": (tmp_path / ".git" / head).read_text().strip(),
        "lrcycles.stage": "train@clr",
        "lrcycles.dvc_stage": "train@clr",
        "lrcycles.dvc_exp_name": "misty-sole",
        "lrcycles.experiment": "smoke",
    }
    assert expected.items() <= stage.data.tags.items()
    assert "lrcycles.dvc_stage" not in parent.data.tags  # it has many


def test_without_git_there_is_no_commit_and_no_complaint(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert "mlflow.source.git.commit" not in origin_tags()
    assert capfd.readouterr() == ("", "")


def test_a_setting_named_by_a_pattern_is_logged_though_mlflow_knows_no_star(root):
    settings = {"optimizer.layer_rates.*/bias": 2.0}
    for stage in ("config", "data"):  # the second finds what the first has logged
        with runs.start(stage, root=root, config=settings, experiment="smoke") as run:
            run_id = id_of(run)
        logged = client_of(root).get_run(run_id).data.params
        assert logged == {"optimizer.layer_rates._/bias": "2.0"}


def test_a_cell_run_holds_thin_curves_and_the_final_metrics(root, tmp_path):
    average = AverageResult(
        settings={"decay": 0.99},
        test_error_percent=1.5,
        test_loss=0.4,
        validation_error_percent=2.0,
        validation_loss=None,
    )
    cell = made_cell(tmp_path / "cell", test_loss=None, averages={"ema": average})
    for name in ("correct", "correct_ema"):
        np.save(cell / f"{name}.npy", np.packbits([True, False]))
    os.utime(cell / "result.json", (1_700_000_010, 1_700_000_010))
    with start(root, "train@clr") as run:
        run_id = log_cell(run, cell, params={"schedule.name": "triangular"})
        stage_id = id_of(run)
    client = client_of(root)
    found = client.get_run(run_id)
    assert found.data.tags["mlflow.parentRunId"] == stage_id
    assert (found.info.run_name, found.info.status) == ("clr seed 0", "FINISHED")
    assert (found.info.start_time, found.info.end_time) == (1_700_000_000_000, 1_700_000_010_000)
    losses = client.get_metric_history(run_id, "loss")
    assert all(point.value == pytest.approx(9 / point.step) for point in losses)
    steps = sorted(point.step for point in losses)
    assert (len(steps), steps[0], steps[-1]) == (400, 1, STEPS)
    assert max(np.diff(steps)) <= -(-STEPS // 399)
    assert all(1_700_000_000_000 < point.timestamp <= 1_700_000_010_000 for point in losses)
    rates = sorted(point.step for point in client.get_metric_history(run_id, "learning_rate"))
    assert (len(rates), rates[0], rates[-1]) == (200, 1, STEPS)
    errors = client.get_metric_history(run_id, "validation_error_percent")
    assert [(point.step, point.value) for point in errors] == [(1250, 4.0), (2500, 2.25)]
    assert found.data.metrics["test_error_percent"] == 1.75
    assert "test_loss" not in found.data.metrics
    averaged = {name: value for name, value in found.data.metrics.items() if name[:4] == "ema_"}
    assert averaged == {
        "ema_test_error_percent": 1.5,
        "ema_test_loss": 0.4,
        "ema_validation_error_percent": 2.0,
    }
    assert found.data.params == {
        "schedule.name": "triangular",
        "group": "clr",
        "arm": "clr",
        "seed": "0",
    }
    assert {"lrcycles.device": "cpu", "lrcycles.key": "k" * 64}.items() <= found.data.tags.items()
    [used] = found.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("tiny", DATA["digest"][:36])
    artifacts = {artifact.path for artifact in client.list_artifacts(run_id)}
    assert artifacts == {"result.json", "steps.parquet", "correct.npy", "correct_ema.npy"}
    assert (root / "mlartifacts").is_dir()


def test_a_logged_network_has_its_own_name_scores_data_set_and_settings(root, tmp_path):
    cell = made_cell(tmp_path / "cell", key="network", versions={"keras": "3", "numpy": "2"})
    with zipfile.ZipFile(cell / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {}}))
        archive.writestr("metadata.json", "{}")
        with h5py.File(tmp_path / "weights.h5", "w") as weights:
            weights.create_group("layers")
        archive.write(tmp_path / "weights.h5", "model.weights.h5")
    np.save(tmp_path / "test_images.npy", np.full((3, 4, 5), 200, dtype=np.uint8))
    with start(root, "train@clr") as run:
        run_id = log_cell(run, cell, params={"a": 1}, test_images=tmp_path / "test_images.npy")
    client = client_of(root)
    experiment_id = client.get_run(run_id).info.experiment_id
    [model] = client.search_logged_models(
        [experiment_id], filter_string=f"source_run_id = '{run_id}'"
    )
    assert (model.name, model.status, model.params["a"]) == ("clr-seed-0", "READY", "1")
    scores = {metric.key: metric.value for metric in model.metrics}
    assert (scores["test_error_percent"], scores["validation_loss"]) == (1.75, 0.25)
    assert {metric.dataset_name for metric in model.metrics} == {"tiny"}
    assert client.get_run(run_id).data.metrics.items() >= scores.items()
    described = yaml.safe_load(Path(model.artifact_location[7:], "MLmodel").read_text())
    [pixels] = json.loads(described["signature"]["inputs"])
    assert pixels["tensor-spec"] == {"dtype": "uint8", "shape": [-1, 4, 5]}
    example = Path(model.artifact_location[7:], "input_example.json")
    assert json.loads(example.read_text()) == np.full((2, 4, 5), 200).tolist()


def test_a_diverged_cell_is_a_finished_run_that_says_so(root, tmp_path):
    nothing = dict.fromkeys(["test_error_percent", "test_loss", "validation_loss"])
    cell = made_cell(tmp_path / "cell", key="diverged", status="diverged", history=[], **nothing)
    steps = pd.read_parquet(cell / "steps.parquet").head(3)
    steps["loss"] = [2.5, np.inf, np.nan]
    steps.to_parquet(cell / "steps.parquet")
    with start(root) as run:
        run_id = log_cell(run, cell)
    found = client_of(root).get_run(run_id)
    assert (found.info.status, found.data.tags["lrcycles.status"]) == ("FINISHED", "diverged")
    assert [point.value for point in client_of(root).get_metric_history(run_id, "loss")] == [2.5]


def test_numbers_that_are_not_finite_are_left_out(root):
    with start(root) as run:
        run.log_metrics({"good": 0.0, "none": None, "inf": float("inf"), "nan": float("nan")})
        run.log_dataset(DATA)
        run_id = id_of(run)
    found = client_of(root).get_run(run_id)
    assert found.data.metrics == {"good": 0.0}
    assert found.inputs.dataset_inputs[0].dataset.source_type == "local"


def test_files_and_folders_become_artifacts_and_a_missing_one_is_a_bug(root, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "bounds.png").write_bytes(b"png")
    (tmp_path / "bounds.json").write_text("{}")
    with start(root) as run:
        run.log_artifacts(tmp_path / "bounds.json")
        run.log_artifacts(tmp_path / "figures", folder="figures")
        with pytest.raises(FileNotFoundError):
            run.log_artifacts(tmp_path / "absent.png")
        run_id = id_of(run)
    client = client_of(root)
    found = {artifact.path for artifact in client.list_artifacts(run_id)}
    assert found == {"bounds.json", "figures"}
    assert client.list_artifacts(run_id, "figures")[0].path == "figures/bounds.png"


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError, "FAILED"), (SystemExit, "FAILED"), (KeyboardInterrupt, "KILLED")],
)
def test_a_stage_that_raises_ends_its_run_and_its_pipeline(root, error, status, monkeypatch):
    monkeypatch.setenv("LRCYCLES_PIPELINE", error.__name__)
    with pytest.raises(error), start(root):
        raise error
    assert statuses(root, error.__name__) == (status, [("bounds", status)])


@pytest.mark.parametrize("outcome", ["FINISHED", "FAILED", "KILLED", "refused"])
def test_a_stage_that_has_sent_nothing_yet_ends_as_any_other(outcome, root, monkeypatch):
    pipeline = f"late-{outcome}"
    monkeypatch.setenv("LRCYCLES_PIPELINE", pipeline)
    errors = {"FAILED": RuntimeError, "KILLED": KeyboardInterrupt, "refused": RuntimeError}
    late = runs.start("report", root=root, config={}, experiment="smoke", at_once=False)
    with suppress(RuntimeError, KeyboardInterrupt), late as run:
        assert not pipelines_of(root, pipeline)
        if outcome == "refused":
            run.refuse()
        if outcome != "FINISHED":
            raise errors[outcome]
    made = [run.info.status for run in pipelines_of(root, pipeline)]
    assert made == ([outcome] if outcome in ("FINISHED", "FAILED") else [])
    with start(root):
        pass
    assert not are_waiting(root)
    ended = [] if outcome == "refused" else [("report", outcome)]
    assert statuses(root, pipeline)[1] == [*ended, ("bounds", "FINISHED")]


def test_the_name_tells_a_stage_by_hand_from_a_pipeline(root, pipeline, monkeypatch):
    with start(root, "range_test"):
        pass
    [parent] = pipelines_of(root, pipeline)
    assert parent.info.run_name == "smoke"
    monkeypatch.delenv("LRCYCLES_PIPELINE")
    with start(root, "range_test") as run:
        run_id = id_of(run)
    stage = client_of(root).get_run(run_id)
    by_hand = client_of(root).get_run(stage.data.tags["mlflow.parentRunId"])
    assert by_hand.info.run_name == "smoke: range_test by hand"
    assert "by hand" in by_hand.data.tags[NOTE]


def test_a_failed_stage_fails_the_pipeline_until_it_is_run_again(root, pipeline):
    with pytest.raises(ValueError, match="too flat"), start(root, "bounds"):
        raise ValueError("too flat")
    with start(root, "train@baseline"):
        pass
    assert statuses(root, pipeline)[0] == "FAILED"
    with start(root, "bounds"):
        pass
    assert statuses(root, pipeline)[0] == "FINISHED"


def test_the_runs_of_a_killed_process_become_killed_and_those_of_a_living_one_stay(root, pipeline):
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            script_of(root, WAIT, "data"),
        ],
        env=child_environment(LRCYCLES_PIPELINE="victim", PYTHONUNBUFFERED="1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "in\n"
    with start(root) as run:
        settle(run)
        assert statuses(root, "victim") == ("RUNNING", [("data", "RUNNING")])
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but still a zombie
    with start(root) as run:
        settle(run)
        assert statuses(root, pipeline)[0] == "RUNNING"
    assert statuses(root, "victim") == ("KILLED", [("data", "KILLED")])
    child.communicate()


def test_a_later_process_with_the_same_number_is_another_process():
    tags = process_tags(psutil.Process())
    assert is_alive(tags)
    earlier = str(float(tags["lrcycles.pid_started"]) - 3600)
    assert not is_alive({**tags, "lrcycles.pid_started": earlier})


def test_stages_below_one_dvc_process_share_a_key_and_the_next_dvc_has_another(tmp_path):
    stage = (
        "from pathlib import Path\nfrom lrcycles.tracking import processes as run_tree\n"
        "print(run_tree.pipeline_key(run_tree.pipeline_owner(), Path('/a')))"
    )
    dvc = tmp_path / "dvc"
    dvc.write_text(
        "import subprocess, sys\n"
        f"for _ in range(2): subprocess.run([sys.executable, '-c', {stage!r}], check=True)\n"
    )
    first, second = (
        subprocess.run(
            [sys.executable, str(dvc), "repro"],
            env=child_environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    )
    assert len(first) == 2
    assert first[0] == first[1]
    assert second[0] == second[1] != first[0]


def test_experiments_of_one_name_in_two_checkouts_are_two_pipelines(monkeypatch):
    monkeypatch.delenv("LRCYCLES_PIPELINE")
    monkeypatch.setenv("DVC_EXP_NAME", "test")
    this = psutil.Process()
    first = pipeline_key(this, Path("/a"))
    assert first == pipeline_key(psutil.Process(1), Path("/a"))
    assert first != pipeline_key(this, Path("/b"))


def test_a_pipeline_name_that_a_search_could_not_quote_is_refused(root, monkeypatch):
    monkeypatch.setenv("LRCYCLES_PIPELINE", "it's mine")
    with (
        pytest.raises(InputError, match="LRCYCLES_PIPELINE must consist of") as raised,
        start(root),
    ):
        pass
    assert '"it\'s mine"' in str(raised.value)


def test_the_run_of_mlflow_run_is_the_parent_and_ends_as_the_command_ends(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "stage.py").write_text(script_of(project, "pass", "data") + "raise SystemExit(3)\n")
    (project / "MLproject").write_text(
        f"name: x\nentry_points:\n  main:\n    command: {sys.executable} stage.py\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "mlflow", "run", ".", "--env-manager", "local"],
        cwd=project,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    [stage] = runs_of(project, "tags.`lrcycles.stage` = 'data'")
    parent = client_of(project).get_run(stage.data.tags["mlflow.parentRunId"])
    assert parent.data.tags["mlflow.source.type"] == "PROJECT"
    assert parent.info.experiment_id == stage.info.experiment_id
    assert (parent.info.status, stage.info.status) == ("FAILED", "FINISHED")


def test_a_run_id_that_the_store_lacks_is_named_and_the_stage_has_a_pipeline_of_its_own(
    root, pipeline, monkeypatch, capsys
):
    monkeypatch.setenv("MLFLOW_RUN_ID", "f" * 32)
    with start(root):
        pass
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("MLFLOW_RUN_ID must name a run of sqlite")
    assert statuses(root, pipeline) == ("FINISHED", [("bounds", "FINISHED")])


@pytest.mark.parametrize(
    ("uri", "cause"),
    [
        ("http://127.0.0.1:9", "Connection refused"),
        ("http://someone:secret@127.0.0.1:9", "Connection refused"),
        ("postgresql://someone:secret@127.0.0.1:9/runs", "Connection refused"),
        ("htp:/x?token=secret", "unsupported URI"),
        ("http:/someone:secret@x", "No host supplied"),
        ("http://secret@[x", "Invalid IPv6 URL"),
        ("sqlite:////proc/none/x.db", "No such file"),
        ("sqlite:///text.db", "file is not a database"),
    ],
)
def test_a_store_that_cannot_be_used_stops_a_stage_only_if_it_is_required(
    tmp_path, monkeypatch, capsys, uri, cause
):
    (tmp_path / "text.db").write_text("no database at all, but text\n" * 50)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with start(tmp_path):
        pass
    with start(tmp_path):  # the same pipeline
        pass
    [line] = capsys.readouterr().err.splitlines()
    with pytest.raises(InputError) as raised, required(tmp_path):
        pytest.fail("the stage was entered")
    assert "\n" not in str(raised.value)
    for message in (line, str(raised.value)):
        assert message.startswith(
            "MLFLOW_TRACKING_URI must name an MLflow store that can be used. Received: "
        )
        assert cause in message
        assert "secret" not in message
    assert line.endswith("Then run `lrcycles sync`.")


def required(root: Path):
    return runs.start("bounds", root=root, config={}, experiment="smoke", required=True)


def test_the_error_of_a_broken_project_store_names_no_variable(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database at all, but text\n" * 50)
    with (
        pytest.raises(InputError, match="The project's MLflow store must be usable"),
        required(tmp_path),
    ):
        pass


def test_a_relative_store_lies_at_the_root_whatever_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs/all.db")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    project = tmp_path / "100% a project"
    project.mkdir()
    with start(project):
        pass
    assert (project / "runs" / "all.db").stat().st_size > 0
    assert not list(elsewhere.iterdir())


def test_a_deleted_experiment_is_named_with_the_way_back(root, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "gone")
    with start(root):
        pass
    client = client_of(root)
    client.delete_experiment(client.get_experiment_by_name("gone").experiment_id)
    with pytest.raises(InputError, match="'gone', deleted"), required(root):
        pass
    with start(root):
        pass
    [line] = capsys.readouterr().err.splitlines()
    assert "'gone', deleted. Run `mlflow experiments restore" in line
    assert line.endswith("Then run `lrcycles sync`.")


def test_a_cell_whose_run_was_deleted_gets_a_new_one(root, tmp_path):
    cell = made_cell(tmp_path / "cell", key="deleted")
    with start(root) as run:
        run_id = log_cell(run, cell)
    client_of(root).delete_run(run_id)
    with start(root) as run:
        run.use_cell(key="unknown", group="clr", arm="clr")
        assert log_cell(run, cell) != run_id


def test_a_stage_leaves_the_environment_as_it_was(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    before = dict(os.environ)
    with start(root):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    before.pop("PYTEST_CURRENT_TEST", None)
    assert dict(os.environ) == before


def test_arms_that_share_a_cell_have_a_run_each(root, tmp_path):
    with start(root, "train@controls") as run:
        for arm in ("first", "second"):
            run.log_cell(made_cell(tmp_path / arm, arm=arm, key="shared"), params={}, data=DATA)
        settle(run)
        ids = run.cell_ids()
    assert set(ids) == {"first/0", "second/0"}
    found = runs_of(root, "tags.`lrcycles.key` = 'shared'")
    assert sorted(run.info.run_id for run in found) == sorted(ids.values())


def test_a_cell_has_one_run_that_counts_for_every_pipeline_that_uses_it(
    root, tmp_path, monkeypatch
):
    cell = made_cell(tmp_path / "cell", key="used")
    parents = []
    with start(root, "train@clr") as first:
        run_id = log_cell(first, cell)
        parents.append(first.background.delivery.pipeline)
    monkeypatch.setenv("LRCYCLES_PIPELINE", "second")
    with start(root, "train@clr") as second:
        assert log_cell(second, cell) == run_id
        parents.append(second.background.delivery.pipeline)
    monkeypatch.setenv("LRCYCLES_PIPELINE", "later")
    with start(root, "report") as third:
        third.use_cell(key="used", group="clr", arm="clr")
        third.show_arms(["clr"])
        settle(third)
        parents.append(third.background.delivery.pipeline)
    ids = [parent["id"] for parent in parents]
    for pipeline_id in ids:
        assert run_id in [found.info.run_id for found in runs_of(root, cells_of(pipeline_id))]
    assert client_of(root).get_run(run_id).data.tags["lrcycles.pipeline_runs"].split() == ids
    experiment_id = parents[2]["experiment"]
    page = first_page(client_of(root), "0")
    assert page.startswith(f"#/experiments/{experiment_id}/runs?")
    tags = client_of(root).get_experiment(experiment_id).tags
    view = json.loads(
        json.loads(tags[f"mlflow.sharedViewState.{page.rpartition('=')[2]}"])["state"]
    )
    assert view["searchFilter"] == cells_of(ids[2])


def test_a_stage_and_its_pipeline_are_described_with_the_way_to_repeat_them(
    root, pipeline, monkeypatch, tmp_path
):
    (tmp_path / "report.html").write_text("<p>better</p>")
    monkeypatch.setenv("DVC_EXP_NAME", "misty-sole")
    with start(root, "report") as run:
        run_id = id_of(run)
        [parent] = pipelines_of(root, pipeline)
        assert "when stage `report` has ended" in parent.data.tags[NOTE]
        run.describe("What was found.")
        run.describe_pipeline("clr is better.", {"a": 1.0}, tmp_path / "report.html")
    [parent] = pipelines_of(root, pipeline)
    client = client_of(root)
    assert client.get_run(run_id).data.tags[NOTE].startswith("What was found.")
    assert f"/runs/{parent.info.run_id}/artifacts/report.html?" in parent.data.tags[NOTE]
    assert "clr is better." in parent.data.tags[NOTE]
    assert "dvc exp apply misty-sole" in parent.data.tags[NOTE]
    assert parent.data.metrics == {"a": 1.0}
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["report.html"]


@pytest.mark.parametrize("port", ["0", "70000", "http", "", "taken"])
def test_a_port_that_cannot_be_used_is_named(port):
    with socket.create_server(("127.0.0.1", 0)) as other:
        given = str(other.getsockname()[1]) if port == "taken" else port
        with pytest.raises(InputError, match="PORT must be a free port") as raised:
            free_port(given)
    assert f"Received: {given}" in str(raised.value)


def test_a_stage_that_trains_logs_the_use_of_the_machine_until_it_ends(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    before = threading.active_count()
    with start(root, "train@clr") as run:
        run_id = id_of(run)
        for _ in range(100):
            logged = client_of(root).get_run(run_id).data.metrics
            if "system/cpu_utilization_percentage" in logged:
                break
            time.sleep(0.05)
    assert 0 < logged["system/system_memory_usage_percentage"] < 100
    assert threading.active_count() == before
    assert client_of(root).get_run(run_id).info.status == "FINISHED"


def test_sync_makes_the_runs_of_stages_that_mlflow_missed_and_makes_them_once(
    root, pipeline, tmp_path, monkeypatch, capsys
):
    cell = made_cell(tmp_path / "cell", key="missed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    for stage in ("data", "train@clr"):
        with start(root, stage) as run:
            run.log_metrics({"error_percent": 1.0})
            if stage == "train@clr":
                run.log_cell(cell, params={}, data=DATA)
                assert run.cell_ids() == {}
    assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    for _ in range(2):
        if are_waiting(root):
            sync_results(root)
        assert statuses(root, pipeline) == (
            "FINISHED",
            [("data", "FINISHED"), ("train@clr", "FINISHED")],
        )
        [found] = runs_of(root, "tags.`lrcycles.key` = 'missed'")
        assert found.info.status == "FINISHED"
    assert not are_waiting(root)


def test_a_record_survives_half_a_line_and_a_damaged_one_stops_nothing(root, pipeline, capsys):
    content = records.new_content("bounds", root=root, config={}, experiment="smoke")
    half, damaged = create(root, content), create(root, {**content, "token": "d" * 32})
    for record in (half, damaged):
        record.publish()
        record.lock.release()
    half.mark("other", {"stage": "a"})
    marks = half.folder / "marks.jsonl"
    marks.write_text(marks.read_text() + '{"store": "ot')
    assert half.marks("other") == {"stage": "a"}
    (damaged.folder / "record.json").write_text("{")
    with start(root, "data") as run:
        settle(run)
    assert capsys.readouterr().err == ""
    assert statuses(root, pipeline)[1] == [("bounds", "KILLED"), ("data", "FINISHED")]
    assert not are_waiting(root)


def test_a_run_that_a_killed_process_left_half_written_is_replaced_by_a_whole_one(root, tmp_path):
    cell = made_cell(tmp_path / "cell", key="half")
    dead = {**process_tags(psutil.Process()), "lrcycles.pid_started": "1.0"}
    named = {"lrcycles.key": "half", "lrcycles.group": "clr", "lrcycles.arm": "clr"}
    with start(root, "train@clr") as run:
        run_id = id_of(run)
        client = client_of(root)
        place = client.get_run(run_id).info.experiment_id
        client.create_run(place, tags={**dead, **named, "lrcycles.pipeline_runs": "earlier"})
        whole = log_cell(run, cell)
        own = run.background.delivery.pipeline["id"]
    [found] = runs_of(root, "tags.`lrcycles.key` = 'half'")
    assert (found.info.run_id, found.info.status) == (whole, "FINISHED")
    assert found.data.tags["lrcycles.pipeline_runs"].split() == ["earlier", own]
