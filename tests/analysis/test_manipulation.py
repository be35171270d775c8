"""Did an intervention do what it is for: how long layers are frozen, by hand, and what that does to a verdict."""

from pathlib import Path

import pytest

from analysis.records import write
from analysis.test_causes import BAD, GOOD, PLAIN, STUDY, row, told, verdict
from reslab.analysis import manipulation
from reslab.analysis.answer import answer
from reslab.runs.folder import RunFolder
from reslab.runs.readings import Readings


def freeze(outputs, shares):
    """Records of the freeze index, by intervention: in every run of the deep nets, at every step alike."""
    for run in answer(outputs, "toy").runs.filter(depth=56).iter_rows(named=True):
        share = shares.get(run["intervention"])
        if share is not None:
            kept = Readings(RunFolder(Path(run["folder"])), "run", until=0)
            for step in (1, 10, 100):
                kept.add(step, "update_geometry/train", [("trunk", "freeze_index", share, None)])
            kept.write()
    return answer(outputs, "toy")


def test_the_average_is_over_steps_and_not_over_records():
    assert manipulation.time_average([0, 1, 100], [0.4, 0.4, 0.4]) == pytest.approx(0.4)
    assert manipulation.time_average([0, 10, 100], [1.0, 1.0, 0.0]) == pytest.approx((10 + 45) / 100)


@pytest.mark.parametrize(
    ("shares", "word"),
    [
        ({"none": 0.4, "norm_projection": 0.1}, "against"),
        ({"none": 0.4, "norm_projection": 0.2}, "against"),
        ({"none": 0.4, "norm_projection": 0.3}, "undecided"),  # the layers stayed frozen: it tests nothing
        ({"none": 0.0, "norm_projection": 0.0}, "undecided"),
        ({"none": 0.4}, "against"),  # not recorded with it: unknown, and the reading says so
        ({}, "against"),
    ],
)
def test_an_intervention_that_did_not_free_the_layers_does_not_acquit(tmp_path, shares, word):
    told(tmp_path, norm_projection=BAD)
    found = freeze(tmp_path, shares)
    assert verdict(found, "H2") == word
    known = len(shares) == 2
    cause = row(found, "norm_projection")
    assert cause["frozen_with"] == (pytest.approx(shares["norm_projection"]) if known else None)
    evidence = found.evidence.filter(hypothesis="H2", depth=56).row(0, named=True)
    assert ("layers frozen for" in evidence["interventions"]) is known
    assert ("does not free the layers" in evidence["interventions"]) is (word == "undecided")


def test_a_cure_that_did_not_free_the_layers_supports_nothing(tmp_path):
    told(tmp_path, norm_projection=GOOD)
    assert verdict(freeze(tmp_path, {"none": 0.2, "norm_projection": 0.2}), "H2") == "undecided"


def test_other_hypotheses_do_not_ask_for_freed_layers(tmp_path):
    told(tmp_path, leaky=BAD)
    assert verdict(freeze(tmp_path, {"none": 0.2, "leaky": 0.2}), "H6") == "against"


def test_one_seed_without_a_record_leaves_it_unknown(tmp_path):
    found = told(tmp_path, plain=PLAIN, study=STUDY, norm_projection=BAD)
    freeze(tmp_path, {"none": 0.4, "norm_projection": 0.3})
    last = found.runs.filter(depth=56, intervention="norm_projection").sort("seed")["folder"][-1]
    (Path(last) / "probes" / "readings.parquet").write_text("no table")
    assert row(answer(tmp_path, "toy"), "norm_projection")["frozen_with"] is None


def test_the_seeds_are_the_first_planned_ones(tmp_path):
    """Planned 3, 4, 5, 0, 1, 2 and looked at n = 3: layers froze in the others alone, and those are in no number."""
    study = STUDY | {"looks": [3]}
    for first in (3, 0):
        first_three = {key: values[:3] for key, values in PLAIN.items()}
        write(tmp_path, first_three, study=study, intervention="none", first_seed=first)
        bad = {key: values[:3] for key, values in BAD.items()}
        write(tmp_path, bad, intervention="norm_projection", first_seed=first)
    for run in answer(tmp_path, "toy").runs.filter(depth=56).iter_rows(named=True):
        share = (0.1 if run["intervention"] == "none" else 0.04) if run["seed"] >= 3 else 0.9
        kept = Readings(RunFolder(Path(run["folder"])), "run", until=0)
        for step in (1, 100):
            kept.add(step, "update_geometry/train", [("trunk", "freeze_index", share, None)])
        kept.write()
    found = answer(tmp_path, "toy")
    cause = row(found, "norm_projection")
    assert cause["n"] == 3
    assert (cause["frozen_with"], cause["frozen_without"]) == (pytest.approx(0.04), pytest.approx(0.1))
    assert verdict(found, "H2") == "against"
