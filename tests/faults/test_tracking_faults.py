"""Plants faults of MLflow: no result is lost, nothing waits, and `lrcycles sync` completes it."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from lrcycles.cells.result import write_result
from lrcycles.stages.sync import sync_results
from tests.cell_results import cell_result
from tests.faults import mini_pipeline
from tests.faults.conftest import Faults
from tests.faults.mini_pipeline import STAGES
from tests.faults.mlflow_servers import POSTGRES, contents, mlflow_server, new_database, postgres
from tests.faults.proxy import Proxy
from tests.pipelines.project import Project

pytestmark = [
    pytest.mark.faults,
    pytest.mark.counts("tracking"),
    # A connection that a fault has cut may be collected before it is closed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).parents[2]
SEED = 20261126
SECRET = "very-secret"
LOST_SECONDS = 5.0
_names = itertools.count(1)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished cells, the first with a network, and images of the test set."""
    top = tmp_path_factory.mktemp("cells")
    for seed in (0, 1):
        folder = top / str(seed)
        folder.mkdir()
        number = np.arange(1, 2501)
        epoch = (number - 1) // 1250 + 1
        table = {"step": number, "epoch": epoch, "lr": number * 1e-6, "loss": 9 / number}
        pd.DataFrame(table).to_parquet(folder / "steps.parquet")
        versions = {"keras": "3", "numpy": "2"}
        result = cell_result(seed=seed, key=f"{seed}" * 64, versions=versions)
        write_result(folder / "result.json", result)
        os.utime(folder / "result.json", (1_700_000_010, 1_700_000_010))
    with zipfile.ZipFile(top / "0" / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {}}))
        archive.writestr("metadata.json", "{}")
        with h5py.File(top / "weights.h5", "w") as weights:
            weights.create_group("layers")
        archive.write(top / "weights.h5", "model.weights.h5")
    np.save(top / "test_images.npy", np.full((3, 4, 5), 200, dtype=np.uint8))
    return top


def without_slow(said: str) -> str:
    """Leave out what a busy machine makes the last stage say."""
    return "".join(line for line in said.splitlines(keepends=True) if " is slow and " not in line)


@dataclass
class Mini:
    """A folder in which the short pipeline runs, and the store it writes to."""

    root: Path
    uri: str
    cells: Path
    experiment: str
    key: str = "pipeline"

    def environment(self, **more: str) -> dict[str, str]:
        python = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        return {**os.environ, **python, **self.variables(), **more}

    def variables(self) -> dict[str, str]:
        named = {"LRCYCLES_PIPELINE": self.key} if self.key else {}
        store = {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_EXPERIMENT_NAME": self.experiment}
        return store | named

    def start(self, stage: str, *arguments: str) -> subprocess.Popen[str]:
        self.root.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.faults.mini_pipeline", stage, str(self.root)]
        return subprocess.Popen(
            [*command, str(self.cells), *(arguments or ("0",))],
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, stages: tuple[str, ...] = STAGES) -> tuple[str, float]:
        """Run the stages; return what they said, and how long they took."""
        self.root.mkdir(parents=True, exist_ok=True)
        began, said = time.monotonic(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
            for name, value in self.variables().items():
                patch.setenv(name, value)
            for stage in stages:
                mini_pipeline.main(stage, self.root, self.cells)
        self.check(said.getvalue())
        return without_slow(said.getvalue()), time.monotonic() - began

    def check(self, said: str) -> None:
        """No traceback, nothing secret, and the results of every stage that ran."""
        assert "Traceback" not in said, said
        assert SECRET not in said, said

    def sync(self) -> None:
        """Do what `lrcycles sync` does; without records it has nothing to do here."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
            for name, value in self.variables().items():
                patch.setenv(name, value)
            if self.records():
                sync_results(self.root)
        self.check(said.getvalue())

    def records(self) -> list[Path]:
        return sorted((self.root / ".lrcycles" / "mlflow").glob("[!.l]*/"))

    def contents(self, uri: str = "") -> list[dict]:
        return contents(uri or self.uri, self.experiment)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """A proxy in front of a real MLflow server with that database."""
    folder = tmp_path_factory.mktemp("server")
    if request.param == "sqlite":
        with mlflow_server(folder) as port:
            made = Proxy(port)
            yield made
            made.close()
        return
    address = request.getfixturevalue("database")
    with mlflow_server(folder, new_database(address, f"server{next(_names)}")) as port:
        made = Proxy(port)
        yield made
        made.close()


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    if not POSTGRES.exists():
        pytest.skip("PostgreSQL is not installed")
    with postgres() as address:
        yield address


@pytest.fixture
def mini(proxy: Proxy, cells: Path, tmp_path: Path) -> Mini:
    """A new project and a new experiment behind the proxy, which forwards everything."""
    proxy.reset()
    return Mini(tmp_path / "project", proxy.uri, cells, f"fault-{next(_names)}")


@pytest.fixture(scope="module")
def undisturbed(proxy: Proxy, cells: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What MLflow holds of a pipeline without a fault."""
    proxy.reset()
    plain = Mini(tmp_path_factory.mktemp("plain"), proxy.uri, cells, f"plain-{next(_names)}")
    said, _ = plain.run()
    assert said == ""
    plain.sync()
    assert not plain.records()
    found = plain.contents()
    assert [run["path"] for run in found] == [
        "mini",
        "mini/data",
        "mini/report",
        "mini/train@clr",
        "mini/train@clr/clr seed 0",
        "mini/train@clr/clr seed 1",
    ]
    assert {run["status"] for run in found} == {"FINISHED"}
    return found


def completed(mini: Mini, proxy: Proxy, undisturbed: list[dict]) -> None:
    """`lrcycles sync` makes the store equal to that of an undisturbed run, and twice is as once."""
    proxy.reset()
    for _ in range(2):
        mini.sync()
        assert mini.contents() == undisturbed
        assert not mini.records()


@pytest.mark.parametrize("action", ["500", "429", "cut", "lose", "fail after"])
def test_an_answer_that_fails_now_and_then_is_asked_again(
    action, mini, proxy, undisturbed, faults: Faults
):
    proxy.plan = lambda number: action if number % 7 == 3 else "pass"
    said, _ = mini.run()
    assert said == ""
    completed(mini, proxy, undisturbed)
    faults.add(f"every seventh answer: {action}", "harmless")


@pytest.mark.parametrize("action", ["cut", "hang", "500", "lose"])
def test_a_server_lost_at_any_moment_costs_seconds_and_sync_completes_the_runs(
    action, mini, proxy, undisturbed, faults: Faults
):
    _, plain_seconds = mini.run()
    whole = proxy.requests
    points = random.Random(SEED + len(action)).sample(range(1, whole), 3)
    for point in points:
        print("seed", SEED, "lost at request", point, "of", whole)
        proxy.reset()
        one = Mini(mini.root.parent / f"lost-{point}", mini.uri, mini.cells, f"lost-{next(_names)}")
        proxy.plan = lambda number, point=point: action if number >= point else "pass"
        said, seconds = one.run()
        assert seconds < 1.5 * plain_seconds + LOST_SECONDS  # half more, if the machine is busy
        assert said.count("lrcycles sync") <= 1
        completed(one, proxy, undisturbed)
        outcome = "recovered" if said else "harmless"
        faults.add(f"server lost by {action} at request {point} of {whole}", outcome)
        shutil.rmtree(one.root)


def test_a_slow_server_does_not_slow_the_stages(mini, proxy, undisturbed, faults: Faults):
    mini.run()
    proxy.delay_seconds = 0.3
    slow = Mini(mini.root.parent / "slow", mini.uri, mini.cells, f"slow-{next(_names)}")
    said, _ = slow.run()
    assert "does not answer" not in said
    completed(slow, proxy, undisturbed)
    faults.add("0.3 s for each answer", "recovered" if said else "harmless")


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_the_run_of_a_stage_that_is_killed_or_interrupted_becomes_killed(
    kind, mini, undisturbed, faults: Faults
):
    chosen = random.Random(SEED)
    for number, stage in enumerate(STAGES):
        one = Mini(mini.root.parent / f"{number}", mini.uri, mini.cells, f"killed-{next(_names)}")
        before = STAGES[:number]
        one.run(before)
        process = one.start(stage, "20")
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        wait = chosen.uniform(0.5, 3.0)
        time.sleep(wait)
        process.send_signal(kind)
        sent = time.monotonic()
        said = process.communicate()[1]
        one.check(said)
        if kind == signal.SIGINT:
            assert time.monotonic() - sent < 3.5  # two seconds, and the end of Python
        one.sync()
        found = {run["path"]: run["status"] for run in one.contents()}
        assert found[f"mini/{stage}"] == found["mini"] == "KILLED"
        one.run(STAGES[number:])
        one.sync()
        again = [run for run in one.contents() if run["status"] != "KILLED"]
        assert [run["path"] for run in again] == [run["path"] for run in undisturbed]
        faults.add(f"{kind.name} after {wait:.1f} s in stage {stage}", "recovered")


@pytest.mark.parametrize("trouble", ["hang", "cut", "slow"])
def test_a_stage_is_interrupted_at_once_though_its_server_does_not_answer(
    trouble, mini, proxy, undisturbed, faults: Faults
):
    for number, stage in enumerate(STAGES):
        proxy.reset()
        one = Mini(mini.root.parent / f"{number}", mini.uri, mini.cells, f"ended-{next(_names)}")
        one.run(STAGES[:number])
        if trouble == "slow":
            proxy.delay_seconds = 0.3
        else:
            proxy.plan = lambda _: trouble
        process = one.start(stage, "20")
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        one.check(process.communicate()[1])
        faults.figure("seconds from Ctrl-C to the end of a stage", time.monotonic() - sent)
        assert process.returncode == 130
        proxy.reset()
        one.sync()
        found = {run["path"]: run["status"] for run in one.contents()}
        assert found[f"mini/{stage}"] == "KILLED"
        one.run(STAGES[number:])
        one.sync()
        again = [run for run in one.contents() if run["status"] != "KILLED"]
        assert [run["path"] for run in again] == [run["path"] for run in undisturbed]
        faults.add(f"Ctrl-C in stage {stage} while the server is {trouble}", "recovered")


def test_stages_by_hand_at_once_give_a_cell_one_run(mini, faults: Faults):
    mini.key = ""
    others = [Mini(mini.root.parent / f"{n}", mini.uri, mini.cells, mini.experiment) for n in "ab"]
    for other in others:
        other.key = ""
    processes = [one.start("train@clr") for one in (mini, *others)]
    said = "".join(process.communicate()[1] for process in processes)
    for one in (mini, *others):
        one.sync()
    found = mini.contents()
    assert sum("seed" in run["path"] for run in found) == 2
    assert [run["pipelines"] for run in found if "seed" in run["path"]] == [3, 3]
    assert without_slow(said) == ""
    faults.add("three stages of the same cells at once", "harmless")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_first_starts_of_several_clones_make_one_database(
    kind, cells, tmp_path, database, faults: Faults
):
    uri = f"sqlite:///{tmp_path}/shared.db"
    if kind == "postgresql":
        uri = new_database(database, f"first{next(_names)}")
    clones = [Mini(tmp_path / str(n), uri, cells, "lrcycles", key="") for n in range(4)]
    processes = [clone.start("train@clr") for clone in clones]
    said = "".join(process.communicate()[1] for process in processes)
    assert [process.returncode for process in processes] == [0] * 4, said
    for clone in clones:
        clone.sync()
        assert not clone.records()
    found = clones[0].contents()
    assert sum("seed" in run["path"] for run in found) == 2
    assert sum(run["path"].endswith("/train@clr") for run in found) == 4
    assert {run["status"] for run in found} == {"FINISHED"}
    assert without_slow(said) == ""
    faults.add(f"four first starts on one {kind}", "harmless")


def cells_of(mini: Mini) -> dict[str, dict]:
    """What MLflow holds of the cells, by their place in the tree, whoever wrote them."""
    found = {run["path"]: run for run in mini.contents() if "seed" in run["path"]}
    for run in found.values():
        run["tags"] = {k: v for k, v in run["tags"].items() if not k.startswith("mlflow.source")}
    return found


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_stage_that_is_killed_while_it_writes_to_a_database_leaves_no_half_run(
    kind, request, cells, tmp_path, faults: Faults
):
    uri = f"sqlite:///{tmp_path}/killed.db"
    if kind == "postgresql":
        uri = new_database(request.getfixturevalue("database"), f"killed{next(_names)}")
    plain = Mini(tmp_path / "plain", uri, cells, "plain", key="plain")
    plain.run()
    expected = cells_of(plain)
    assert len(expected) == 2
    for steps in range(4, 12):  # of writing that are marked as done when the kill comes
        one = Mini(tmp_path / str(steps), uri, cells, f"killed-{steps}", key=f"killed-{steps}")
        process = one.start("train@clr")
        marks: list[str] = []
        while len(marks) < steps and process.poll() is None:
            time.sleep(0.0005)
            with contextlib.suppress(IndexError, FileNotFoundError):
                marks = (one.records()[0] / "marks.jsonl").read_text().splitlines()
        process.kill()
        one.check(process.communicate()[1])
        one.sync()
        assert not one.records()
        found = cells_of(one)
        assert found == {path: expected[path] for path in found}
        one.run()
        one.sync()
        assert [*cells_of(one).values()] == [*expected.values()]
        faults.add(f"kill -9 after {len(marks)} steps of writing to {kind}", "recovered")


def test_a_database_holds_what_a_server_writes_to_it(
    request, undisturbed, cells, tmp_path, faults: Faults
):
    uri = f"sqlite:///{tmp_path}/direct.db"
    if "postgresql" in request.node.name:
        uri = new_database(request.getfixturevalue("database"), f"direct{next(_names)}")
    direct = Mini(tmp_path / "direct", uri, cells, "direct")
    assert direct.run()[0] == ""
    direct.sync()
    assert direct.contents() == undisturbed
    faults.add("the same runs without a server", "harmless")


MISSING = {
    "a wrong port": f"http://ann:{SECRET}@127.0.0.1:9",
    "no such host": f"http://{SECRET}@no-such-host.invalid:5000",
    "a bad scheme": f"htp://ann:{SECRET}@127.0.0.1",
    "a malformed address": f"http://ann:{SECRET}@[127.0.0.1",
    "a token as query": f"http://127.0.0.1:9/?token={SECRET}",
    "a wrong database": f"postgresql+psycopg2://ann:{SECRET}@127.0.0.1:9/runs",
    "a corrupt sqlite": "sqlite:///corrupt.db",
    "a locked sqlite": "sqlite:///locked.db",
    "a read-only sqlite": "sqlite:///file:ROOT/read-only.db?mode=ro&uri=true",
    "a database without its driver": f"postgresql+asyncpg://ann:{SECRET}@127.0.0.1:9/runs",
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_store_that_is_missing_from_the_start_is_said_once_and_made_later(
    kind, cells, tmp_path, faults: Faults
):
    root = tmp_path / "project"
    uri = MISSING[kind].replace("ROOT", str(root))
    root.mkdir()
    (root / "corrupt.db").write_text("no database at all, but text\n" * 50)
    locked = sqlite3.connect(root / "locked.db", check_same_thread=False)
    locked.executescript("CREATE TABLE other (x); BEGIN EXCLUSIVE")
    sqlite3.connect(root / "read-only.db").executescript("CREATE TABLE other (x)")
    mini = Mini(root, uri, cells, "lrcycles")
    said, seconds = mini.run()
    [line] = said.splitlines()
    assert "lrcycles sync" in line
    assert seconds < 60
    process = mini.start("data", "0", "required")
    refused = process.communicate()[1]
    mini.check(refused)
    assert process.returncode == 1
    assert "lrcycles data: MLFLOW_TRACKING_URI must name" in refused
    locked.close()
    mini.uri = f"sqlite:///{tmp_path}/good.db"
    mini.sync()
    found = {run["path"]: run["status"] for run in mini.contents()}
    assert len(found) == 6
    assert set(found.values()) == {"FINISHED"}
    faults.add(kind, "recovered")


def test_a_deleted_experiment_is_said_and_made_later(mini, proxy, undisturbed, faults: Faults):
    from mlflow import MlflowClient

    client = MlflowClient(proxy.uri)
    experiment_id = client.create_experiment(mini.experiment)
    client.delete_experiment(experiment_id)
    said, _ = mini.run()
    [line] = said.splitlines()
    assert "mlflow experiments restore" in line
    client.restore_experiment(experiment_id)
    completed(mini, proxy, undisturbed)
    faults.add("a deleted experiment", "recovered")


def test_a_run_that_somebody_deletes_meanwhile_stops_nothing(mini, proxy, faults: Faults):
    from mlflow import MlflowClient

    process = mini.start("train@clr", "4")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(2.5)
    client = MlflowClient(proxy.uri)
    found = client.get_experiment_by_name(mini.experiment)
    for run in client.search_runs([found.experiment_id], "tags.`lrcycles.stage` LIKE '%'"):
        client.delete_run(run.info.run_id)
    said = process.communicate()[1]
    mini.check(said)
    assert process.returncode == 0
    assert len(said.splitlines()) <= 1
    faults.add("the run of a stage deleted in mid-run", "named" if said else "harmless")


@pytest.fixture
def _sqlite_only(request: pytest.FixtureRequest) -> None:
    if "postgresql" in request.node.name:
        pytest.skip("the database behind the server makes no difference here")


@pytest.mark.usefixtures("_sqlite_only")
def test_a_whole_pipeline_survives_the_loss_of_its_server(mini, proxy, tmp_path, faults: Faults):
    project = Project(tmp_path / "smoke")
    store = {"MLFLOW_TRACKING_URI": proxy.uri, "MLFLOW_EXPERIMENT_NAME": mini.experiment}
    proxy.plan = lambda number: "cut" if number > 60 else "pass"
    done = project.dvc("repro", **store)
    assert done.stderr.count("lrcycles sync") == 1
    assert (project.root / "artifacts" / "report" / "report.html").exists()
    proxy.reset()
    # The same cells in another experiment, without a fault.
    other = {**store, "MLFLOW_EXPERIMENT_NAME": f"{mini.experiment}-plain"}
    project.run("python", "-m", "lrcycles.cli", "sync", **store)
    disturbed = contents(proxy.uri, mini.experiment)
    project.dvc("repro", "--force", **other)
    project.run("python", "-m", "lrcycles.cli", "sync", **other)
    undisturbed = contents(proxy.uri, f"{mini.experiment}-plain")
    assert [_lasting(run) for run in disturbed] == [_lasting(run) for run in undisturbed]
    faults.add("server lost at request 60 of a whole pipeline", "recovered")


def _lasting(run: dict) -> dict:
    """What two pipelines with the same results have in common."""
    same = ("path", "status", "ended", "params", "data sets", "artifacts", "outputs")
    metrics = {name for name in run["metrics"] if not name.startswith("system/")}
    return {**{name: run[name] for name in same}, "metrics": metrics, "tags": set(run["tags"])}
