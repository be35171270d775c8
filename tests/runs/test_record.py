"""metrics.jsonl: append-only; each step counts once when read."""

import json
import math

import pytest

from reslab.runs.record import Rows, last_line, read_rows


def write(path, attempt, *rows):
    made = Rows(path, attempt)
    for row in rows:
        made.write(row)
    made.close()


def test_rows_come_back_by_step(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, {"step": 20, "lr": 0.1}, {"step": 0, "train/error": 0.9}, {"step": 10, "lr": 0.1})
    assert read_rows(path) == [
        {"schema": 1, "attempt": 1, "step": 0, "train/error": 0.9},
        {"schema": 1, "attempt": 1, "step": 10, "lr": 0.1},
        {"schema": 1, "attempt": 1, "step": 20, "lr": 0.1},
    ]


def test_every_row_is_on_disk_at_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = Rows(path, 1)
    for step in range(3):
        rows.write({"step": step})
        assert len(read_rows(path)) == step + 1
    rows.close()


def test_appended_never_rewritten(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, {"step": 0, "x": 1}, {"step": 10, "x": 1})
    before = path.read_bytes()
    write(path, 2, {"step": 10, "x": 2}, {"step": 20, "x": 2})
    assert path.read_bytes().startswith(before)
    assert path.read_bytes().count(b"\n") == 4


def test_where_attempts_overlap_the_highest_counts(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, *({"step": step, "x": 1.0} for step in (0, 10, 20, 30)))
    write(path, 2, *({"step": step, "x": 2.0} for step in (20, 30, 40)))
    found = [(row["step"], row["attempt"], row["x"]) for row in read_rows(path)]
    assert found == [(0, 1, 1.0), (10, 1, 1.0), (20, 2, 2.0), (30, 2, 2.0), (40, 2, 2.0)]


def test_the_highest_attempt_and_not_the_last_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 3, {"step": 1, "x": 3.0})
    write(path, 10, {"step": 1, "x": 10.0})
    write(path, 2, {"step": 1, "x": 2.0})
    assert [row["x"] for row in read_rows(path)] == [10.0]


@pytest.mark.parametrize("cut", range(1, 46, 4))
def test_a_torn_last_line_is_passed_over_and_closed_by_the_next_attempt(tmp_path, cut):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, {"step": 0, "x": 0.5}, {"step": 10, "x": 0.25})
    path.write_bytes(path.read_bytes()[:-cut])
    torn = path.read_bytes()
    assert [row["step"] for row in read_rows(path)] == ([0, 10] if cut == 1 else [0])
    write(path, 2, {"step": 10, "x": 0.75})
    assert [(row["step"], row["x"]) for row in read_rows(path)] == [(0, 0.5), (10, 0.75)]
    assert path.read_bytes().startswith(torn)
    assert b"\n\n" not in path.read_bytes()


def test_a_whole_file_gets_no_empty_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, {"step": 0})
    write(path, 2)
    write(path, 3, {"step": 1})
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null(tmp_path, value):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, {"step": 0, "loss": value, "error": 0.5})
    assert '"loss": null' in path.read_text()
    json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert read_rows(path) == [{"schema": 1, "attempt": 1, "step": 0, "loss": None, "error": 0.5}]


def test_numbers_come_back_exactly(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, {"step": 0, "x": 0.1 + 0.2, "n": 2**60})
    assert (read_rows(path)[0]["x"], read_rows(path)[0]["n"]) == (0.1 + 0.2, 2**60)


@pytest.mark.parametrize(
    "line", ["", "5", "null", "[]", '"step"', "{}", '{"step": 3}', '{"attempt": 1}', "\x00\x00", "é"]
)
def test_lines_that_are_no_rows_are_passed_over(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes((line + "\n").encode("latin-1"))
    write(path, 1, {"step": 0})
    assert [row["step"] for row in read_rows(path)] == [0]


@pytest.mark.parametrize("name", ["step", "attempt"])
@pytest.mark.parametrize("value", ["x", "9", None, -5, 3.5, 1e18, True, [1], {"a": 1}, math.nan])
def test_a_row_without_a_step_and_an_attempt_is_passed_over(tmp_path, name, value):
    """Beside one of the same step, so that it has to be compared."""
    path = tmp_path / "metrics.jsonl"
    rows = [{"attempt": 1, "step": 0, "x": 1.0}, {"attempt": 1, "step": 0, "x": 2.0} | {name: value}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_rows(path) == rows[:1]


@pytest.mark.parametrize("value", ["x", "0.5", True, [1], {"a": 1}, math.nan, math.inf, -math.inf, 10**400])
def test_a_value_that_is_no_number_is_absent(tmp_path, value):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"attempt": 1, "step": 0, "lr": 0.1, "train/error": value}) + "\n")
    assert read_rows(path) == [{"attempt": 1, "step": 0, "lr": 0.1}]


def test_no_file_no_rows(tmp_path):
    assert read_rows(tmp_path / "metrics.jsonl") == []


def test_last_line(tmp_path):
    log = tmp_path / "log.txt"
    assert last_line(log) == ""
    log.write_text("")
    assert last_line(log) == ""
    log.write_text("one\n  two  \n\n   \n")
    assert last_line(log) == "two"
    log.write_bytes(b"one\n\xff\xfe error\n")
    assert last_line(log).endswith("error")
