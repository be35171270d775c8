"""`reslab bench part=steps`: a race of very small nets through the whole command; no timing is asserted."""

import json
import sys

import pytest

from reslab.commands.bench import main
from reslab.launch.bench import heats, steps
from reslab.launch.bench.race import Course
from reslab.launch.bench.standing import LABELS

TINY = ("race.depths=[8]", "race.digits=[8]", "race.width=4", "race.rows=32", "race.batch=4", "race.steps=1")
TINY += ("race.digit_steps=2", "race.repeats=2", "race.compiled=false")


@pytest.mark.timeout(600)
def test_the_command_races_and_writes_what_it_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = main(["part=steps", *TINY])
    made = json.loads((tmp_path / "experiments/speed/steps.json").read_text())
    assert code == (1 if any(figure["met"] is False for figure in made["figures"]) else 0)
    assert made["race"]["repeats"] == 2
    large, small, gates, limits = made["tables"]
    assert {row[0] for row in large["rows"]} == {LABELS[name] for name in steps.MAIN + steps.MORE}
    assert {row[0] for row in small["rows"]} == {LABELS[name] for name in steps.SMALL}
    assert len(gates["rows"]) == 11
    assert len(limits["rows"]) == 3
    page, said = (tmp_path / "experiments/speed/steps.md").read_text(), capsys.readouterr().out
    for figure in made["figures"]:
        assert figure["name"] in page
        assert figure["name"] in said
    assert str(tmp_path) not in page + json.dumps(made)
    assert list((tmp_path / "outputs").iterdir()) == []


def test_a_worker_that_fails_says_why(tmp_path):
    course = Course(words=(), warm=1, steps=1, longest=1, outputs=tmp_path)
    with pytest.raises(RuntimeError, match=r"a worker of the benchmark failed:[\s\S]*KeyError: 'nobody'"):
        steps.in_worker(steps._memory, (course, "nobody fp32", 0), tmp_path / "answer.json", 1)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("race.depths=[21]", r"race.depths=\[21\] are not depths of 6n \+ 2 layers"),
        ("race.digits=[x]", r"race.digits=\['x'\] are not depths"),
        ("race.repeats=0", "race.repeats=0 measures nothing"),
        ("race.rows=100", "race.rows=100 images are fewer than a turn trains on; use race.rows=1664"),
    ],
)
def test_what_cannot_be_raced_is_refused(tmp_path, monkeypatch, word, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        main(["part=steps", word])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_this_process():
    held = heats._resident("VmRSS")
    kept = bytearray(64 * 2**20)
    kept[::4096] = b"x" * len(kept[::4096])
    assert 55 < heats._resident("VmRSS") - held < 80
    assert heats._resident("VmHWM") >= heats._resident("VmRSS")
