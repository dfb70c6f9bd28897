"""Stage `advise`, by hand only: find the schedule and its peak by short trainings.

It trains the configured model on the training images, evaluates on the validation images, and
never reads the test set.
"""

import os

from lrcycles import models
from lrcycles.config.plain import plain
from lrcycles.data.image_sets import read_sets
from lrcycles.errors import InputError
from lrcycles.stages.run import Run, execute


def main(run: Run) -> None:
    """Advise a schedule for the configured training, print it, and write and draw it."""
    from lrcycles.advising.of_model import advise  # it imports Keras, which needs its backend first

    train, settings = run.config.train, run.config.advise
    if train.precision.value != "float32":
        raise InputError(
            "train.precision must be float32 for stage advise. Received: "
            f"train.precision={train.precision.value}. Set train.precision=float32."
        )
    data = run.data()
    sets = read_sets(run.input("data"), training_set="split")
    x, y = sets.train.scaled(), sets.train.labels
    network = {
        "function": run.config.model.function,
        "arguments": plain(run.config.model.arguments),
    }
    model = models.build(network, input_shape=x.shape[1:], classes=len(run.config.data.classes))
    model.compile(
        models.build_optimizer(plain(run.config.optimizer)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    advice = advise(
        model,
        x,
        y,
        epochs=train.epochs,
        budget=settings.budget,
        schedule=settings.schedule.value,
        batch_size=train.batch_size,
        heldout=(sets.validation.scaled(), sets.validation.labels),
    )
    print(advice)
    advice.write(run.out)
    run.mlflow.log_dataset(data)
    run.mlflow.log_metrics({"peak_lr": advice.peak_lr, "expected_loss": advice.expected_loss})
    for name in ("advice.json", "advice.png"):
        run.mlflow.log_artifacts(run.out / name)
    run.mlflow.describe(f"```\n{advice}\n```")


def warm_up(run: Run) -> bool:
    """Choose Keras's backend before anything imports Keras; no other process is needed."""
    os.environ["KERAS_BACKEND"] = run.config.train.backend.value
    return False


if __name__ == "__main__":
    execute("advise", main, warm_up=warm_up)
