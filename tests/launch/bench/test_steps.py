"""`reslab bench part=steps`: a race of very small nets through the whole command; no timing is asserted."""

import json
import mmap
import shlex
import sys

import pytest
import torch

from reslab.commands import bench
from reslab.commands.bench import main
from reslab.launch.bench import heats, steps
from reslab.launch.bench.contestants import Contestant
from reslab.launch.bench.race import SAID, Course
from reslab.launch.bench.standing import LABELS
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve_verb
from reslab.launch.resources import cores

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
    raced = steps.contestants("cpu", first=True, compiled=False)
    assert {row[0] for row in large["rows"]} == {
        LABELS[name] for name in (*raced, "convolutions fp32", "convolutions bf16")
    }
    assert {row[0] for row in small["rows"]} == {LABELS[name] for name in (*steps.SMALL, "convolutions fp32")}
    names = [row[0].partition(": ")[2].split(" ")[0] for row in gates["rows"]]
    each = ["parameters", "logits", "logits", "images", "losses", "weights"]
    assert names == [*each, *("losses", "weights") * 2, "first", *each, "first"]
    assert [[len(taken) for taken in race.values()] for race in made["turns"].values()] == [[2] * 14, [2] * 5]
    assert [row[0].split(", ")[-1] for row in limits["rows"]] == [
        f"threads: {n}" for n in dict.fromkeys((cores(), 1)) for _ in range(3)
    ]
    page, said = (tmp_path / "experiments/speed/steps.md").read_text(), capsys.readouterr().out
    assert f"Written by `reslab bench part=steps {shlex.join(TINY)}`" in page, "with the words that changed it"
    for figure in made["figures"]:
        assert figure["name"] in page
        assert figure["name"] in said
    assert str(tmp_path) not in page + json.dumps(made)
    assert list((tmp_path / "outputs").iterdir()) == []


@pytest.mark.timeout(600)
@pytest.mark.real("torch.compile with Inductor and a C++ compiler")
def test_compiled_contestants_race_whatever_their_race_is_called(tmp_path):
    """A compiler is given the names of files without quotes: none may come from the title of a race."""
    words = ("data=digits", "recipe=digits", "recipe.lr=0.001", "depth=8", "width=4", "recipe.batch=4")
    course = Course(words=words, warm=1, steps=1, outputs=tmp_path / "out puts")
    names = ("strong bf16 compiled", "ours bf16", "ours bf16 compiled")
    made = steps.in_worker(steps._heat, (course, names, 1), tmp_path / "ResNet-8, batches of 4 at 8 x 8.json", 1)
    assert made["left_out"] == {}
    assert set(made["seconds"]) == {*names, "convolutions bf16"}


def test_a_worker_that_fails_says_why(tmp_path):
    course = Course(words=(), warm=1, steps=1, outputs=tmp_path)
    with pytest.raises(RuntimeError, match=r"a worker of the benchmark failed, exit code 1:[\s\S]*KeyError: 'nobody'"):
        steps.in_worker(steps._memory, (course, "nobody fp32", 0), tmp_path / "answer.json", 1)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("race.depths=[21]", r"race.depths=\[21\] are not depths of 6n \+ 2 layers"),
        ("race.digits=[x]", r"race.digits=\['x'\] are not depths"),
        ("race.repeats=0", "race.repeats=0 measures nothing"),
        ("race.rows=100", "race.rows=100 images are fewer than a turn trains on; use race.rows=1664"),
        ("race.trainer=tpu", "race.trainer=tpu is unknown; it is cpu or gpu"),
        ("race.warm=0", "race.warm=0 measures nothing"),
    ],
)
def test_what_cannot_be_raced_is_refused(tmp_path, monkeypatch, word, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        main(["part=steps", word])
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_is_not_raced_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench.resources, "gpus", lambda: 0)
    with pytest.raises(ValueError, match=r"no NVIDIA GPU is to be seen here; use race.trainer=cpu"):
        main(["part=steps", "race.trainer=gpu"])
    assert list(tmp_path.iterdir()) == []


def test_on_a_gpu_an_epoch_may_be_shorter_than_a_turn_and_the_results_have_a_name_of_their_own(monkeypatch):
    monkeypatch.setattr(bench.resources, "gpus", lambda: 1)
    config = resolve_verb(compose("bench", ["part=steps", "race.trainer=gpu", "race.steps=400", "race.warm=50"])[0])
    bench.PARTS["steps"].check(config)
    assert bench.kept_as(config) == "steps_gpu"
    assert bench.kept_as(config | {"part": "sweep"}) == "sweep"
    with pytest.raises(ValueError, match=r"race.rows=8192 images are fewer than a turn trains on"):
        bench.PARTS["steps"].check(config | {"race": config["race"] | {"trainer": "cpu"}})


KINDS = ("strong", "ours")


def test_the_strong_loop_and_ours_are_compiled_at_every_depth():
    for first in (True, False):
        names = steps.contestants("cpu", first=first, compiled=True)
        assert {f"{kind} {precision} compiled" for kind in KINDS for precision in ("fp32", "bf16")} < set(names)
        assert ("strong bf16 blocks" in names) is first


def test_everything_is_tried_at_the_first_depth_alone():
    for trainer in ("cpu", "gpu"):
        names = steps.contestants(trainer, first=True, compiled=True)
        assert len(set(names)) == len(names)
        assert set(names) <= set(LABELS)
        assert set(steps.contestants(trainer, first=False, compiled=True)) < set(names)
        assert not [name for name in steps.contestants(trainer, first=True, compiled=False) if "compiled" in name]
    assert "strong bf16 graphs" in steps.contestants("gpu", first=False, compiled=True)
    assert "strong bf16 graphs" not in steps.contestants("cpu", first=True, compiled=True)


def test_what_a_worker_says_for_the_screen_is_passed_on_once(tmp_path, capsys):
    log = tmp_path / "some.log"
    assert steps._relay(log, 0) == 0
    log.write_text(f"a warning\n{SAID}one\n{SAID}tw")
    heard = steps._relay(log, 0)
    log.write_text(log.read_text() + "o\n")
    assert steps._relay(log, heard) == len(log.read_text())
    assert capsys.readouterr().out == "  one\n  two\n"


def test_a_rival_that_fails_is_left_out_and_ours_is_not(tmp_path, monkeypatch, capsys):
    def fails(track, name):
        raise OSError(f"{name} has no compiler\nand more")

    monkeypatch.setattr(heats, "make", fails)
    field, track = heats.Field(), heats.Track(Course(words=(), warm=1, steps=1, outputs=tmp_path))
    field.make(track, ["strong bf16 graphs"])
    assert field.left_out == {"strong bf16 graphs": "OSError: strong bf16 graphs has no compiler"}
    assert "strong bf16 graphs is left out" in capsys.readouterr().out
    with pytest.raises(OSError, match="ours bf16 has no compiler"):
        field.make(track, ["ours bf16"])


def test_a_rival_that_fails_in_its_first_turn_is_left_out(tmp_path):
    def late():
        raise RuntimeError("too late")

    field, track = heats.Field(), heats.Track(Course(words=(), warm=1, steps=1, outputs=tmp_path))
    for name, turn in (("strong bf16", late), ("naive fp32", lambda: 1.0)):
        field.present[name] = Contestant(torch.nn.Identity(), turn, lambda steps: [])
    field.warm(track)
    assert list(field.present) == list(field.first) == ["naive fp32"]
    assert field.left_out == {"strong bf16": "RuntimeError: too late"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_this_process():
    """Pages of the kernel's own, past malloc: it may hold enough that is free."""
    held = heats._resident("VmRSS")
    with mmap.mmap(-1, 64 * 2**20) as kept:
        kept[::4096] = b"x" * len(range(0, len(kept), 4096))
        assert 55 < heats._resident("VmRSS") - held < 80
        now = heats._resident("VmRSS")
        assert heats._resident("VmHWM") >= now
