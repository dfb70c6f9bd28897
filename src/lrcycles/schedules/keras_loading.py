"""Registers the library's Keras classes, so that Keras can load models that hold them."""

from __future__ import annotations

import importlib

MODULES = ("lrcycles.schedules.keras_schedules", "lrcycles.schedules.keras_optimizers")


def register_keras_objects() -> None:
    """Register every schedule and optimizer of this library with Keras.

    Call this before `keras.saving.load_model` in a new process: Keras looks up classes by the names
    under which they were registered when the model was saved.
    """
    for module in MODULES:  # a class registers itself when its module is imported
        importlib.import_module(module)
