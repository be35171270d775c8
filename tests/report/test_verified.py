"""The panel of `reslab verify`: what the record says, failures first, whatever anybody has written into it."""

import json

import pytest

from report.synthetic import HTML, write_records
from reslab.analysis.answer import answer
from reslab.report.page import page
from reslab.report.tables_verify import laws, number, verified
from reslab.report.write import draw
from reslab.runs.folder import write_json

LAW = {"topic": "one", "law": "growth", "source": "by hand", "expected": 1.5, "measured": 1.501, "tolerance": "1 %"}
WRONG = LAW | {"law": "count", "expected": 269_722, "measured": None, "tolerance": "exact", "passed": False}
RECORD = {"time": "2030-01-02T03:04:05+00:00", "seconds": 61.5, "failed": 1, "commit": "0123456789abcdef+dirty"}
RECORD |= {"hardware": {"processor": "a processor"}, "facts": [LAW | {"passed": True}, WRONG]}


@pytest.fixture
def outputs(tmp_path):
    return write_records(tmp_path / "outputs")


def text(outputs):
    answered = answer(outputs, "toy")
    return page(answered, draw(answered), folder=outputs / "experiments" / "toy", outputs=outputs)


def test_without_a_record_the_page_says_the_command(outputs):
    assert verified(answer(outputs, "toy")) is None
    assert "reslab verify has not been run here" in text(outputs)


def test_what_does_not_hold_comes_first(outputs):
    write_json(outputs / "verify.json", RECORD)
    made = verified(answer(outputs, "toy"))
    assert made.shown["law"].to_list() == ["count", "growth"]
    assert made.shown["holds"].to_list() == ["NO", "yes"]
    assert made.shown["measured"].to_list() == ["not a number", "1.501"]
    assert made.data["expected"].to_list() == [1.5, 269_722]
    assert made.caption.startswith("1 of 2 laws hold")
    for word in ("2030-01-02", "0123456789ab+dirty", "a processor", "61.5 s"):
        assert word in made.caption


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "[]",
        '{"facts": 3}',
        '{"facts": [3, null, [], {}]}',
        '{"facts": [{"law": "", "passed": true}]}',
    ],
)
def test_a_record_of_nothing_is_no_panel(outputs, record):
    (outputs / "verify.json").write_text(record)
    assert verified(answer(outputs, "toy")) is None


def test_a_hostile_record_is_text(outputs):
    odd = {"law": HTML, "source": ["x"], "expected": 10**400, "measured": "1", "tolerance": {}, "passed": "yes"}
    whole = {"facts": [odd], "commit": HTML, "hardware": [HTML], "seconds": HTML, "time": HTML}
    (outputs / "verify.json").write_text(json.dumps(whole))
    made = text(outputs)
    assert HTML not in made
    row = laws(whole).row(0, named=True)
    assert (row["expected"], row["measured"], row["passed"]) == (None, None, False)


@pytest.mark.parametrize(
    ("value", "read"),
    [(269_722.0, "269,722"), (0.0, "0"), (1.46694, "1.4669"), (3.2444e-3, "0.0032444"), (None, "not a number")],
)
def test_numbers_as_they_are_read(value, read):
    assert number(value) == read
    assert number(float("inf")) == "not a number"
