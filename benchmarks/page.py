"""Writes docs/performance.md and its figure from the measurements in docs/performance.

PYTHONPATH=src python -m benchmarks.page
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks import shapes

TITLES = {
    "mlp_200": "MLP 784-784-10, batch 200",
    "mlp_2000": "MLP 784-784-10, batch 2000",
    "lenet_512": "LeNet, batch 512",
}
MINE = ("ours_tensorflow", "ours_jax")
FIT = ("tutorial_fit", "plain_fit", "tuned_fit")
PEERS = (
    "tuned_fit",
    "plain_fit",
    "stepped_fit",
    "jax_fit",
    "jax_stepped_fit",
    "torch_eager",
    "torch_compile",
    "jax_scan",
)
NAMES = {
    "ours_tensorflow": "lrcycles, TensorFlow",
    "ours_jax": "lrcycles, JAX",
    "tutorial_fit": "the tutorial's fit",
    "plain_fit": "plain fit, no validation",
    "tuned_fit": "fit, tuned tf.data",
    "stepped_fit": "plain fit, steps_per_execution=50",
    "jax_fit": "plain fit on JAX",
    "jax_stepped_fit": "plain fit on JAX, steps_per_execution=50",
    "torch_eager": "PyTorch, eager",
    "torch_compile": "torch.compile",
    "jax_scan": "JAX, hand-written scan",
    "floor_graph": "products only, TensorFlow",
    "floor_xla": "products only, XLA",
    "floor_jax": "products only, JAX",
    "floor_torch": "products only, PyTorch",
}
# Microseconds a step of lrcycles on an H200, by network, batch size, cells side by side, precision.
GPU_GOALS = {
    ("MLP 784-784-10", 200, 1, "tf32"): 45,
    ("MLP 784-784-10", 200, 64, "tf32"): 400,
    ("LeNet", 512, 1, "tf32"): 400,
    ("MLP 784-784-10", 200, 1, "float32"): 65,
    ("MLP 784-784-10", 200, 64, "float32"): 800,
}
LENET = ("LeNet", 512, 1)
LENET_EIGHT = 5  # a step of eight LeNets takes at most this many times a step of one


# What a file has not that was written before these could be measured.
NOT_MEASURED = {
    "gpu": {
        "driver": None,
        "versions": {},
        "deterministic": True,
        "range_test": None,
        "experiment": None,
        "skipped": {},
        "notes": [],
    }
}


def read(name: str) -> dict[str, Any] | None:
    path = shapes.OUT / f"{name}.json"
    if not path.exists():
        return None
    return {**NOT_MEASURED.get(name, {}), **json.loads(path.read_text(encoding="utf-8"))}


def rows(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give one row for each contender that ran, the fastest first."""
    ran = {name: result for name, result in results.items() if "error" not in result}
    all_seconds = {name: result["median_seconds"] for name, result in ran.items()}
    floor = _floor(all_seconds)
    table = []
    for name in sorted(ran, key=lambda name: ran[name]["median_seconds"]):
        result = ran[name]
        seconds = result["median_seconds"]
        table.append(
            {
                "name": NAMES.get(name, name),
                "mine": name in MINE,
                "floor": name.startswith("floor_"),
                "seconds": seconds,
                "best": min(result["seconds"]),
                "us_per_image": 1e6 * seconds / result["images"],
                "of_floor": floor and floor / seconds,
                "over_tutorial": all_seconds.get("tutorial_fit", 0.0) / seconds,
                "over_plain": all_seconds.get("plain_fit", 0.0) / seconds,
                "compile": result["compile_seconds"],
                "import": result["import_seconds"],
                "peak_mb": result["peak_mb"],
                "accuracy": result["accuracy"],
            }
        )
    return table


def _floor(seconds: Mapping[str, float]) -> float:
    """Return the seconds of the fastest floor; 0 if none ran."""
    return min((s for name, s in seconds.items() if name.startswith("floor_")), default=0.0)


def goals(task: str, results: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, bool]]:
    """Word the goals for the TensorFlow backend, each with whether this run meets it.

    A goal is missing if what it compares did not run.
    """
    seconds = {n: r["median_seconds"] for n, r in results.items() if "error" not in r}
    if "ours_tensorflow" not in seconds:
        return []
    mine, floor = seconds["ours_tensorflow"], _floor(seconds)
    worded = []
    factor = {"mlp_200": 2.5, "mlp_2000": 1.6, "lenet_512": 1.3}[task]
    # plain_fit does less work, but noise can make it slower than tutorial_fit: take the faster.
    if fits := [seconds[name] for name in ("plain_fit", "tutorial_fit") if name in seconds]:
        over = min(fits) / mine
        worded.append(
            (f"{over:.2f} times as fast as `fit` (goal: at least {factor})", over >= factor)
        )
    if task == "mlp_200" and floor:
        text = f"{floor / mine:.2f} of the speed of the floor (goal: at least 0.8)"
        worded.append((text, floor / mine >= 0.8))
    if peers := [name for name in PEERS if name in seconds]:
        best = min(peers, key=lambda name: seconds[name])
        ratio = mine / seconds[best]
        text = f"{ratio:.2f} of the time of the fastest peer ({NAMES[best]}; goal: at most 1)"
        worded.append((text, ratio <= 1))
    return worded


def gpu_rows(gpu: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the rows measured on a GPU, each with its goal in words and whether it is met."""
    table = [{"precision": gpu["precision"], **row} for row in gpu["rows"]]
    single = {row["precision"]: row["us_per_step"] for row in table if _what(row) == LENET}
    for row in table:
        goal, unit = GPU_GOALS.get((*_what(row), row["precision"])), "µs"
        value = row["us_per_step"]
        if row["network"] == "LeNet" and row["cells"] == 8 and row["precision"] in single:
            goal, unit = LENET_EIGHT, "times one LeNet"
            value /= single[row["precision"]]
        row.setdefault("before_us_per_step", None)
        row["goal"] = f"at most {goal} {unit}" if goal else ""
        row["met"] = ("met" if value <= goal else "**not met**") if goal else ""
    return table


def _what(row: Mapping[str, Any]) -> tuple[str, int, int]:
    return row["network"], row["batch_size"], row["cells"]


def sweep_prices(path: Path) -> dict[str, float]:
    """Give the share of a range test in one training of `tutorial`, the median over the rounds."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if "tutorial" in row["what"]]
    seconds = {
        (row["what"], row["round"]): float(row["seconds"]) + float(row["compile_seconds"])
        for row in rows
    }
    shares: dict[str, list[float]] = {}
    for (what, turn), spent in seconds.items():
        if (whole := seconds.get(("training of tutorial", turn))) is not None:
            shares.setdefault(what, []).append(spent / whole)
    return {what: median(values) for what, values in shares.items()}


def sweep_share(gpu: Mapping[str, Any]) -> float:
    """Give the share of the experiment's sweeps in one training of 2,750 steps of its network."""
    (sweeps,) = [row["train"] for row in gpu["experiment"] if row["stage"] == "range_test"]
    (step,) = [
        row["us_per_step"]
        for row in gpu["rows"]
        if (*_what(row), row["precision"]) == ("MLP 784-784-10", 200, 1, "float32")
    ]
    return float(sweeps / (2750 * step / 1e6))


def gpu_groups(peers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Group steps on a GPU by what is trained, each with the ratio to lrcycles and the goal."""
    groups: dict[tuple[str, int, int], list[Mapping[str, Any]]] = {}
    for row in peers["rows"]:
        groups.setdefault(_what(row), []).append(row)
    worded = []
    for what, members in groups.items():
        mine = next((r["us_per_step"] for r in members if r["name"] == "lrcycles, JAX"), None)
        table = [
            {**row, "ratio": mine and row["us_per_step"] / mine}
            for row in sorted(members, key=lambda row: row["us_per_step"])
        ]
        worded.append(
            {
                "title": f"{what[0]}, batch {what[1]}, {_networks(what[2])}",
                "rows": table,
                "goal": GPU_GOALS.get((*what, peers["precision"])),
                "mine": mine,
            }
        )
    return [group for group in worded if len(group["rows"]) > 1]


def _networks(cells: int) -> str:
    return "one network" if cells == 1 else f"{cells} networks side by side"


def draw(speed: Mapping[str, Any], path: Path) -> None:
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid", context="paper")
    tasks = speed["tasks"]
    figure, axes = plt.subplots(1, len(tasks), figsize=(4.2 * len(tasks), 3.6), squeeze=False)
    for ax, (task, results) in zip(axes[0], tasks.items(), strict=True):
        table = rows(results)
        colours = ["C0" if row["mine"] else "0.8" if row["floor"] else "0.55" for row in table]
        ax.barh(
            [row["name"] for row in table], [row["us_per_image"] for row in table], color=colours
        )
        ax.invert_yaxis()
        ax.set_title(TITLES.get(task, task))
        ax.set_xlabel("microseconds per image, median")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def measured() -> dict[str, Any]:
    """Read every measurement; None for one that has not been made."""
    names = ("speed", "range_test", "streaming", "scaling", "errors", "overhead", "gpu")
    return {
        name: read(name)
        for name in (*names, "side_by_side", "gpu_peers", "gpu_cells", "step_errors", "speed_xeon")
    }


def page(measurements: Mapping[str, Any]) -> str:
    """Render docs/performance.md."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.md.j2")
    text = template.render(
        **measurements,
        rows=rows,
        goals=goals,
        titles=TITLES,
        names=NAMES,
        gpu_rows=gpu_rows,
        gpu_groups=gpu_groups,
        sweep_share=sweep_share,
        sweep_prices=sweep_prices(shapes.OUT.parent / "study-range-test" / "prices.csv"),
        speeds=[m for m in map(measurements.get, ("speed", "speed_xeon")) if m],
    )
    return text.rstrip() + "\n"


def main() -> None:
    measurements = measured()
    shapes.PAGE.write_text(page(measurements), encoding="utf-8")
    if measurements["speed"]:
        draw(measurements["speed"], shapes.OUT / "speed.png")


if __name__ == "__main__":
    main()
