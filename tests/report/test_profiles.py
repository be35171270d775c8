"""Profiles along the net from readings whose means are known by hand."""

import pytest

from analysis.records import write
from reslab.analysis.answer import answer
from reslab.report import charts_profiles
from reslab.report.figures import write_figures
from reslab.report.panels import PANELS
from reslab.runs.folder import RunFolder
from reslab.runs.readings import Readings

STEPS = (0, 1, 2, 5, 8)
DRAWN = {"shattering": charts_profiles.shattering, "rank": charts_profiles.rank, "dead": charts_profiles.dead}


@pytest.fixture
def outputs(tmp_path):
    write(tmp_path, {(s, d): [0.1, 0.2] for s in ("none", "identity") for d in (20, 56)})
    for shortcut in ("none", "identity"):
        for depth in (20, 56):
            for seed in (0, 1):
                kept = Readings(RunFolder(tmp_path / "runs" / f"{shortcut}{depth}" / f"seed={seed}"), "run", until=0)
                for step in STEPS:
                    for probe, statistic, last in (
                        ("shattered_gradients/frozen", "gradient_cosine", "trunk.1.0"),
                        ("effective_rank/train", "rank_share", "trunk.1.0"),
                        ("dead_units/train", "dead", "trunk.1.0.after.act1"),
                    ):
                        values = [("stem", 0.0), ("trunk.0.0", 0.2 * seed), (last, 0.01 * depth), ("trunk", 0.9)]
                        kept.add(step, probe, [(layer, statistic, value, None) for layer, value in values])
                kept.write()
    return tmp_path


@pytest.mark.parametrize("key", DRAWN)
def test_means_of_the_deepest_nets_at_first_middle_and_last_step(outputs, key):
    drawn = DRAWN[key](answer(outputs, "toy"))
    assert set(drawn.data["depth"]) == {56}
    assert sorted(set(drawn.data["step"])) == [0, 2, 8]
    assert set(drawn.data["n"]) == {2}
    first = drawn.data.filter(layer="trunk.0.0")
    assert first["value"].to_list() == pytest.approx([0.1] * len(first))
    assert "trunk" not in set(drawn.data["layer"]), "the whole net is no layer"
    assert "n = 2, seeds 0, 1" in drawn.caption
    assert ("stem" in set(drawn.data["layer"])) is (key != "shattering")


def test_they_become_pictures(outputs, tmp_path):
    answered = answer(outputs, "toy")
    panels = [(panel, panel.draw(answered)) for panel in PANELS if panel.key in DRAWN]
    files = write_figures(panels, tmp_path / "figures", experiment="toy")
    assert {file.name for file in files} == {f"{key}.{kind}" for key in DRAWN for kind in ("svg", "png")}


def test_what_was_not_recorded_is_not_drawn(tmp_path):
    write(tmp_path, {("none", 20): [0.1]})
    assert all(draw(answer(tmp_path, "toy")) is None for draw in DRAWN.values())
