"""Heat maps of readings as W&B gets them: the right colour in the right place, and only what was recorded."""

import math

import pytest

from reslab.tracking import heat


def rows(values, probe="signal_propagation/train", statistic="gradient_norm"):
    return [("run", step, probe, layer, statistic, value, None) for (layer, step), value in values.items()]


def test_relative_logarithms_and_what_has_none():
    values = {("a", 0): 100.0, ("a", 1): 0.0, ("b", 0): 10.0, ("b", 1): 5.0}
    found = heat.logarithms(values, relative=True)
    assert found["a", 0] == pytest.approx(1.0)
    assert found["b", 0] == 0.0
    assert math.isnan(found["a", 1])
    alone = heat.logarithms({("a", 0): math.inf, ("b", 0): -1.0, ("c", 0): 0.1}, relative=False)
    assert [math.isnan(alone[layer, 0]) for layer in "abc"] == [True, True, False]
    assert alone["c", 0] == pytest.approx(-1.0)
    assert math.isnan(heat.logarithms({("a", 0): 1.0, ("b", 0): 0.0}, relative=True)["a", 0])


def test_colours_lie_where_layers_and_steps_are():
    """The input is below, steps go from left to right; blue is less, red more, grey no number."""
    values = {("trunk.0.0", 0): 100.0, ("trunk.0.0", 5): 0.01, ("trunk.0.1", 0): 1.0, ("trunk.0.1", 5): 1.0}
    values |= {("stem", 0): 1e9, ("stem", 5): 1e9, ("trunk.0.0", 9): math.nan, ("trunk.0.1", 9): 1.0}
    made = heat.pictures(rows(values))
    assert list(made) == ["heat/signal_propagation/gradient_norm"]
    picture, caption = made["heat/signal_propagation/gradient_norm"]
    assert "input below" in caption

    def at(step, layer):
        x = heat.LEFT + heat.CELL * step + heat.CELL // 2
        return picture.getpixel((x, heat.TOP + heat.ROW * (1 - layer) + heat.ROW // 2))

    assert [at(0, 0), at(1, 0), at(2, 0)] == [heat.RED, heat.BLUE, heat.GREY]
    assert [at(0, 1), at(1, 1), at(2, 1)] == [heat.WHITE] * 3


def test_what_was_not_recorded_has_no_picture():
    assert heat.pictures([]) == {}
    assert heat.pictures(rows({("trunk", 0): 1.0}, "update_geometry/train", "angle_over_equilibrium")) == {}
    assert heat.pictures(rows({("trunk.0.0", 0): 1.0}, "signal_propagation/eval")) == {}
    same = heat.pictures(rows({("trunk.0.0", 0): 1.0, ("trunk.0.1", 0): 1.0}))
    assert len(same) == 1, "nothing differs: a white picture, not a division by zero"
