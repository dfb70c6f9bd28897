"""Checks which way of compiling is chosen."""

import keras
import pytest

from lrcycles.cells.cell import Runtime
from lrcycles.training.compilation import use_xla


def runtime(device: str = "cpu", backend: str = "tensorflow", threads: int = 1) -> Runtime:
    return Runtime(
        backend=backend,
        device=device,
        precision="float32",
        threads=threads,
        side_by_side=1,
        versions={},
        sources="",
    )


def dense() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


def convolutional() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])


@pytest.mark.parametrize(
    ("model", "batch_size", "device", "expected"),
    [
        (dense, 200, "cpu", True),
        (dense, 2000, "cpu", False),
        (convolutional, 200, "cpu", False),
        (convolutional, 2000, "gpu", True),
    ],
)
def test_auto_is_the_table_measured_on_two_cores(model, batch_size, device, expected):
    chosen = use_xla("auto", model=model(), batch_size=batch_size, runtime=runtime(device))
    assert chosen is expected


@pytest.mark.parametrize(("threads", "expected"), [(1, False), (2, True)])
def test_a_graph_trains_dense_layers_on_one_thread_if_the_update_is_one_kernel(threads, expected):
    settings = {"model": dense(), "batch_size": 200, "one_kernel": True}
    assert use_xla("auto", runtime=runtime(threads=threads), **settings) is expected
    assert use_xla("xla", runtime=runtime(threads=threads), **settings)
    assert use_xla("auto", runtime=runtime("gpu", threads=threads), **settings)


def test_a_nested_network_is_not_taken_for_dense_layers():
    nested = keras.Sequential([keras.Input((8, 8, 1)), convolutional()])
    assert not use_xla("auto", model=nested, batch_size=200, runtime=runtime())


def test_a_setting_overrules_the_table():
    assert use_xla("xla", model=convolutional(), batch_size=8, runtime=runtime())
    assert not use_xla("graph", model=dense(), batch_size=8, runtime=runtime())


def test_jax_has_no_other_way_than_xla():
    assert use_xla("auto", model=convolutional(), batch_size=8, runtime=runtime(backend="jax"))
