"""Stage `advise`: find the schedule and its peak by short trainings, if an arm asks for them.

By hand it always advises. It trains the configured model on the training images, evaluates on the
validation images, and never reads the test set.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from lrcycles import files, models
from lrcycles.cells.cell import Cell, digest_of
from lrcycles.cells.code import code_digest, source_files
from lrcycles.config.resolve import advised_arms, tuning_seeds
from lrcycles.data.image_sets import read_sets
from lrcycles.errors import InputError
from lrcycles.stages import outlook, plan
from lrcycles.stages.run import Run, execute
from lrcycles.stages.stage_runs import log_stage


def main(run: Run) -> None:
    """Advise for the configured training, print the answer, and write and draw it."""
    arms = advised_arms(run.config)
    if outlook.in_pipeline() and not arms:
        print("No arm asks for advice.")
        files.write_json(run.out / "advice.json", {"schema": 1, "asked": False})
        log_stage(run.mlflow, "advise", run.out)
        return
    if run.config.train.precision.value != "float32":
        raise InputError(
            "train.precision must be float32 for stage advise. Received: "
            f"train.precision={run.config.train.precision.value}. Set train.precision=float32."
        )
    data = run.data()
    kept = find_advice(run, plan.sweep_cells(run.config, data=data)[0])
    for path in kept.glob("advice.*"):
        shutil.copy2(path, run.out)
    print((kept / "advice.txt").read_text(encoding="utf-8"))
    advice = files.read_json(kept / "advice.json")
    share = 100 * advice["warmup_steps"] / advice["total_steps"]
    more = {"asked": True, "arms": arms, "warmup_percent": share}
    files.write_json(run.out / "advice.json", advice | more | run.advised())
    log_stage(run.mlflow, "advise", run.out, data=data)


def find_advice(run: Run, cell: Cell) -> Path:
    """Return the folder of the advice in the store, which is made if it is not there.

    Args:
        cell: gives network, optimizer, data and machine; a schedule and a seed play no part.
    """
    seed = tuning_seeds(run.config)[0]
    of_advice = {"epochs": run.config.train.epochs, "seed": seed, **asdict(run.config.advise)}
    key = digest_of(
        {
            "measured": "advice",
            "cell": cell.setting,
            "advise": of_advice,
            "sources": code_digest(source_files(["lrcycles.advising.of_model"])),
        }
    )
    if not run.config.train.reuse or run.store.entry(key) is None:
        with run.store.adding(key) as folder:
            advise(run, cell, seed, folder)
    else:
        print("The store has this advice.")
    return run.store.folder(key)


def advise(run: Run, cell: Cell, seed: int, folder: Path) -> None:
    """Ask for an advice and write it into a folder.

    Args:
        seed: of the initial weights, which no training of the comparison starts from.
    """
    with silent_import():  # of Keras, which needs its backend first
        from lrcycles.advising import of_model
        from lrcycles.range_tests.keras_model.state import seed_globals

    sets = read_sets(run.input("data"), training_set="split")
    x, y = sets.train.scaled(), sets.train.labels
    seed_globals(seed)
    model = models.build(cell.model, input_shape=x.shape[1:], classes=cell.classes)
    model.compile(
        models.build_optimizer(cell.optimizer),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    advice = of_model.advise(
        model,
        x,
        y,
        epochs=run.config.train.epochs,
        budget=run.config.advise.budget,
        schedule=run.config.advise.schedule.value,
        batch_size=cell.batch_size,
        class_weight=dict(enumerate(cell.class_weights)) if cell.class_weights else None,
        heldout=(sets.validation.scaled(), sets.validation.labels),
    )
    advice.write(folder)
    files.write_text(folder / "advice.txt", f"{advice}\n")


@contextmanager
def silent_import() -> Iterator[None]:
    """Drop what TensorFlow prints during its import; TF_CPP_MIN_LOG_LEVEL does not silence it."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def warm_up(run: Run) -> bool:
    """Choose Keras's backend before anything imports Keras; no other process is needed."""
    os.environ["KERAS_BACKEND"] = run.config.train.backend.value
    return False


if __name__ == "__main__":
    execute("advise", main, warm_up=warm_up, apart=lambda config: not advised_arms(config))
