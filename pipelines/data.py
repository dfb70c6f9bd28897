"""Stage `data`: fetch, check and split the images."""

from lrcycles import files
from lrcycles.data import image_sets, plots, prepare
from lrcycles.stages.run import Run, execute
from lrcycles.stages.stage_runs import log_stage


def main(run: Run) -> None:
    """Write the arrays of the split, data.json and two figures."""
    settings = run.config.data
    data = prepare.prepare(**vars(settings), root=run.shared, out=run.out)
    train = image_sets.read_sets(run.out, training_set="split").train
    sample = train.first_of_each_class(10)
    digits = plots.sample_digits(train.read(sample), train.labels[sample], settings.classes)
    files.write_figure(run.out / "digits.png", digits)
    balance = plots.class_balance(data["class_counts"], settings.classes)
    files.write_figure(run.out / "classes.png", balance)
    log_stage(run.mlflow, "data", run.out, data=data)


if __name__ == "__main__":
    execute("data", main)
