"""Compares the test errors of lrcycles with those of plain Keras `fit`.

    PYTHONPATH=src python -m benchmarks.errors

The training is the tutorial's first fit on one thread, for fewer epochs. Each seed trains once with
`fit` and once with lrcycles. The two draw their own batches and initial weights.
"""

from __future__ import annotations

import argparse
from typing import Any

from scipy import stats

from benchmarks import shapes
from lrcycles.cells.cell import Cell
from lrcycles.data.image_sets import read_sets
from lrcycles.evidence.arms import summarise
from lrcycles.training import pool


def by_fit(cell: Cell, _notify: Any) -> tuple[int, float]:
    """Train with plain `fit`; return the seed and the test error in percent."""
    import keras

    from lrcycles import models

    sets = read_sets(shapes.DATA, training_set="all")
    keras.utils.set_random_seed(1000 + cell.seed)
    model = models.build(cell.model, input_shape=sets.train.shape, classes=10)
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        sets.train.scaled(),
        sets.train.labels,
        batch_size=cell.batch_size,
        epochs=cell.epochs,
        verbose=0,
    )
    right = model.evaluate(sets.test.scaled(), sets.test.labels, batch_size=1000, verbose=0)[1]
    return cell.seed, 100 * (1 - right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    cells = [shapes.cell(seed=seed, epochs=options.epochs) for seed in range(options.seeds)]
    results = shapes.train(cells, workers=2)
    ours = [result.test_error_percent for result in results]
    with pool.workers(2, runtime=cells[0].runtime) as run:
        fit = [error for _, error in sorted(run(by_fit, cells))]
    welch = stats.ttest_ind(ours, fit, equal_var=False).confidence_interval()
    shapes.write(
        "errors",
        {
            "epochs": options.epochs,
            "ours_percent": ours,
            "fit_percent": fit,
            "ours": vars(summarise(ours)),
            "fit": vars(summarise(fit)),
            "difference_percent": [welch.low, welch.high],
        },
    )


if __name__ == "__main__":
    main()
