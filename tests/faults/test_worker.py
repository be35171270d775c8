"""What can happen to the process that trains."""

import random

import pytest

from faults.inject import Fault
from faults.scene import STEPS
from reslab.runs.folder import read_json

STRUCK_AT = random.Random(4).sample(range(1, STEPS), 4)


@pytest.mark.fault("worker SIGKILLed at a random step", outcome="failed, with the signal; resumed")
@pytest.mark.parametrize("step", STRUCK_AT)
def test_killed(scene, undisturbed, capsys, step):
    scene.strike(Fault("kill", step))
    assert scene.train() == 1
    assert "killed by signal 9 (SIGKILL)" in capsys.readouterr().out
    assert scene.states() == {0: "failed", 1: "ended"}
    scene.completes(undisturbed)


LEFT = {
    "break_down": "RuntimeError: broken on purpose",
    "leave": "ended with exit code 0 without a result",
    "leave_with_3": "ended with exit code 3 without a result",
}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(how, marks=pytest.mark.fault(f"worker {what}", outcome="failed, with the reason; resumed"))
        for how, what in {"break_down": "raises", "leave": "exits 0", "leave_with_3": "exits 3"}.items()
    ],
)
def test_left(scene, undisturbed, capsys, how):
    scene.strike(Fault(how, 8))
    assert scene.train() == 1
    assert LEFT[how] in capsys.readouterr().out
    assert scene.states() == {0: "failed", 1: "ended"}
    scene.completes(undisturbed)


@pytest.mark.fault("worker hangs", outcome="ended by the watchdog, its stack in the log; resumed")
def test_hangs(scene, undisturbed, capsys):
    scene.strike(Fault("hang", 8))
    assert scene.train("trainer.heartbeat_timeout=3") == 1
    assert "no sign of life for 3 s (trainer.heartbeat_timeout)" in capsys.readouterr().out
    assert scene.states() == {0: "failed", 1: "ended"}
    assert "in hang" in scene.folder_of(0).log.read_text(), "where it stood"
    scene.completes(undisturbed)


@pytest.mark.fault("clock of the worker moved back an hour", outcome="nothing is noticed")
def test_clock_moved_back(scene, undisturbed):
    scene.strike(Fault("set_clock_back", 8))
    assert scene.train() == 0
    assert min(run["times"]["fit"] for run in scene.read_results().values()) >= 0
    scene.completes(undisturbed)


@pytest.mark.fault("weight becomes NaN", outcome="diverged at the next step, which is a result")
def test_no_number(scene, undisturbed):
    scene.strike(Fault("poison", 8))
    assert scene.train() == 0
    result = scene.read_results()[0]
    assert (result["outcome"], result["first_bad_step"]) == ("diverged", 8)
    scene.completes({0: scene.science()[0], 1: undisturbed[1]})


@pytest.mark.fault("an evaluation longer than the watchdog's patience", outcome="trained: it beats after every chunk")
def test_long_evaluations_are_no_silence(train, tmp_path):
    """Some 3,000 images one at a time, against three seconds of patience."""
    words = ["depth=44", "width=4", "recipe.steps=4", "evaluation.points=1", "evaluation.batch=1", "tracking=disabled"]
    assert train(*words, "evaluation.subset=10", "trainer.threads=1", "trainer.heartbeat_timeout=3") == 0
    (result,) = tmp_path.glob("outputs/runs/*/*/result.json")
    assert read_json(result)["times"]["evaluate"] > 3, "or this shows nothing"
