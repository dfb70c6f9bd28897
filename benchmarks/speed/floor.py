"""Measures the matrix products and convolutions of an epoch, without all other work.

There are no activations, pools, loss, optimizer or batches. The products have the shapes of a real
training step. Each step uses the gradients of the step before: they replace the largest weights,
and are added to the other weights, multiplied by 1e-30. So a compiler cannot move a product out of
the loop or leave it out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.speed.tasks import CLASSES, Data, Prepared, Task

TINY = 1e-30  # vanishes in the rounding, which a compiler cannot know
# Inputs and hidden units of the dense layers; shapes of the convolutions' inputs and kernels.
DENSE = {"mlp": (784, 784), "lenet": (800, 500)}
CONVOLUTIONS = (((28, 28, 1), (5, 5, 1, 20)), ((12, 12, 20), (5, 5, 20, 50)))
Operands = dict[str, Any]


def _convolutions(task: Task) -> range:
    return range(len(CONVOLUTIONS) if task.network == "lenet" else 0)


def _carried(task: Task) -> tuple[str, ...]:
    """Name the operands that a step takes from the step before: gradients."""
    return ("w", "dv", *(("dx", "dk0", "dk1", "dc1") if _convolutions(task) else ()))


def _operands(task: Task) -> dict[str, np.ndarray]:
    """Draw random inputs x and c, weights w, v and k, and first gradients."""
    random = np.random.default_rng(0)
    b, (inputs, units) = task.batch_size, DENSE[task.network]

    def normal(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32) * np.float32(0.05)

    operands = {
        "x": normal(b, inputs),
        "w": normal(inputs, units),
        "v": normal(units, CLASSES),
        "do": normal(b, CLASSES),
        "dv": normal(units, CLASSES),
        "dx": normal(b, inputs),
    }
    for n in _convolutions(task):
        image, kernel = CONVOLUTIONS[n]
        operands |= {
            f"c{n}": normal(b, *image),
            f"k{n}": normal(*kernel),
            f"dk{n}": normal(*kernel),
        }
        operands["dc1"] = operands[f"c{n}"]
    return operands


def floor_graph(task: Task, data: Data, threads: int) -> Prepared:
    return _tensorflow(task, data, threads, xla=False)


def floor_xla(task: Task, data: Data, threads: int) -> Prepared:
    return _tensorflow(task, data, threads, xla=True)


def _tensorflow(task: Task, data: Data, threads: int, *, xla: bool) -> Prepared:
    import tensorflow as tf

    if xla and task.network == "lenet":
        raise ValueError("XLA convolutions take 40 times as long as the graph on a CPU. Left out.")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    fixed = {name: tf.constant(value) for name, value in _operands(task).items()}
    convolutions = _convolutions(task)
    steps = task.steps(len(data.y))
    plain = {"strides": [1, 1, 1, 1], "padding": "VALID"}

    def step(i: Any, carried: Operands) -> tuple[Any, Operands]:
        v = fixed["v"] + TINY * carried["dv"]
        h = fixed["x"] @ carried["w"]
        do = fixed["do"] + TINY * (h @ v)
        dh = tf.matmul(do, v, transpose_b=True)
        new = {
            "dv": tf.matmul(h, do, transpose_a=True),
            "w": tf.matmul(fixed["x"], dh, transpose_a=True),
        }
        if convolutions:
            new["dx"] = tf.matmul(dh, carried["w"], transpose_b=True)
        for n in convolutions:
            images, kernel = fixed[f"c{n}"], fixed[f"k{n}"] + TINY * carried[f"dk{n}"]
            out = tf.nn.conv2d(images, kernel, **plain)
            new[f"dk{n}"] = tf.raw_ops.Conv2DBackpropFilter(
                input=images, filter_sizes=kernel.shape, out_backprop=out, **plain
            )
            if n:
                new["dc1"] = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=images.shape, filter=kernel, out_backprop=out, **plain
                )
        return i + 1, new

    @tf.function(jit_compile=xla)
    def epoch(carried: Operands) -> Operands:
        return tf.while_loop(lambda i, _: i < steps, step, [0, carried])[1]

    start = {name: fixed[name] for name in _carried(task)}

    def train_epoch() -> None:
        epoch(start)["w"].numpy()

    return Prepared(train_epoch, None)


def floor_jax(task: Task, data: Data, threads: int) -> Prepared:  # noqa: ARG001
    import jax
    from jax import lax

    from benchmarks.speed.jax_peer import convolve  # on a CPU far faster than XLA's

    steps = task.steps(len(data.y))
    operands = {name: jax.device_put(value) for name, value in _operands(task).items()}
    convolutions = _convolutions(task)
    for name in ("c0", "c1", "dc1") if convolutions else ():
        operands[name] = operands[name].transpose(3, 1, 2, 0)  # the layout of `convolve`

    def step(fixed: Operands, carried: Operands) -> Operands:
        v = fixed["v"] + TINY * carried["dv"]
        h = fixed["x"] @ carried["w"]
        do = fixed["do"] + TINY * (h @ v)
        dh = do @ v.T
        new = {"dv": h.T @ do, "w": fixed["x"].T @ dh}
        if convolutions:
            new["dx"] = dh @ carried["w"].T
        for n in convolutions:
            kernel = fixed[f"k{n}"] + TINY * carried[f"dk{n}"]
            out, gradients = jax.vjp(convolve, fixed[f"c{n}"], kernel)
            # The first dc1 is overwritten, so XLA leaves it out.
            new["dc1"], new[f"dk{n}"] = gradients(out)
        return new

    @jax.jit
    def epoch(fixed: Operands) -> Operands:
        start = {name: fixed[name] for name in _carried(task)}
        return lax.scan(lambda carried, _: (step(fixed, carried), None), start, length=steps)[0]

    def train_epoch() -> None:
        jax.block_until_ready(epoch(operands))

    return Prepared(train_epoch, None)


def floor_torch(task: Task, data: Data, threads: int) -> Prepared:
    import torch

    torch.set_num_threads(threads)
    operands = {name: torch.from_numpy(value) for name, value in _operands(task).items()}
    x, w, v, do, dv, dx = (operands[name] for name in ("x", "w", "v", "do", "dv", "dx"))
    h, dh, o = torch.empty(len(x), w.shape[1]), torch.empty(len(x), w.shape[1]), do.clone()
    dw = w.clone()
    convolutions, steps = _convolutions(task), task.steps(len(data.y))
    last = {"memory_format": torch.channels_last}  # 5.9 s per epoch, 8.3 s without
    images = {n: operands[f"c{n}"].permute(0, 3, 1, 2).contiguous(**last) for n in convolutions}
    kernels = {n: operands[f"k{n}"].permute(3, 2, 0, 1).contiguous(**last) for n in convolutions}
    plain = ([0], [1, 1], [0, 0], [1, 1], False, [0, 0], 1)  # no bias, stride 1, no padding

    @torch.no_grad()
    def train_epoch() -> None:  # nothing is compiled, so no product can be left out
        for _ in range(steps):
            torch.mm(x, w, out=h)
            torch.mm(h, v, out=o)
            torch.mm(h.T, do, out=dv)
            torch.mm(do, v.T, out=dh)
            torch.mm(x.T, dh, out=dw)
            if convolutions:
                torch.mm(dh, w.T, out=dx)
            for n in convolutions:
                out = torch.conv2d(images[n], kernels[n])
                torch.ops.aten.convolution_backward(
                    out, images[n], kernels[n], *plain, [n > 0, True, False]
                )

    return Prepared(train_epoch, None)
