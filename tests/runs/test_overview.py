"""The view of an experiment: every state is told, counts add up, and time left only where something tells it."""

import json
import math
import subprocess
import sys
import time
from itertools import permutations

import pytest
from omegaconf import OmegaConf

from reslab.runs import overview as module
from reslab.runs.folder import RunFolder, read_json, write_json
from reslab.runs.overview import overview
from reslab.runs.plan import add_to_plan, plan_file
from reslab.runs.status import process_identity, write_status
from runs.lines import line

CONFIG = {"depth": 8, "width": 16, "recipe": {"lr": 0.1}}
PART = {"error": 0.25, "errors": 1, "n": 4, "cross_entropy": 1.0}


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


class Lab:
    """Run folders with forged records."""

    def __init__(self, outputs):
        from reslab.runs.identity import cell_hash

        self.outputs, self.cell, self.seeds = outputs, cell_hash(CONFIG), iter(range(100))

    def plan(self, **changes):
        seed = next(self.seeds)
        entry = line(self.cell, seed, folder=f"runs/net/seed={seed}", **changes)
        add_to_plan(plan_file(self.outputs, "mine"), [entry])
        return RunFolder(self.outputs / entry["folder"])

    def begun(self, **status):
        folder = self.plan()
        folder.path.mkdir(parents=True)
        seed = int(folder.path.name.partition("=")[2])
        OmegaConf.save(OmegaConf.create(CONFIG | {"seed": seed}), folder.config)
        write_status(folder, "running", {"step": 0, "steps": 100, **status})
        return folder

    def ended(self, outcome="trained", **changes):
        folder = self.begun()
        seed = int(folder.path.name.partition("=")[2])
        made = {"outcome": outcome, "cell": self.cell, "seed": seed, "step": 100, "images_per_second": 50.0}
        write_json(folder.result, made | {"train": PART, "reason": None} | changes)
        return folder

    def look(self):
        return overview(self.outputs, "mine")

    def states(self):
        return [run.state for run in self.look().runs]


def test_every_state_is_told(lab):
    for outcome in ("trained", "at_chance", "diverged", "failed"):
        lab.ended(outcome)
    lab.begun(step=40, rate=5.0)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    forged = {**process_identity(), "pid": dead.pid, "started": 1, "state": "running", "heartbeat": 0.0, "step": 30}
    write_json(lab.begun().status, forged)
    lab.plan()
    write_json(lab.ended().result, {"schema": 2, "outcome": "trained"})
    edited = lab.ended()
    edited.config.write_text(edited.config.read_text().replace("lr: 0.1", "lr: 0.2"))
    found = lab.look()
    expected = ["trained", "at_chance", "diverged", "failed", "running", "interrupted", "new", "other schema", "edited"]
    assert [run.state for run in found.runs] == expected
    assert found.ended == 3
    said = "3 of 9 runs, 1 at_chance, 1 diverged, 1 failed, 1 running, 1 interrupted, 1 new, 1 edited, 1 other schema"
    assert sum(found.counts.values()) == 9
    assert found.sentence() == said
    assert not found.over


def test_other_schema_is_read_from_every_record(lab):
    for name in ("result", "status", "metrics"):
        folder = lab.ended()
        path = getattr(folder, name)
        path.write_text('{"schema": 7, "step": 0, "attempt": 1}\n')
    assert lab.states() == ["other schema"] * 3


def test_a_copied_result_is_an_edit(lab):
    first, second = lab.ended(), lab.ended()
    second.result.write_bytes(first.result.read_bytes())
    assert lab.states() == ["trained", "edited"]
    assert "is of seed 0 where 1 was planned" in lab.look().runs[1].notes[0]


def test_a_torn_result_is_not_ended(lab):
    folder = lab.ended()
    folder.result.write_text('{"outcome": "trained", "tra')
    (run,) = lab.look().runs
    assert run.state == "running"
    assert run.notes


def test_steps_rate_and_heartbeat(lab):
    folder = lab.begun(step=40, rate=5.0)
    write_json(folder.status, read_json(folder.status) | {"heartbeat": time.time() - 7})
    (run,) = lab.look().runs
    assert (run.step, run.steps, run.rate) == (40, 100, 5.0)
    assert 7 <= run.heartbeat < 60
    assert run.left == pytest.approx(12.0)
    assert lab.look().left == pytest.approx(12.0)
    record = run.record()
    assert record["images_per_second"] == 50.0
    assert record["seconds_left"] == 12.0


@pytest.mark.parametrize("value", ["fast", None, [], True, {"a": 1}, -4, -math.inf, math.inf, math.nan])
def test_a_status_may_hold_anything(lab, value):
    for changes in ({"step": value, "rate": value}, {"heartbeat": value}):
        folder = lab.begun()
        folder.status.write_text(json.dumps(read_json(folder.status) | changes))
    for run in lab.look().runs:
        assert run.step == 0
        assert run.rate is None
        assert run.left is None


def test_without_a_rate_or_a_record_there_is_no_time(lab):
    lab.begun(step=40, rate=5.0)
    lab.plan()
    found = lab.look()
    assert found.runs[0].left == pytest.approx(12.0)
    assert found.runs[1].left is None
    assert found.left is None


def test_waiting_runs_take_their_turns(lab, monkeypatch):
    """Two run now, 10 s and 20 s; two wait, 100 s each by a record: 110 s and 120 s."""
    lab.begun(step=50, rate=5.0)
    lab.begun(step=0, rate=5.0)
    lab.plan()
    lab.plan()
    from reslab.runs.speeds import Speed, Wanted

    run = Wanted.of(lab.look().runs[0].entry)
    monkeypatch.setattr(module, "recorded", lambda *_: [Speed(run=run, step=1.0, start=0.0, measure=0.0)])
    assert lab.look().left == pytest.approx(120.0)


def test_what_waits_starts_with_the_longest(lab):
    """10, 20 and 30 s on two slots, in whatever order they were planned; what nobody can count counts as longest."""

    def waiting(macs, left):
        return module.View(line(macs=macs), RunFolder(lab.outputs), "new", 0, left=left)

    busy = [module.View(line(), RunFolder(lab.outputs), "running", 0, left=left) for left in (0.0, 0.0)]
    for order in permutations([waiting(1000, 10.0), waiting(1500, 20.0), waiting(None, 30.0)]):
        assert module.time_left([*order, *busy]) == 30.0


def test_nothing_running_has_no_time_left(lab):
    lab.ended()
    lab.plan()
    assert lab.look().left is None
    assert not lab.look().over


def test_over_once_nothing_is_open(lab):
    lab.ended()
    lab.ended("failed")
    assert lab.look().over


def test_the_heartbeat_of_another_machine(lab):
    folder = lab.begun(step=3)
    write_json(folder.status, read_json(folder.status) | {"host": "another", "heartbeat": time.time() - 3600})
    assert lab.states() == ["interrupted"]
