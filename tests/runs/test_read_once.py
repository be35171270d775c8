"""However many questions are asked of a run, each of its records is read once, and all answers are of one moment."""

import builtins
import io
import json
from collections import Counter
from pathlib import Path

import pytest

from reslab.analysis import table
from reslab.launch.bench import verbs
from reslab.runs import status
from reslab.runs.folder import RunFolder, read_json, write_json
from reslab.runs.overview import overview
from reslab.runs.plan import plan_file, read_plan
from reslab.runs.status import Records, process_identity


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Twenty runs with all their records; the last one is running."""
    outputs = tmp_path_factory.mktemp("outputs")
    verbs.fill(20, outputs)
    return outputs


@pytest.fixture
def opened(monkeypatch):
    """How often each file was opened."""
    counts, real = Counter(), io.open

    def counting(file, *arguments, **settings):
        counts[str(file)] += 1
        return real(file, *arguments, **settings)

    monkeypatch.setattr(io, "open", counting)
    monkeypatch.setattr(builtins, "open", counting)
    return counts


@pytest.mark.parametrize("look", [lambda outputs: overview(outputs, "adhoc"), table.runs], ids=["status", "report"])
def test_every_record_of_every_run_is_opened_once(filled, opened, look):
    look(filled)
    names = ("config.yaml", "metrics.jsonl", "result.json", "status.json")
    expected = {
        str(filled / entry["folder"] / name) for entry in read_plan(plan_file(filled, "adhoc")) for name in names
    }
    there = {name for name in expected if Path(name).exists()}
    assert len(there) == 4 * 20 - 1  # the running one has no result
    found = {name: n for name, n in opened.items() if "/seed=" in name and Path(name).exists()}
    assert found == dict.fromkeys(there, 1)


def test_the_plan_is_read_once(filled, opened):
    overview(filled, "adhoc")
    assert opened[str(plan_file(filled, "adhoc"))] == 1


def test_runs_of_two_experiments_lend_their_speed_once(filled, tmp_path):
    """The time left is the same whether or not another experiment asked for the same runs."""
    outputs = tmp_path / "outputs"
    (outputs / "experiments").mkdir(parents=True)
    (outputs / "runs").symlink_to(filled / "runs")
    lines = plan_file(filled, "adhoc").read_text()
    for name in ("adhoc", "other"):
        plan_file(outputs, name).parent.mkdir()
        plan_file(outputs, name).write_text(lines)
    alone, both = overview(filled, "adhoc"), overview(outputs, "adhoc")
    assert alone.runs[-1].state == both.runs[-1].state == "running"
    assert both.left == alone.left


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "seed=0")
    made.path.mkdir()
    write_json(made.status, {"state": "running", **process_identity()})
    return made


@pytest.mark.parametrize("alive", [True, False])
def test_a_run_that_ends_while_it_is_looked_at_has_ended(folder, monkeypatch, alive):
    """Its status was read as running, then it wrote its result and was gone."""

    def ends(_):
        write_json(folder.result, {"outcome": "trained"})
        return alive

    monkeypatch.setattr(status, "_alive", ends)
    assert Records.of(folder).state == "ended"


def test_a_result_that_comes_while_it_is_looked_at_is_not_torn(folder, monkeypatch):
    looks = []

    def comes(path):
        found = read_json(path)
        if path == folder.result and not looks:
            looks.append(path)
            path.write_text(json.dumps({"outcome": "trained"}))
        return found

    monkeypatch.setattr(status, "read_json", comes)
    records = Records.of(folder)
    assert not records.torn
    assert records.state == "ended"
