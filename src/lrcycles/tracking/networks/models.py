"""Logs the network of a cell as an MLflow model that takes pixels as the data set holds them."""

from __future__ import annotations

import importlib.machinery
import json
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles.cells.result import CellResult
from lrcycles.tracking.networks import load_own_classes, scaling
from lrcycles.tracking.points import FinishedCell

_PIXEL_SCALE = 1 / 255  # as the networks are trained: data.image_sets.PIXEL_SCALE
EXAMPLE_IMAGES = 2
_NOT_IN_A_NAME = re.compile(r"[/:.%\"']")  # MLflow's rule


def model_name(cell: CellResult) -> str:
    return _NOT_IN_A_NAME.sub("-", f"{cell.arm}-seed-{cell.seed}")


def lay_out(
    folder: Path,
    cell: FinishedCell,
    data: Mapping[str, Any],
    *,
    model_id: str,
    location: str,
    run_id: str,
    example: np.ndarray,
) -> None:
    """Write the folder that `mlflow.keras.save_model` would, from the file that training saved.

    An earlier attempt may have left files in the folder; they are written again.

    `mlflow.keras` itself would import TensorFlow, load the network and save it again.

    Args:
        data: the content of data.json.
        location: where MLflow keeps the model's files.
        run_id: the cell's run.
        example: images of the test set.
    """
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    shape = tuple(data["image_shape"])
    pixels = TensorSpec(np.dtype("uint8"), (-1, *shape))
    probabilities = TensorSpec(np.dtype("float32"), (-1, len(data["classes"])))
    described = Model(
        artifact_path=location,
        run_id=run_id,
        model_id=model_id,
        signature=ModelSignature(inputs=Schema([pixels]), outputs=Schema([probabilities])),
    )
    described.saved_input_example_info = _write_example(folder, example)
    described.add_flavor(
        "keras",
        data="data",
        keras_version=cell.result.versions["keras"],
        keras_backend=cell.result.backend,
        save_exported_model=False,
    )
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "keras_module.txt").write_text("keras")
    own = scaling.add_scaling(
        cell.folder / "model.keras",
        folder / "data" / "model.keras",
        image_shape=shape,
        scale=_PIXEL_SCALE,
    )
    if own:
        _write_code(folder / "code", own)
    # The same as mlflow.pyfunc.add_to_model, whose import takes a second and warns.
    described.add_flavor(
        "python_function",
        loader_module=Path(load_own_classes.__file__).stem if own else "mlflow.keras",
        python_version=platform.python_version(),
        env={"virtualenv": "python_env.yaml"},
        **({"code": "code"} if own else {}),
    )
    described.save(str(folder / "MLmodel"))
    _write_environment(folder, cell.result.versions)


def _write_example(folder: Path, images: np.ndarray) -> dict[str, str]:
    """Write images as MLflow stores an input example, and describe the files."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = images.tolist()
    (folder / "input_example.json").write_text(json.dumps(pixels))
    (folder / "serving_input_example.json").write_text(json.dumps({"inputs": pixels}))
    return {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "ndarray",
    }


def _write_code(folder: Path, own: Iterable[scaling.OwnObject]) -> None:
    """Copy the modules that hold the user's classes, and the loader that imports them."""
    folder.mkdir(exist_ok=True)
    shutil.copy(load_own_classes.__file__, folder)
    (folder / "own_objects.json").write_text(json.dumps(list(own)))
    for top in {entry.module.partition(".")[0] for entry in own}:
        spec = importlib.machinery.PathFinder.find_spec(top, [str(Path.cwd()), *sys.path])
        if spec is None:  # it must then be installed where the network is loaded
            continue
        if spec.submodule_search_locations:
            [package] = list(spec.submodule_search_locations)[:1]
            for path in Path(package).rglob("*.py"):
                target = folder / top / path.relative_to(package)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        elif spec.origin:
            shutil.copy(spec.origin, folder)


def _write_environment(folder: Path, trained_with: Mapping[str, str]) -> None:
    import mlflow

    versions = {"mlflow": mlflow.__version__, **trained_with}
    lines = [f"{package}=={version}\n" for package, version in versions.items()]
    (folder / "requirements.txt").write_text("".join(lines))
    (folder / "python_env.yaml").write_text(
        f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n"
    )
