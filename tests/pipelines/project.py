"""Makes copies of this checkout that tests may run and change."""

from __future__ import annotations

import importlib.util
import io
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TRAIN = ["train@baseline", "train@clr", "train@controls"]
SECRET = {"SOME_API_TOKEN": "token-that-nobody-may-read"}  # in the environment of every command
STAGES = ["config", "data", "range_test", "bounds", "advise", *TRAIN, "report"]


class Project:
    """A folder with the project in it, and the commands a user types there."""

    def __init__(self, root: Path, *, git: bool = True) -> None:
        listed = subprocess.check_output(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
        )
        self.root = root
        for name in filter(lambda name: (ROOT / name).is_file(), listed.splitlines()):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
        self.edit("conf/config.yaml", "experiment: tutorial", "experiment: smoke")
        (root / "dvc.lock").unlink(missing_ok=True)
        if git:
            for command in (
                "init -q",
                "config user.email test@localhost",
                "config user.name test",
                "add -A",
                "commit -qm start",
            ):
                self.run("git", *command.split())

    @classmethod
    def copy_of(cls, folder: Path, root: Path, *, without: Sequence[str] = ()) -> Project:
        """Copy a project with all its results, except the files that `without` names."""
        shutil.copytree(folder, root, symlinks=True, ignore=shutil.ignore_patterns(*without))
        copy = cls.__new__(cls)
        copy.root = root
        return copy

    def run(
        self, *command: str, ok: bool = True, given: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(**environment),
            input=given,
            capture_output=True,
            text=True,
        )
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done

    def environment(self, **more: str) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "PYTHONPATH": str(self.root / "src")} | SECRET | more

    def stage(self, name: str, *arguments: str, ok: bool = True, **environment: str):
        return self.run("python", "-m", f"pipelines.{name}", *arguments, ok=ok, **environment)

    def module(
        self, name: str, *arguments: str, ok: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Do what `python -m NAME` does, in this process: faster, since it has MLflow loaded.

        For modules that start no process of their own. It is this checkout's code that runs.
        """
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as here,
            patch.dict(os.environ, environment),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            here.chdir(self.root)
            here.setattr(sys, "argv", [name, *arguments])
            try:
                runpy.run_path(spec.origin, run_name="__main__")
            except SystemExit as ended:
                status = int(ended.code or 0)
            else:
                status = 0
        assert not ok or status == 0, out.getvalue() + err.getvalue()
        return subprocess.CompletedProcess([name], status, out.getvalue(), err.getvalue())

    def stage_here(self, name: str, *arguments: str, ok: bool = True, **environment: str):
        return self.module(f"pipelines.{name}", *arguments, ok=ok, **environment)

    def dvc(self, *arguments: str, ok: bool = True, **environment: str):
        return self.run("dvc", *arguments, ok=ok, **environment)

    def repro(self) -> list[str]:
        """Run `dvc repro` and return the names of the stages that ran."""
        return self.stages_that_ran(self.dvc("repro").stdout)

    @staticmethod
    def stages_that_ran(printed: str) -> list[str]:
        """Read the names of the stages from what DVC printed."""
        lines = printed.splitlines()
        return [line.split("'")[1] for line in lines if line.startswith("Running stage")]

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def go_back(self) -> None:
        """Go back to the configuration in conf/, as the documentation tells users to."""
        self.run("git", "checkout", "-q", "conf", "params.yaml")
        self.dvc("repro")

    def restore(self) -> None:
        """Take back what a test has changed, from git and from DVC's cache: faster than a rerun."""
        self.run("git", "checkout", "-q", "conf", "params.yaml", "dvc.lock")
        self.dvc("checkout", "--force", "--quiet", *STAGES)

    def params(self) -> dict:
        return yaml.safe_load((self.root / "params.yaml").read_text())

    def cells(self, group: str):
        import pandas as pd

        return pd.read_csv(self.root / "artifacts" / "train" / group / "cells.csv")

    def latest_folder(self, stage: str) -> Path:
        """Find the results of the last run of a stage with overrides."""
        folders = (self.root / "outputs" / stage).glob("[0-9]*")
        return max(folders, key=lambda path: path.stat().st_mtime)

    def latest_by_hand(self, stage: str):
        import pandas as pd

        return pd.read_csv(self.latest_folder(stage) / "cells.csv")


def runs(project: Project, **tags: str):
    """Search the runs of a project's own MLflow store by their tags."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{project.root}/mlflow.db")
    query = " and ".join(f"tags.`lrcycles.{name}` = '{value}'" for name, value in tags.items())
    return client.search_runs([e.experiment_id for e in client.search_experiments()], query)
