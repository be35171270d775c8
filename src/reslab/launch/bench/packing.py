"""Runs per hour of one sweep as more of its runs share a GPU: real trainings through the real engine. No torch here."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from reslab.launch import resources, server
from reslab.launch.bench.figures import Figure, Measured, Sheet
from reslab.launch.bench.runs import SHORT, ratio, sweep
from reslab.launch.checks import whole
from reslab.runs.folder import read_json

VISIBLE = "CUDA_VISIBLE_DEVICES"
TARGET = 2.0  # times as many runs an hour as one after another
# one low rate, so that no run diverges; a checkpoint now and then, for they would hold up a run alone more than many
FIXED = (
    *("trainer=gpu", "tracking=wandb", "tracking.mode=offline", "evaluation.points=1", "checkpoint_every=1000"),
    *("data=synthetic", "data.size=32", "data.classes=10", "data.validation=0", "recipe=he2015"),
    *("recipe.normalise=channel", "recipe.precision=bf16-mixed", "recipe.schedule.at=[1.0,1.0]", "recipe.lr=0.001"),
)


@dataclass(frozen=True)
class Packed:
    """A sweep of which so many runs shared the GPU: seconds of all, of one, images per second of one in its steps."""

    runs: int
    seconds: float
    each: float
    rate: float
    device: str

    @property
    def per_hour(self) -> float:
        """Runs an hour."""
        return 3600 * self.runs / self.seconds


def check(config: Mapping[str, Any]) -> None:
    """ValueError for what cannot be measured, or not here."""
    if not resources.gpus():
        raise ValueError(
            "part=packing measures runs that share a GPU, and no NVIDIA GPU is to be seen here; part=runs measures "
            "runs side by side on a CPU"
        )
    asked = config["packing"]
    counts, runs = asked["runs_per_gpu"], asked["runs"]
    for count in counts:
        whole("packing.runs_per_gpu", count, 1)
    for name in ("width", "batch", "runs", "steps", "repeats"):
        whole(f"packing.{name}", asked[name], 1)
    whole("packing.rows", asked["rows"], asked["batch"])
    if len(set(counts)) < max(len(counts), 2) or 1 not in counts:
        raise ValueError(f"packing.runs_per_gpu={counts} compares nothing with one run a GPU; use [1,4]")
    if runs < max(counts):
        raise ValueError(f"packing.runs={runs} runs are fewer than {max(counts)} on a GPU; use {max(counts)} or more")
    if asked["depth"] < 8 or asked["depth"] % 6 != 2:
        raise ValueError(f"packing.depth={asked['depth']} is no depth of 6n + 2 layers; use packing.depth=20")


def measure(
    *,
    runs_per_gpu: Sequence[int],
    depth: int,
    width: int,
    rows: int,
    batch: int,
    runs: int,
    steps: int,
    repeats: int,
    folder: Path,
) -> Measured:
    """The sweep at each number of runs on the first GPU, all numbers in turn, after a run that nobody counts.

    RuntimeError where a run fails or ends early, or another command holds the GPU.
    """
    server.context()
    size = (f"depth={depth}", f"width={width}", f"recipe.batch={batch}")
    words = (*FIXED, f"data.rows={{train: {rows}, test: 64}}", *size)
    found: dict[int, list[Packed]] = {count: [] for count in runs_per_gpu}
    with first_gpu():
        print("a first run, which fills caches", flush=True)
        sweep({"seed": (0,)}, 1, folder / "first", *words, f"recipe.steps={SHORT}")
        for repeat in range(repeats):
            for count in runs_per_gpu:
                at = folder / f"{count}-{repeat}"
                found[count].append(packed(at, count, runs, (*words, f"recipe.steps={steps}"), steps))
                print(f"{runs} runs, {count} on a GPU: {found[count][-1].seconds:.1f} s", flush=True)
    mps = f"MPS {'on' if resources.mps() else 'off'}"
    net = f"ResNet-{depth}" if width == 16 else f"depth {depth}, width {width}"
    return conclude(found, f"{runs} runs of {net}, {steps:,} steps at batch {batch}, bf16, {mps}")


def packed(outputs: Path, count: int, runs: int, words: Sequence[str], steps: int) -> Packed:
    """One sweep of so many seeds below `outputs`, `count` of them on a GPU; RuntimeError for a run that ends early."""
    swept = sweep({"seed": range(runs)}, count, outputs, *words, f"runs_per_gpu={count}")
    results = [read_json(job.folder.result) or {} for job in swept.jobs]
    for job, result in zip(swept.jobs, results, strict=True):
        if result.get("step") != steps:
            raise RuntimeError(f"{job.name} ended at step {result.get('step')} of {steps}: {job.folder.log}")
    return Packed(
        runs=runs,
        seconds=swept.seconds,
        each=mean(sum(result["times"].values()) for result in results),
        rate=mean(result["images_per_second"] for result in results),
        device=results[0]["hardware"]["device"],
    )


def conclude(found: Mapping[int, Sequence[Packed]], of: str) -> Measured:
    """Runs per hour at each number, how many times as many as one after another, and the best of them to its target."""
    gains = {count: ratio(*_seconds(found, count)) for count in found}
    best = max(gains, key=lambda count: gains[count])
    figures = [
        Figure(f"{of}: {count} on a GPU", median(one.per_hour for one in some), "runs per hour")
        for count, some in found.items()
    ]
    figures.append(Figure(f"{of}: the best, {best} on a GPU over 1", gains[best], "x", least=TARGET))
    rows: list[tuple[str, ...]] = [
        (
            str(count),
            f"{median(one.seconds for one in some):.1f}",
            f"{median(one.per_hour for one in some):,.0f}",
            f"{gains[count]:.2f}",
            f"{median(one.each for one in some):.1f}",
            f"{median(one.rate for one in some):,.0f}",
        )
        for count, some in found.items()
    ]
    columns = ("runs on a GPU", "s", "runs per hour", "x 1 on a GPU", "s of a run", "img/s of a run in its steps")
    device, repeats = found[best][0].device, len(found[best])
    title = f"{of}, on {device}; start, scores, W&B offline and end of each run included; medians of {repeats}"
    return Measured(figures, [Sheet(title, columns, rows)])


def _seconds(found: Mapping[int, Sequence[Packed]], count: int) -> tuple[list[float], list[float]]:
    return [one.seconds for one in found[1]], [one.seconds for one in found[count]]


@contextmanager
def first_gpu() -> Iterator[None]:
    """Only the first GPU can be seen, so that all runs share it."""
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = resources.gpu_names()[0]
    try:
        yield
    finally:
        os.environ.pop(VISIBLE)
        if before is not None:
            os.environ[VISIBLE] = before
