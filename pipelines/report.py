"""Stage `report`: error and time: what differs, how sure, why?"""

from datetime import UTC, datetime

from lrcycles import config, reporting, stage
from lrcycles.report_metrics import flat_metrics
from lrcycles.run_tree import origin_tags
from lrcycles.schema import GROUPS


def main(run: stage.Run) -> None:
    groups = [getattr(run.config.arms, group) for group in GROUPS]
    arms = {name: arm for group in groups for name, arm in group.items()}
    metrics = reporting.build(
        artifacts=run.root / "artifacts",
        out=run.out,
        report_config=config.plain(run.config.report),
        experiment=run.config.experiment,
        commit=origin_tags().get("mlflow.source.git.commit", "unknown"),
        against={n: arm.against for n, arm in arms.items() if arm.against is not None},
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )
    run.mlflow.log_metrics(flat_metrics(metrics))
    run.mlflow.log_artifacts(run.out)
    print((run.out / "report.md").read_text(encoding="utf-8").split("\n## ")[1])


if __name__ == "__main__":
    stage.execute("report", main)
