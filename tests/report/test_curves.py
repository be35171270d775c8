"""Errors while training: the log axis begins where the data do."""

import json
import math

import pytest

from report.synthetic import Grid, write_records
from reslab.analysis.answer import answer
from reslab.report import charts_curves
from reslab.report.charts_curves import curves


def axis(made):
    """Domain and ticks of the error axis."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            if node.get("field") in ("percent", "low") and "scale" in node:
                found.append((node["scale"]["domain"], node.get("axis", {}).get("values")))
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(made.chart.to_dict())
    (domain,) = {tuple(domain) for domain, _ in found}
    return domain, next(values for _, values in found if values)


def drawn(outputs, change):
    """The curves, where each recorded error is changed."""
    write_records(outputs, grid=Grid(seeds=1))
    for path in outputs.glob("runs/*/*/metrics.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows = [row | {"train/error": change(row["train/error"])} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return curves(answer(outputs, "toy"))


def test_high_errors_fill_the_picture(tmp_path):
    made = drawn(tmp_path, lambda error: 0.55 + error / 3)
    (low, high), ticks = axis(made)
    assert (low, high) == (50, 100)
    assert ticks == [50, 60, 70, 80, 90, 100]
    assert "one image" not in made.caption


def test_errors_of_zero_stand_at_one_image(tmp_path):
    made = drawn(tmp_path, lambda error: 0.0 if error < 0.1 else error)
    (low, high), ticks = axis(made)
    assert 0 < low <= 100 / 1200 < low * 1.2
    assert high == 100
    assert {0.1, 0.3, 1, 3, 10, 30, 100} <= {round(tick, 9) for tick in ticks}
    assert "floored at one image: 0.0833 %" in made.caption


@pytest.mark.parametrize("smallest", [0.002, 0.0833, 0.1, 0.3, 1.0, 7.99, 10.0, 29.9, 50.0, 89.0, 99.0, 100.0])
def test_the_axis_begins_just_below_the_data(smallest):
    low = charts_curves._below(smallest)
    assert 0 < low <= smallest
    assert low < 100
    assert smallest / low <= 2
    ticks = charts_curves._ladder(low)
    assert ticks == sorted(set(ticks))
    assert len(ticks) >= 2
    assert all(low <= tick * (1 + 1e-6) for tick in ticks)
    assert math.isclose(ticks[-1], 100)
