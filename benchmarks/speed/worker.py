"""Times the epochs of one contender on one task.

    PYTHONPATH=src python -m benchmarks.speed.worker CONTENDER TASK --threads N --data FOLDER

Prints one JSON line when it is ready. Then it trains an epoch for every line on stdin and prints
the seconds, and how many cores other processes kept busy. Each contender has its own process, so
that the threads of two libraries never compete.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
# Contender (the name of a function) -> its module and its library.
CONTENDERS = {
    "tutorial_fit": ("keras_fit", "tensorflow"),
    "plain_fit": ("keras_fit", "tensorflow"),
    "tuned_fit": ("keras_fit", "tensorflow"),
    "stepped_fit": ("keras_fit", "tensorflow"),
    "jax_fit": ("keras_fit", "jax"),
    "jax_stepped_fit": ("keras_fit", "jax"),
    "torch_eager": ("torch_peer", "torch"),
    "torch_compile": ("torch_peer", "torch"),
    "jax_scan": ("jax_peer", "jax"),
    "ours_tensorflow": ("ours", "tensorflow"),
    "ours_jax": ("ours", "jax"),
    "floor_graph": ("floor", "tensorflow"),
    "floor_xla": ("floor", "tensorflow"),
    "floor_jax": ("floor", "jax"),
    "floor_torch": ("floor", "torch"),
}
PACKAGES = ("numpy", "tensorflow", "keras", "torch", "jax", "jaxlib", "optax")
LEAST_ACCURACY = 0.8
WARM_UPS = 3  # one epoch of 30 steps may be too short to reach the accuracy


def restrict(threads: int) -> None:
    """Bind this process to `threads` processors, the only limit that every library obeys.

    Raises:
        ValueError: the process may use fewer processors.
    """
    processors = sorted(os.sched_getaffinity(0))
    if threads > len(processors):
        raise ValueError(
            f"--threads must be at most {len(processors)}, the number of processors. "
            f"Received: {threads}. Set --threads {len(processors)} or less."
        )
    os.sched_setaffinity(0, processors[:threads])
    os.environ["OMP_NUM_THREADS"] = str(threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("task")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    # Libraries print from C as well. Only our own lines may reach the real stdout.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**fields: object) -> None:
        print(json.dumps(fields), file=answers, flush=True)

    restrict(arguments.threads)
    module, library = CONTENDERS[arguments.contender]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["KERAS_BACKEND"] = library

    from benchmarks.speed import tasks

    task = tasks.TASKS[arguments.task]
    data = tasks.load(arguments.data)
    start = time.perf_counter()
    importlib.import_module(library)
    prepare = getattr(importlib.import_module(f"benchmarks.speed.{module}"), arguments.contender)
    import_seconds = time.perf_counter() - start
    prepare_seconds, prepared = _timed(lambda: prepare(task, data, arguments.threads))
    first_seconds, _ = _timed(prepared.train_epoch)
    # Read before evaluating, which may need more memory.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    accuracy, warm_ups = None, 1
    if prepared.accuracy:
        while (accuracy := prepared.accuracy()) < LEAST_ACCURACY and warm_ups < WARM_UPS:
            prepared.train_epoch()
            warm_ups += 1
        if accuracy < LEAST_ACCURACY:
            raise RuntimeError(
                f"The test accuracy must be at least {LEAST_ACCURACY}. Received: {accuracy:.3f}. "
                "Check the contender: it does not learn."
            )
    answer(
        ready=True,
        import_seconds=import_seconds,
        prepare_seconds=prepare_seconds,
        first_seconds=first_seconds,
        accuracy=accuracy,
        warm_ups=warm_ups,
        images=task.steps(len(data.y)) * task.batch_size,
        versions={name: metadata.version(name) for name in PACKAGES if name in sys.modules},
        peak_mb=peak,
    )
    for _ in sys.stdin:
        others = -_others_seconds()
        seconds, _ = _timed(prepared.train_epoch)
        others += _others_seconds()
        answer(seconds=seconds, others=max(0.0, others / seconds))


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _others_seconds() -> float:
    """Return the processor seconds of all other processes since the machine started."""
    user, nice, system, _, _, irq, soft_irq, steal, *_ = (
        int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    busy = user + nice + system + irq + soft_irq + steal
    return busy / os.sysconf("SC_CLK_TCK") - time.process_time()


if __name__ == "__main__":
    main()
