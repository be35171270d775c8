"""plan.jsonl: one line per (cell, seed), whoever writes and whatever is torn."""

import fcntl
import json
import subprocess
import sys

import pytest

from reslab.runs.plan import FIELDS, add_to_plan, experiments, plan_file, read_plan
from runs.lines import line as entry


def pairs(path):
    return [(line["cell"], line["seed"]) for line in read_plan(path)]


@pytest.fixture
def path(tmp_path):
    return plan_file(tmp_path, "mine")


def test_written_and_read_in_order(path):
    assert add_to_plan(path, [entry("b", 1), entry("a", 0)]) == 2
    assert pairs(path) == [("b", 1), ("a", 0)]
    assert read_plan(path)[0] == {"schema": 1, **entry("b", 1)}


def test_what_is_there_is_not_written_again(path):
    add_to_plan(path, [entry("a", 0), entry("a", 1)])
    before = path.read_bytes()
    assert add_to_plan(path, [entry("a", 1), entry("a", 0)]) == 0
    assert path.read_bytes() == before
    assert add_to_plan(path, [entry("a", 1), entry("b", 1), entry("a", 2)]) == 2
    assert pairs(path) == [("a", 0), ("a", 1), ("b", 1), ("a", 2)]
    assert path.read_bytes().startswith(before)


def test_nothing_to_add(path):
    assert add_to_plan(path, []) == 0
    assert read_plan(path) == []


def test_no_file(path):
    assert read_plan(path) == []


def test_lines_that_stand_twice_count_once(path):
    add_to_plan(path, [entry("a", 0)])
    path.write_bytes(path.read_bytes() * 3)
    assert pairs(path) == [("a", 0)]


@pytest.mark.parametrize("cut", [1, 2, 10, 30])
def test_a_torn_last_line_is_passed_over_and_closed(path, cut):
    add_to_plan(path, [entry("a", 0), entry("a", 1)])
    path.write_bytes(path.read_bytes()[:-cut])
    kept = [("a", 0), ("a", 1)] if cut == 1 else [("a", 0)]
    assert pairs(path) == kept
    assert add_to_plan(path, [entry("a", 1), entry("b", 0)]) == (1 if cut == 1 else 2)
    assert pairs(path) == [("a", 0), ("a", 1), ("b", 0)]


@pytest.mark.parametrize("line", ["", "7", "null", "[1]", "{", "\x00\xff{]"])
def test_lines_that_are_no_entries_are_passed_over(path, line):
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    assert read_plan(path) == []
    add_to_plan(path, [entry()])
    assert pairs(path) == [("a", 0)]


WRITER = """
import json
import sys
from pathlib import Path
from reslab.runs.plan import add_to_plan
path, who, line = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()  # all begin at once
for seed in range(40):
    own, shared = line | {"cell": who, "seed": seed}, line | {"cell": "shared", "seed": seed, "pad": "x" * 3000}
    add_to_plan(path, [shared, own])
"""


def test_concurrent_writers_lose_nothing_and_write_nothing_twice(path):
    path.parent.mkdir(parents=True)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command, line = [sys.executable, "-c", WRITER, str(path)], json.dumps(entry())
    writers = [subprocess.Popen([*command, str(who), line], **pipes) for who in range(3)]
    for writer in writers:
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    written = [(line["cell"], line["seed"]) for line in lines]
    assert len(written) == len(set(written)) == 4 * 40
    assert set(pairs(path)) == {(who, seed) for who in ("shared", "0", "1", "2") for seed in range(40)}


def test_a_writer_waits_for_the_one_before_it_and_then_sees_its_lines(path):
    path.parent.mkdir(parents=True)
    script = (
        "import json, sys\nfrom pathlib import Path\nfrom reslab.runs.plan import add_to_plan\n"
        "print('begins', flush=True)\nprint(add_to_plan(Path(sys.argv[1]), [json.loads(sys.argv[2])]), flush=True)\n"
    )
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        command = [sys.executable, "-c", script, str(path), json.dumps(entry())]
        other = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert other.stdout.readline() == b"begins\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.3)
        file.write(json.dumps(entry()) + "\n")
    assert other.communicate()[0] == b"0\n"
    assert pairs(path) == [("a", 0)]


def test_experiments(tmp_path):
    assert experiments(tmp_path) == []
    for name in ("b", "a"):
        add_to_plan(plan_file(tmp_path, name), [entry()])
    (tmp_path / "experiments" / "empty").mkdir()
    assert experiments(tmp_path) == ["a", "b"]


def test_a_plan_of_another_schema_is_refused_with_a_sentence(path):
    add_to_plan(path, [entry("a", 0)])
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    before = path.read_bytes()
    for touch in (read_plan, lambda path: add_to_plan(path, [entry("b", 0)])):
        with pytest.raises(ValueError, match="has schema 2, this version reads 1; use another outputs=FOLDER"):
            touch(path)
    assert path.read_bytes() == before


TYPED = [(name, "x" if isinstance(value, int | float) else 5) for name, value in entry().items()]
TYPED += [("command", 5), ("overrides", "x"), ("overrides", [1])]
VALUES = [("classes", 1), ("depth", 8.5), ("depth", 0), ("seed", -1), ("seed", True), ("seed", 2**63), ("lr", 0)]
VALUES += [("lr", float("nan")), ("lr", float("inf")), ("batch", 0), ("macs", -1), ("cell", ""), ("shortcut", None)]
VALUES += [("folder", where) for where in ("/etc", "../../x", "runs/../seed=0", "runs/a/seed=0/../x", "nowhere", "")]


@pytest.mark.parametrize(("name", "value"), [*TYPED, *VALUES])
def test_a_line_that_does_not_hold_what_it_should_is_refused(path, name, value):
    add_to_plan(path, [entry("a", 0), entry("b", 0) | {name: value}])
    before = path.read_bytes()
    for touch in (read_plan, lambda path: add_to_plan(path, [entry("c", 0)])):
        with pytest.raises(
            ValueError, match=rf"line 2 of .*plan.jsonl has {name}=.*another version or edited.*outputs="
        ):
            touch(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", FIELDS)
def test_a_line_that_lacks_a_field_is_refused(path, name):
    path.parent.mkdir(parents=True)
    lines = [entry("a", 0), {key: value for key, value in entry("b", 0).items() if key != name}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match=rf"line 2 of .*plan.jsonl lacks {name}: written by another version or edited"):
        read_plan(path)


def test_costs_may_be_unknown_and_later_columns_absent(path):
    """A user's own layer hides its costs; lines of 0.1 have no command."""
    made = entry() | {"params": None, "norm_params": None, "macs": None}
    add_to_plan(path, [made, made | {"seed": 1, "command": "reslab train", "overrides": ["seed=1"]}])
    assert [line.get("command") for line in read_plan(path)] == [None, "reslab train"]


def test_a_plan_that_is_a_folder(path):
    path.mkdir(parents=True)
    with pytest.raises(ValueError, match=r"plan.jsonl cannot be read \(Is a directory\); use another outputs=FOLDER"):
        read_plan(path)
