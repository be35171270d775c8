"""plan.jsonl: one line per (cell, seed), whoever writes and whatever is torn."""

import fcntl
import json
import subprocess
import sys

import pytest

from reslab.runs.plan import add_to_plan, experiments, plan_file, read_plan


def entry(cell="a", seed=0, **facts):
    return {"cell": cell, "seed": seed, "label": f"{cell}{seed}", **facts}


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


@pytest.mark.parametrize("line", ["", "7", "null", "[1]", '{"cell": "x"}', '{"cell": [], "seed": 0}', "{"])
def test_lines_that_are_no_entries_are_passed_over(path, line):
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    assert read_plan(path) == []
    add_to_plan(path, [entry()])
    assert pairs(path) == [("a", 0)]


WRITER = """
import sys
from pathlib import Path
from reslab.runs.plan import add_to_plan
path, who = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()  # all begin at once
for seed in range(40):
    add_to_plan(path, [{"cell": "shared", "seed": seed, "pad": "x" * 3000}, {"cell": who, "seed": seed}])
"""


def test_concurrent_writers_lose_nothing_and_write_nothing_twice(path):
    path.parent.mkdir(parents=True)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(who)], **pipes) for who in range(3)]
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
        "import sys\nfrom pathlib import Path\nfrom reslab.runs.plan import add_to_plan\nprint('begins', flush=True)\n"
        "print(add_to_plan(Path(sys.argv[1]), [{'cell': 'a', 'seed': 0}]), flush=True)\n"
    )
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        other = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
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
