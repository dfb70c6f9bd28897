"""Puts the scaling of pixels in front of a saved network, without loading Keras."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_WEIGHTS = "model.weights.h5"


class OwnObject(NamedTuple):
    """A class or function outside of Keras that a saved network needs."""

    registered: str  # the name by which Keras looks it up
    module: str
    name: str


def add_scaling(
    saved: Path, out: Path, *, image_shape: Sequence[int], scale: float
) -> list[OwnObject]:
    """Write a network that takes uint8 pixels from a network that takes scaled ones.

    The written network is keras.Sequential([Input, Rescaling, the saved network]), bit for bit as
    Keras computes it. Its uint8 input turns pixels that are already scaled into zeros, so that this
    mistake shows.

    Args:
        saved: a .keras file of a network that was not compiled.
        out: the .keras file to write.
        scale: the factor for the pixels.

    Returns:
        The classes and functions that loading the network needs.
    """
    import h5py

    with zipfile.ZipFile(saved) as archive:
        inner = json.loads(archive.read("config.json"))
        metadata = archive.read("metadata.json")
        weights = archive.read(_WEIGHTS)
        others = {
            entry.filename: archive.read(entry)
            for entry in archive.infolist()
            if entry.filename not in ("config.json", "metadata.json", _WEIGHTS)
        }
    place = f"layers/{_snake_case(inner['class_name'])}"
    moved = io.BytesIO()
    with h5py.File(io.BytesIO(weights), "r") as source, h5py.File(moved, "w") as target:
        for path, name in (("vars", "with_scaling"), ("layers/rescaling/vars", "scaling")):
            target.create_group(path).attrs["name"] = name
        target.create_group(place)
        for name in source:
            source.copy(name, target[place])
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("metadata.json", metadata)
        archive.writestr("config.json", json.dumps(_sequential(inner, image_shape, scale)))
        archive.writestr(_WEIGHTS, moved.getvalue())
        for name, content in others.items():
            archive.writestr(re.sub("^assets/", f"assets/{place}/", name), content)
    return sorted(set(_own_objects(inner)))


def _sequential(inner: dict[str, Any], image_shape: Sequence[int], scale: float) -> dict[str, Any]:
    """Make the configuration that Keras would save."""
    shape = [None, *image_shape]
    pixels = {"batch_shape": shape, "dtype": "uint8", "name": "pixels"}
    scaling = {"name": "scaling", "dtype": "float32", "scale": scale, "offset": 0.0}
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {
            "name": "with_scaling",
            "trainable": True,
            "dtype": "float32",
            "layers": [
                {
                    "module": "keras.layers",
                    "class_name": "InputLayer",
                    "config": pixels,
                    "registered_name": None,
                },
                {
                    "module": "keras.layers",
                    "class_name": "Rescaling",
                    "config": scaling,
                    "registered_name": None,
                    "build_config": {"input_shape": shape},
                },
                inner,
            ],
            "build_input_shape": shape,
        },
        "registered_name": None,
        "build_config": {"input_shape": shape},
    }


def _snake_case(name: str) -> str:
    """Name a layer's place in the file of weights as Keras does.

    >>> [_snake_case(name) for name in ("Sequential", "MyNet", "LeNet5")]
    ['sequential', 'my_net', 'le_net5']
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _own_objects(config: Any) -> Iterator[OwnObject]:
    """Find what a configuration names outside of Keras."""
    if isinstance(config, list):
        for entry in config:
            yield from _own_objects(entry)
    if not isinstance(config, dict):
        return
    module, name = config.get("module"), config.get("class_name")
    if module and name and module.partition(".")[0] not in ("keras", "builtins"):
        if name == "function":
            yield OwnObject(config["config"], module, config["config"])
        else:
            yield OwnObject(config["registered_name"] or name, module, name)
    for entry in config.values():
        yield from _own_objects(entry)
