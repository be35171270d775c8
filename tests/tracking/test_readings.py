"""Scalars of the whole net go to W&B, nothing else."""

import math

from reslab.tracking.readings import scalars

FOUND = [
    ("trunk", "gradient_ratio", 18.0, 0.5),
    ("trunk", "depth_scale", math.inf, None),
    ("trunk.0.0", "gradient_norm", 2.0, None),
]


def test_finite_scalars_of_the_trunk_by_flat_names():
    assert scalars(3, "signal_propagation/train", FOUND) == {
        "step": 3,
        "probes/signal_propagation/train/gradient_ratio": 18.0,
    }


def test_nothing_to_log_is_an_empty_row():
    assert scalars(3, "branch_ratio/train", FOUND[2:]) == {}
