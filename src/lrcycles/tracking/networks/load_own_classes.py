"""Loads a logged network that needs classes of the user.

This file is copied next to such a network, so it imports nothing of the project.
"""

import importlib
import json
from pathlib import Path
from typing import Any


def _load_pyfunc(path: str) -> Any:
    """Load the network as mlflow.keras does, with the user's classes at hand."""
    from mlflow.keras import load
    from mlflow.models import Model

    listed = json.loads((Path(path) / "code" / "own_objects.json").read_text(encoding="utf-8"))
    own = {
        registered: getattr(importlib.import_module(module), name)
        for registered, module, name in listed
    }
    described = Model.load(path)
    network = load._load_keras_model(path, described, custom_objects=own)
    return load.KerasModelWrapper(network, described.signature)
