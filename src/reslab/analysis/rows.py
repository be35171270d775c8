"""Columns of the answer's tables, in order, so that a table without rows has them, too."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

S, I, F, B = pl.String, pl.Int64, pl.Float64, pl.Boolean  # noqa: E741
Schema = dict[str, Any]

_PLACE = {"context": S, "main": B, "shortcut": S, "depth": I}
_BOUNDS = {"lower_points": F, "upper_points": F, "lower_level": F, "upper_level": F}

GAPS: Schema = {
    **{"context": S, "main": B, "steps": I, "lr": F, "shortcut": S, "depth": I, "against": I},
    **{"n": I, "look": I, "interim": B, "gap_points": F, **_BOUNDS, "now_points": F, "n_now": I},
    **{"method": S, "failures": I, "verdict": S, "needed": S, "kind": S},
    **{"test_gap_points": F, "test_lower_points": F, "test_upper_points": F},
    **{"log_ce_gap": F, "log_ce_lower": F, "log_ce_upper": F, "superiority": F},
    **{"failure_rate_low": F, "failure_rate_high": F, "sentence": S},
}
ONSETS: Schema = {"context": S, "main": B, "shortcut": S, "after": I, "onset": I, "sentence": S}
RESCUES: Schema = {
    **_PLACE,
    **{"reference": I, "n": I, "look": I, "rescue_points": F, **_BOUNDS, "verdict": S, "method": S},
    **{
        "fraction": F,
        "fraction_lower": F,
        "fraction_upper": F,
        "needed": S,
        "correlation": F,
        "pairing": F,
        "sentence": S,
    },
}
CONTRASTS: Schema = {
    **_PLACE,
    **{"n": I, "look": I, "difference_points": F, **_BOUNDS, "verdict": S, "method": S},
    **{"correlation": F, "pairing": F, "needed": S, "sentence": S},
}
RATES: Schema = {
    **{"context": S, "shortcut": S, "depth": I, "against": I, "lr": F, "lr_against": F, "n": I, "look": I},
    **{"gap_points": F, **_BOUNDS, "verdict": S, "method": S, "sentence": S},
}
CAUSES: Schema = {
    **{"intervention": S, "context": S, "shortcut": S, "depth": I, "against": I, "n": I, "look": I},
    **{"gap_points": F, "removed_points": F, "share": F, "own_lower": F, "own_upper": F, "lower": F, "upper": F},
    **{"lower_level": F, "upper_level": F, "method": S, "verdict": S, "reason": S},
    **{"failed_with": I, "failed_without": I, "failed_shallow": I, "shallow_n": I, "shallow_points": F},
    **{"shallow_own_lower": F, "shallow_own_upper": F, "shallow_lower": F, "shallow_upper": F},
    **{"shallow_method": S, "shallow_verdict": S, "left_points": F, "left_lower": F, "left_upper": F},
    **{"frozen_with": F, "frozen_without": F},
    **{"hypotheses": S, "sentence": S},
}
EVIDENCE: Schema = {
    **{"hypothesis": S, "claim": S, "by": S, "depth": I, "against": I, "verdict": S, "reason": S},
    **{"interventions": S, "telling": S, "n": I, "share": F, "lower": F, "upper": F, "reading": S},
}
CURVES: Schema = {"shortcut": S, "depth": I, "seed": I, "step": I, "error": F, "lr": F}


def frame(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A table with these columns; what a row has beyond them is left out."""
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
