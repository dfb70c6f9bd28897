"""Stage `report`: error and time: what differs, how sure, why?"""

from datetime import UTC, datetime

from lrcycles.config import plain
from lrcycles.config.schema import GROUPS
from lrcycles.report import build
from lrcycles.report.metrics import flat_metrics
from lrcycles.stages.run import Run, execute
from lrcycles.tracking.processes import origin_tags


def main(run: Run) -> None:
    groups = [getattr(run.config.arms, group) for group in GROUPS]
    arms = {name: arm for group in groups for name, arm in group.items()}
    metrics = build.build(
        artifacts=run.root / "artifacts",
        out=run.out,
        report_config=plain.plain(run.config.report),
        experiment=run.config.experiment,
        commit=origin_tags().get("mlflow.source.git.commit", "unknown"),
        against={n: arm.against for n, arm in arms.items() if arm.against is not None},
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )
    run.mlflow.log_metrics(flat_metrics(metrics))
    run.mlflow.log_artifacts(run.out)
    print((run.out / "report.md").read_text(encoding="utf-8").split("\n## ")[1])


if __name__ == "__main__":
    execute("report", main)
