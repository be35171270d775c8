"""Readings of many runs brought together: which runs, in which order, what is said of the rest."""

import polars as pl
import pytest

from analysis.recorded import CONVS, STEPS, UNITS, experiment
from reslab.analysis import instrument
from reslab.analysis.answer import answer
from reslab.runs.folder import RunFolder
from reslab.runs.readings import readings_file


def values(outputs, **kwargs):
    chosen = {"probe": "signal_propagation", "statistic": "gradient_norm", "deepest": True} | kwargs
    return instrument.values(answer(outputs, "toy"), **chosen)


def test_deepest_nets_of_each_shortcut_in_the_order_of_the_net(tmp_path):
    found = values(experiment(tmp_path), probe="update_geometry", statistic="norm_growth")
    assert set(found.rows["depth"]) == {56}
    assert set(found.rows["shortcut"]) == {"none", "identity"}
    assert set(found.rows["step"]) == set(STEPS)
    places = found.rows.select("place", "layer").unique().sort("place")
    assert places["layer"].to_list() == list(CONVS)
    assert places["place"].to_list() == [1, 2, 3, 4]
    assert found.said == "n = 2, seeds 0, 1"
    assert found.missing == ""


def test_deepest_is_the_deepest_that_has_readings(tmp_path):
    silent = [("none", 56, 0), ("none", 56, 1), ("identity", 56, 1)]
    found = values(experiment(tmp_path, silent=silent))
    assert set(found.rows.select("shortcut", "depth").iter_rows()) == {("none", 20), ("identity", 56)}
    assert found.said == "plain 20: n = 2, seeds 0, 1; identity 56: n = 1, seed 0"
    assert found.missing.startswith("3 of 8 runs of this setting have no readings")
    assert "reslab train experiment=toy probes=full outputs=FOLDER" in found.missing


def test_runs_that_have_not_begun_are_not_missed(tmp_path):
    cells = {("none", 20): [0.1, "planned"], ("none", 56): [0.3, "planned"]}
    assert values(experiment(tmp_path, cells)).missing == ""


def test_nothing_recorded_is_an_empty_table(tmp_path):
    silent = [("none", d, 0) for d in (20, 56)]
    found = values(experiment(tmp_path, {("none", d): [0.1] for d in (20, 56)}, silent=silent))
    assert found.rows.is_empty()
    assert found.missing.startswith("2 of 2 runs")


def test_a_file_that_is_none_counts_as_absent(tmp_path):
    outputs = experiment(tmp_path)
    readings_file(RunFolder(outputs / "runs/none56/seed=0")).write_text("no table")
    assert set(values(outputs).rows.filter(shortcut="none")["seed"]) == {1}


def test_mean_over_seeds_is_geometric_and_leaves_out_what_is_not_finite(tmp_path):
    found = values(experiment(tmp_path)).rows.filter(shortcut="none", step=0, layer=UNITS[1])
    mean = instrument.over_seeds(found)
    assert mean["n"].to_list() == [2]
    assert mean["value"][0] == pytest.approx((1 / 56 * 2 / 56) ** 0.5)
    broken = found.with_columns(value=pl.when(pl.col("seed") == 1).then(float("nan")).otherwise("value"))
    assert instrument.over_seeds(broken)["value"][0] == pytest.approx(1 / 56)
