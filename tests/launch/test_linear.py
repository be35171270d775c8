"""Linear probes of a run that was trained; the laws of verify, which a broken probe fails."""

import io
import math

import pytest
from rich.console import Console

from reslab import api
from reslab.launch.probing import linear as study
from reslab.launch.verify import linear as laws
from reslab.launch.verify.fact import EXACT
from reslab.probes import linear
from reslab.runs.folder import read_json

ASKED = {"train_images": 200, "images": 60, "seed": 1}


def rows_of(run, **asked):
    trained = api.load(run)
    config = trained.config | {"outputs": str(run.parents[2])}
    return study.study(trained.net, trained.normalisation, config, ASKED | asked, Console(file=io.StringIO()))


def test_rows_of_a_trained_run(finished_run):
    rows = rows_of(finished_run)
    assert rows["layer"].to_list() == ["stem", "trunk.0.0", "trunk.1.0", "trunk.2.0", "head"]
    assert rows["place"].to_list() == [0, 1, 2, 3, None]
    assert rows["features"].to_list() == [4, 4, 8, 16, None]
    assert set(rows["fitted"]) == {200}
    assert set(rows["images"]) == {60}
    assert set(rows["strength"].drop_nulls()) <= set(linear.STRENGTHS)
    assert rows["error"].is_between(0, 1).all()
    assert rows.equals(rows_of(finished_run))
    assert not rows.equals(rows_of(finished_run, seed=2))
    assert study.summary(rows)[0]["units"] == 3


def test_the_nets_own_error_is_that_of_its_record(finished_run):
    rows = rows_of(finished_run, images=5000, train_images=10000)
    result = read_json(finished_run / "result.json")
    assert set(rows["images"]) == {result["test"]["n"]}
    assert set(rows["fitted"]) == {result["train"]["n"]}
    assert rows["error"][-1] == pytest.approx(result["test"]["error"], abs=0.5 / result["test"]["n"])


def test_what_is_printed_marks_one_layer(finished_run):
    out = Console(file=io.StringIO(), width=80)
    out.print(study.said(rows_of(finished_run)))
    assert out.file.getvalue().count("99 % of the last's accuracy") == 1
    assert "the net itself" in out.file.getvalue()


def test_the_laws_hold():
    assert [fact.law for fact in laws.facts() if not fact.passed] == []


def unstandardised(found, **settings):
    weight, strength = linear.ridge(
        found.scatter / found.n, found.cross / found.n, variance=0.9, n=found.n, strengths=linear.STRENGTHS
    )
    return linear.Probe(weight, found.shares - found.mean @ weight, strength)


def penalised_intercept(found, **settings):
    made = ORIGINAL(found, **settings)
    return linear.Probe(made.weight, made.bias / (1 + made.strength), made.strength)


def unscaled_penalty(found, *, strengths=linear.STRENGTHS):
    return ORIGINAL(found, strengths=[strength / math.sqrt(found.n) for strength in strengths])


ORIGINAL = linear.fit


@pytest.mark.parametrize("broken", [unstandardised, penalised_intercept, unscaled_penalty])
def test_a_broken_probe_fails_them(monkeypatch, broken):
    monkeypatch.setattr(linear, "fit", broken)
    assert [fact.law for fact in laws.facts() if not fact.passed]


def test_a_reader_of_the_wrong_row_fails_them(monkeypatch):
    monkeypatch.setattr(linear.Probe, "__call__", lambda self, features: features.flip(0) @ self.weight + self.bias)
    failed = [fact for fact in laws.facts() if not fact.passed]
    assert any(fact.tolerance == EXACT for fact in failed)
