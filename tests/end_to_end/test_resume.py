"""A run killed at any point ends with the weights, rows and scores of a run that was left alone."""

import pytest
from dying import POINTS, run_and_die

from reslab.launch import server
from reslab.launch.begin import begin
from reslab.launch.compose import compose
from reslab.launch.freeze import Freezer
from reslab.launch.ranks import Place
from reslab.launch.sweep import prepare, write_plan
from reslab.runs.folder import read_json
from reslab.runs.record import read_rows
from reslab.runs.status import state

OVERRIDES = ("depth=8", "width=4", "recipe.steps=24", "evaluation.points=4", "checkpoint_every=5", "probes=off")
OVERRIDES += ("tracking=disabled",)


def job(outputs, *overrides):
    composed, choices = compose("train", [*OVERRIDES, f"outputs={outputs}", *overrides])
    return Freezer("test").job(composed, choices, ())


def attempt(made, target, *args):
    begin(made, 1)
    process = server.start(
        target, (str(made.folder.path), Place(), *args), log=made.folder.log, environment={}, threads=1
    )
    process.join()
    return process.exitcode


def start(made):
    from reslab.launch.pool import train

    return attempt(made, train)


def rows(made):
    return [{k: v for k, v in row.items() if k != "attempt"} for row in read_rows(made.folder.metrics)]


def science(made):
    result = read_json(made.folder.result)
    return {k: v for k, v in result.items() if k not in ("times", "images_per_second", "probes", "attempt", "hardware")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    made = job(tmp_path_factory.mktemp("whole"))
    write_plan([made])
    prepare([made])
    assert start(made) == 0
    return made


@pytest.mark.fault("worker SIGKILLed before, in and after a row or a checkpoint", outcome="interrupted; resumed")
@pytest.mark.real("SIGKILL of a worker, resumed bitwise")
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("step", [5, 15, 20])
def test_bitwise_equal_after_sigkill(undisturbed, tmp_path, point, step):
    # rows are due at 6, 12, 18, 24 and checkpoints at 5, 10, 15, 20
    at = {5: 6, 15: 18, 20: 24}[step] if "row" in point else step
    made = job(tmp_path)
    assert attempt(made, run_and_die, point, at) == -9
    assert state(made.folder) == "interrupted"
    assert not made.folder.result.exists()
    assert start(made) == 0
    assert science(made) == science(undisturbed)
    assert rows(made) == rows(undisturbed)
    assert [row["step"] for row in rows(made)] == [0, 6, 12, 18, 24]


@pytest.mark.fault("worker SIGKILLed after the last step", outcome="interrupted; evaluated")
@pytest.mark.real("SIGKILL of a worker, resumed bitwise")
@pytest.mark.parametrize("point", ["after fit", "before result"])
def test_killed_after_the_last_step(undisturbed, tmp_path, point):
    """Nothing is left to train; the final evaluation and the result are made up for."""
    made = job(tmp_path)
    assert attempt(made, run_and_die, point, 24) == -9
    assert not made.folder.result.exists()
    assert start(made) == 0
    assert science(made) == science(undisturbed)
    assert rows(made) == rows(undisturbed)
    assert [p.name for p in made.folder.checkpoints.iterdir()] == ["last.ckpt"]


def test_it_really_resumes(tmp_path):
    made = job(tmp_path)
    attempt(made, run_and_die, "after save", 15)
    start(made)
    attempts = {row["step"]: row["attempt"] for row in read_rows(made.folder.metrics)}
    assert attempts == {0: 1, 6: 1, 12: 1, 18: 2, 24: 2}


def test_measuring_does_not_change_the_run(undisturbed, tmp_path):
    made = job(tmp_path, "evaluation.points=1", "checkpoint_every=1000", "checkpoints=log")
    assert start(made) == 0
    assert science(made)["weights"] == science(undisturbed)["weights"]
    assert (made.folder.checkpoints / "step=000013.ckpt").exists()


def test_dropout_draws_the_same_numbers_after_a_resume(tmp_path):
    whole, cut = job(tmp_path / "a"), job(tmp_path / "b")
    for made in (whole, cut):
        made.config["act"] = {"_target_": "dropping.act", "_partial_": True}
        made.config["trust"] = ["dropping"]
    start(whole)
    attempt(cut, run_and_die, "after save", 15)
    start(cut)
    assert read_json(whole.folder.result)["outcome"] != "failed", whole.folder.log.read_text()
    assert science(cut)["weights"] == science(whole)["weights"]


def test_a_resumed_run_keeps_its_threads(tmp_path):
    made = job(tmp_path)
    attempt(made, run_and_die, "after save", 15)
    begin(made, 2)
    assert made.config["trainer"]["threads"] == 1
