"""`reslab verify`: a table or JSON, a record for the page, exit code 1 where a law does not hold."""

import json

import pytest

from reslab.commands import verify
from reslab.launch.verify import topics
from reslab.launch.verify.fact import EXACT, Fact, Topic, share
from reslab.runs.folder import read_json

FINE = Fact("growth [per layer]", "by hand", 1.5, 1.501, share(0.01))
WRONG = Fact("parameters", "by hand", 269_722, 269_723, EXACT)
NOTHING = Fact("a ratio", "by hand", 1.0, float("nan"), share(0.01))


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """The command with laws of our own; its exit code."""

    def asked(*words, facts):
        of = [Topic("one", lambda: iter(facts[:1])), Topic("two", lambda: iter(facts[1:]))]
        monkeypatch.setattr(verify, "measured", lambda tell: topics.measured(tell, of))
        return verify.main([f"outputs={tmp_path / 'made'}", *words])

    return asked


@pytest.mark.parametrize(("facts", "code"), [([FINE, FINE], 0), ([FINE, WRONG], 1), ([NOTHING, FINE], 1)])
def test_one_law_that_does_not_hold_is_exit_code_1(ask, facts, code, tmp_path):
    assert ask(facts=facts) == code
    record = read_json(tmp_path / "made" / "verify.json")
    assert record["failed"] == code
    assert [fact["passed"] for fact in record["facts"]] == [fact.passed for fact in facts]


def test_the_table_names_every_law_whatever_the_width(ask, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    ask(facts=[FINE, WRONG])
    said = capsys.readouterr()
    assert said.out.splitlines()[0].split() == ["law", "source", "expected", "measured", "tolerance", "pass"]
    lines = {line.split("  ")[0]: line.split() for line in said.out.splitlines()}
    assert lines["growth [per layer]"][-5:] == ["1.5", "1.501", "1", "%", "yes"]
    assert lines["parameters"][-4:] == ["269,722", "269,723", "exact", "NO"]
    assert "2 laws, 1 do not hold" in said.out
    assert "2 of 2: two: 0 of 1 hold" in said.err


def test_json_is_the_record_with_its_evidence(ask, capsys, tmp_path):
    assert ask("format=json", facts=[NOTHING, FINE]) == 1
    said = json.loads(capsys.readouterr().out)
    written = read_json(tmp_path / "made" / "verify.json")
    assert written == {"schema": written["schema"], **said}
    assert said["facts"][0]["measured"] is None
    assert {"time", "seconds", "hardware", "versions", "commit", "python"} <= said.keys()


def test_another_format_is_refused(ask):
    with pytest.raises(ValueError, match="format=xml"):
        ask("format=xml", facts=[FINE, FINE])
