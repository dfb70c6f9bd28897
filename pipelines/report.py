"""Stage `report`: compare the arms in error and in time and write the report."""

from datetime import UTC, datetime

from lrcycles.config.resolve import advised_arms
from lrcycles.config.schema import GROUPS
from lrcycles.report.build import build
from lrcycles.stages.run import Run, execute
from lrcycles.stages.stage_runs import add_cells, arm_names, log_stage
from lrcycles.tracking.processes import origin_tags


def main(run: Run) -> None:
    groups = [getattr(run.config.arms, group) for group in GROUPS]
    arms = {name: arm for group in groups for name, arm in group.items()}
    asked = ["advise"] if advised_arms(run.config) else []
    train = [f"train@{name}" for name in GROUPS]
    for stage in ("config", "data", "range_test", "bounds", *asked, *train):
        run.input(stage)
    built = build(
        artifacts=run.root / "artifacts",
        out=run.out,
        report=run.config.report,
        experiment=run.config.experiment,
        commit=origin_tags().get("mlflow.source.git.commit", "unknown"),
        against={n: arm.against for n, arm in arms.items() if arm.against is not None},
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )
    log_stage(run.mlflow, "report", run.out)
    add_cells(run.mlflow, run.root / "artifacts")
    run.mlflow.show_arms(arm_names(run.config))
    print(built.short)
    if not run.overrides:
        print("The report is artifacts/report/report.html.")


if __name__ == "__main__":
    execute("report", main)
