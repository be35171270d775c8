"""Did an intervention do what it is for? How long layers were frozen with it, beside without it; no torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from reslab.analysis.contexts import Context
from reslab.analysis.contrasts import PLAIN
from reslab.analysis.study import Study
from reslab.runs.folder import RunFolder
from reslab.runs.readings import read_readings

FREED = 0.5  # of the time that layers are frozen without it: what leaves more has not freed them


def frozen_share(context: Context, depth: int, study: Study, n: int) -> float | None:
    """Share of (convolution, step) that is frozen in plain nets of a depth: mean over the first `n` planned seeds.

    The freeze index of the update geometry, averaged over training by trapezoids between recorded steps. None where a
    seed has not recorded it.
    """
    own = context.runs.filter(pl.col("shortcut") == PLAIN, pl.col("depth") == depth)
    own = own.filter(~pl.col("seed").is_in(study.tuning_seeds))  # in order of the plan, as looks are
    found = [_of_run(RunFolder(Path(str(folder)))) for folder in own["folder"].head(n)]
    known = [share for share in found if share is not None]
    return sum(known) / n if len(known) == n else None


def _of_run(folder: RunFolder) -> float | None:
    try:
        read = read_readings(folder)
    except ValueError:
        return None
    rows = read.filter(pl.col("probe") == "update_geometry/train", pl.col("statistic") == "freeze_index").sort("step")
    rows = rows.filter(pl.col("value").is_finite())
    return time_average(rows["step"].to_list(), rows["value"].to_list()) if len(rows) > 1 else None


def time_average(steps: Sequence[int], values: Sequence[float]) -> float:
    """Area below the line through the values, over the steps that it spans."""
    return float(np.trapezoid(values, steps) / (steps[-1] - steps[0]))
