"""Hydra hands over all points of a sweep; they are checked together, then an engine runs them."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from omegaconf import DictConfig, open_dict, read_write

from reslab.launch.compose import Composer
from reslab.launch.engines import Engine
from reslab.launch.freeze import Freezer, Job
from reslab.launch.objective import Objective

Points = Sequence[Sequence[str]]


def composer(hydra_context: Any, config: DictConfig) -> Composer:
    """For the points of one command; Hydra's own files go to a temporary folder."""
    folder = tempfile.mkdtemp(prefix="reslab-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # a sweeper may launch several batches from it
    with read_write(config), open_dict(config):
        config.hydra.sweep.dir = folder
    return Composer(hydra_context.config_loader, config)


def launch(composer: Composer, config: DictConfig, task: Callable, points: Points, engine: Engine) -> list[JobReturn]:
    """Run every point, or none where one of them is invalid (ValueError naming them all)."""
    setup_globals()
    Singleton.get_state()
    if any(override.startswith("experiment=") and "," in override for override in config.hydra.overrides.task):
        raise ValueError("experiment cannot be swept: each one brings a grid of its own; run them one after another")
    objective = Objective.of(config.hydra.sweeper)
    jobs = freeze_all(composer, points, engine.gpus)
    sweep = task.sweep  # type: ignore[attr-defined]  # set by commands.train
    sweep.sampled = Path(config.hydra.sweep.dir)
    sweep.run(jobs, engine)
    HydraConfig.instance().set_config(config)
    values = [0.0 if sweep.plan_only else objective(job) for job in jobs]
    return [_returned(point, value) for point, value in zip(points, values, strict=True)]


def freeze_all(composer: Composer, points: Points, gpus: int | None = None) -> list[Job]:
    """Jobs of all points; ValueError lists every invalid one, and the override that drops them.

    `gpus` are what an engine gives to each run; None: whatever this machine has.
    """
    freezer, jobs, problems = Freezer(gpus=gpus), [], {}
    for point in points:
        try:
            config, choices = composer.point(point)
            jobs.append(freezer.job(config, choices, tuple(point)))
        except (ValueError, TypeError, FileNotFoundError, ArithmeticError) as error:
            problems[tuple(point)] = _reason(error)
    if problems:
        raise ValueError(refusal(points, problems))
    return jobs


def refusal(points: Points, problems: dict[tuple[str, ...], str]) -> str:
    """Why a sweep is refused whole: each reason once, with the points that have it."""
    reasons: dict[str, list[str]] = {}
    varied = _varied(points)
    for point, reason in problems.items():
        shown = " ".join(o for o in point if o.partition("=")[0] in varied) or " ".join(point)
        reasons.setdefault(reason, []).append(shown)
    if len(points) == 1:
        return next(iter(reasons))
    lines = [f"{len(problems)} of {len(points)} points are invalid; nothing was started"]
    for reason, which in reasons.items():
        lines.append(f"  {reason}")
        lines.append(f"    at {'; '.join(which[:6])}{f'; and {len(which) - 6} more' if len(which) > 6 else ''}")
    drop = _without(points, problems, varied)
    return "\n".join([*lines, *([f"  to drop them: {drop}"] if drop else [])])


def _varied(points: Points) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for point in points:
        for override in point:
            key, _, value = override.partition("=")
            seen = values.setdefault(key, [])
            if value not in seen:
                seen.append(value)
    return {key: seen for key, seen in values.items() if len(seen) > 1}


def _without(points: Points, problems: dict[tuple[str, ...], str], varied: dict[str, list[str]]) -> str:
    """The shortest axis whose bad values alone explain every invalid point."""
    for key, values in varied.items():
        bad = [v for v in values if all(tuple(p) in problems for p in points if f"{key}={v}" in p)]
        if len(bad) < len(values) and all(any(f"{key}={v}" in point for v in bad) for point in problems):
            return f"{key}={','.join(v for v in values if v not in bad)}"
    return ""


def _reason(error: Exception) -> str:
    """The error's own words without Hydra's frame of `Error instantiating ...`."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return str(error)


def _returned(point: Sequence[str], objective: float | None) -> JobReturn:
    job = JobReturn(overrides=list(point), working_dir=os.getcwd(), task_name="train")
    job.status = JobStatus.COMPLETED  # a FAILED one would make Hydra print a trace of its own; our table tells
    job.return_value = objective
    return job
