"""`reslab push`: W&B ends up with what the records say, whatever it had before, and a second push changes nothing."""

import hashlib
import json
import shutil
import subprocess
import sys
import time

import pytest

from reslab.runs.folder import RunFolder, read_json, write_json
from reslab.runs.integrity import split
from reslab.runs.plan import add_to_plan, plan_file, read_plan
from reslab.tracking import mirror
from reslab.tracking.push import gather
from tracking import troubles
from tracking.conftest import LIMITS, Lab, until
from tracking.test_online import SLACK, arrived, by_place, rows
from tracking.wandb_server import ENTITY, Server

online = pytest.mark.real("W&B online, against a server on 127.0.0.1")
CHANGING = {"UpsertBucket", "CreateArtifact", "CreateRunFiles", "UpsertView2"}


def folders(outputs):
    return [RunFolder(path) for path in sorted(outputs.glob("runs/*/seed=*"))]


def hashes(outputs):
    """Every file of every run folder."""
    files = [path for path in sorted(outputs.glob("runs/**/*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check_complete(server, outputs):
    """Each run of the records is there whole, once, and nothing else but the summary."""
    trained = {name: run for name, run in server.runs.items() if run.job_type == "train"}
    assert len(trained) == len(folders(outputs))
    for folder in folders(outputs):
        result = read_json(folder.result)
        name = f"{result['cell'][:12]}-s{result['seed']}-a1"
        run = trained[name]
        own = [{k: v for k, v in row.items() if k != "schema"} for row in map(dict, mirror_rows(folder))]
        assert sorted(map(str, by_place(arrived(run)))) == sorted(str((row["attempt"], row["step"])) for row in own)
        assert len(run.history) == len(own)
        assert run.exit_code == 0
        assert run.summary["outcome"] == result["outcome"]
        if "test" in result:
            assert run.summary["final/test_error"] == result["test"]["error"]


def mirror_rows(folder):
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    return [line for line in lines if line["attempt"] == 1]


@pytest.fixture(scope="module")
def pushed(untracked, tmp_path_factory):
    """A lab whose five runs have been pushed once, its server, and what was said; not to be changed."""
    server, folder = Server(), tmp_path_factory.mktemp("pushed")
    lab = Lab(folder, server.url)
    shutil.copytree(untracked, lab.outputs)
    before = hashes(lab.outputs)
    code, said = lab.push(drawn=True)
    assert code == 0, said
    assert hashes(lab.outputs) == before, "the records are read, never written"
    yield lab, server, said
    server.down()


@online
def test_push_sends_what_the_records_say_and_where_to_look(pushed):
    lab, server, said = pushed
    check_complete(server, lab.outputs)
    assert "5 of 5 runs have ended" in said
    assert "runs: 5 new · " in said
    assert "summary run: made" in said
    assert f"{server.url}/{ENTITY}/reslab" in said
    assert f"workspace: made · {server.url}/{ENTITY}/reslab?nw=" in said
    assert len(server.views) == 1


@online
def test_a_second_push_changes_nothing(pushed):
    lab, server, _ = pushed
    stored = server.stored()
    server.asked.clear()
    code, said = lab.push()
    assert code == 0, said
    assert "runs: 5 there · 0 rows sent" in said
    assert "summary run: there" in said
    assert "workspace: there" in said
    assert server.stored() == stored
    assert server.asked
    assert not CHANGING & set(server.asked)


@online
def test_a_diverged_run_is_pushed_as_the_result_that_it_is(pushed):
    _, server, _ = pushed
    (diverged,) = [run for run in server.runs.values() if run.summary.get("outcome") == "diverged"]
    assert diverged.exit_code == 0
    assert diverged.history
    assert diverged.settings["config"]["recipe"]["lr"] == 1e20


@online
def test_the_summary_run_holds_tables_and_figures(pushed):
    lab, server, _ = pushed
    summary = server.runs["summary-adhoc"]
    assert (summary.job_type, summary.group, summary.exit_code) == ("summary", "summary", 0)
    assert summary.tags == ["adhoc", "summary"]
    stored = {key: value for key, value in summary.summary.items() if key.startswith("tables/")}
    assert {"tables/runs", "tables/cells", "tables/gaps", "tables/rescues"} <= set(stored)
    assert stored["tables/runs"]["nrows"] == 5
    (name,) = [name for name in server.blobs if name.startswith("summary-adhoc/media/table/tables/runs_")]
    table = json.loads(server.blobs[name])
    assert "folder" not in table["columns"]
    assert str(lab.folder) not in json.dumps(table)
    assert sorted(row[table["columns"].index("depth")] for row in table["data"]) == [8, 8, 14, 14, 14]
    assert all(artifact["state"] == "COMMITTED" for artifact in server.artifacts.values())
    figures = [name for name in server.blobs if name.startswith("summary-adhoc/media/images/figures/")]
    assert len(figures) >= 2
    assert all(server.blobs[name].startswith(b"\x89PNG") and len(server.blobs[name]) > 5000 for name in figures)
    assert summary.summary["verdict/none/d14"] == "undecided", "one seed is before the first look"


@online
def test_the_workspace_of_the_experiment_shows_its_figures(pushed):
    _, server, _ = pushed
    (view,) = server.views.values()
    drawn = {name for name in server.runs["summary-adhoc"].summary if name.startswith("figures/")}
    panels = [p for s in json.loads(view["spec"])["section"]["panelBankConfig"]["sections"] for p in s["panels"]]
    (media,) = [panel["config"]["mediaKeys"] for panel in panels if panel["viewType"] == "Media Browser"]
    assert set(media) == drawn


@online
def test_new_results_renew_the_summary_and_send_one_run(lab, wandb, records):
    last = folders(records)[0]
    result = last.result.read_text()
    last.result.unlink()
    code, said = lab.push()
    assert code == 0, said
    assert "4 of 5 runs have ended" in said
    assert len([run for run in wandb.runs.values() if run.job_type == "train"]) == 4
    last.result.write_text(result)
    code, said = lab.push()
    assert code == 0, said
    assert "runs: 1 new, 4 there" in said
    assert "summary run: updated" in said
    check_complete(wandb, records)
    assert len(wandb.views) == 1


@online
def test_a_run_mirrored_online_is_left_as_it_is(lab, wandb):
    made = lab.job("seed=7")
    assert lab.run(made) == 0
    name = f"{made.cell[:12]}-s7-a1"
    history, config = wandb.runs[name].history, wandb.runs[name].config
    code, said = lab.push()
    assert code == 0, said
    assert "runs: 1 there · 0 rows sent" in said
    assert wandb.runs[name].history == history
    assert wandb.runs[name].config == config
    stored = wandb.stored()
    assert lab.push()[0] == 0
    assert wandb.stored() == stored


@online
def test_a_run_of_which_w_and_b_has_a_part_is_completed_and_nothing_sent_twice(lab, wandb):
    made = lab.job("seed=7")
    assert lab.run(made) == 0
    run = wandb.runs[f"{made.cell[:12]}-s7-a1"]
    for kept in (0, 1, 3):
        lines = run.files["wandb-history.jsonl"]
        run.files["wandb-history.jsonl"] = {at: line for at, line in lines.items() if at < kept}
        run.summary, run.state, run.exit_code = {}, "crashed", None
        code, said = lab.push()
        assert code == 0, said
        assert f"completed  {4 - kept} rows" in said
        assert arrived(run) == rows(made)
        assert run.exit_code == 0
        assert run.summary["final/train_error"] == read_json(made.folder.result)["train"]["error"]


@online
def test_an_offline_run_is_pushed_without_its_wandb_file(lab, wandb):
    made = lab.job("tracking.mode=offline")
    lab.environment["WANDB_MODE"] = "offline"
    assert lab.run(made) == 0
    assert not wandb.runs
    for file in lab.outputs.glob("wandb/offline-run-*/*.wandb"):
        file.unlink()
    code, said = lab.push(WANDB_MODE="offline")
    assert code == 0, said
    check_complete(wandb, lab.outputs)


@online
def test_a_run_that_failed_is_pushed_as_failed(lab, wandb):
    made = lab.job("tracking.mode=disabled")
    assert lab.run(made, troubles.break_down) == 1
    code, said = lab.push()
    assert code == 0, said
    run = wandb.runs[f"{made.cell[:12]}-s0-a1"]
    assert (run.exit_code, run.summary["outcome"]) == (1, "failed")
    assert "broken on purpose" in run.summary["reason"]


@online
def test_a_run_that_two_experiments_share_is_found_under_both(lab, wandb, records):
    assert lab.push()[0] == 0
    entries = read_plan(plan_file(records, "adhoc"))[:2]
    add_to_plan(plan_file(records, "second"), [entry | {"experiment": "second"} for entry in entries])
    code, said = lab.push(experiment="second")
    assert code == 0, said
    assert "runs: 2 there, tagged" in said
    both = [run for run in wandb.runs.values() if {"adhoc", "second"} <= set(run.tags)]
    assert len(both) == 2
    assert all(len(run.history) == 4 for run in both)
    assert len(wandb.views) == 2
    stored = wandb.stored()
    assert lab.push()[0] == 0
    assert wandb.stored() == stored


@online
def test_project_and_entity_of_the_command_win(lab, wandb, records):
    code, said = lab.push("project=elsewhere", "entity=team")
    assert code == 0, said
    assert "/team/elsewhere" in said
    assert {run.project for run in wandb.runs.values()} == {"elsewhere"}


EDITS = {"broken": ": : [", "no tracking": "", "tracking is no table": "tracking: 5\n"}


@pytest.mark.parametrize("edit", EDITS)
def test_a_config_that_was_edited_beside_the_cell_is_left_out_and_named(records, edit):
    folder, entries = folders(records)[0], read_plan(plan_file(records, "adhoc"))
    text = folder.config.read_text()
    if edit == "broken":
        text += EDITS[edit]
    else:
        text = text.replace(split(text)["tracking"], EDITS[edit])
    folder.config.write_text(text)
    ended, left = gather(records, entries)
    assert len(ended) == len(entries) - 1
    assert len(left) == 1
    assert left[0].endswith("config.yaml cannot be read: it was edited")


@online
def test_an_edited_run_is_left_out_and_named(lab, wandb, records):
    edited = folders(records)[0]
    result = read_json(edited.result)
    edited.config.write_text(edited.config.read_text().replace("batch: 64", "batch: 32"))
    code, said = lab.push()
    assert code == 1, said
    assert "left out:" in said
    assert "it was edited" in said
    assert f"{result['cell'][:12]}-s{result['seed']}-a1" not in wandb.runs
    assert len([run for run in wandb.runs.values() if run.job_type == "train"]) == 4


@online
def test_a_server_lost_in_the_middle_of_a_push_is_said_and_the_next_push_goes_on(lab, wandb, records):
    process = lab.start_push()
    until(lambda: sum(run.state == "finished" for run in wandb.runs.values()) >= 2)
    wandb.down()
    began = time.monotonic()
    process.join()
    assert time.monotonic() - began < sum(LIMITS.values()) + SLACK
    assert process.exitcode == 2
    said = lab.said()
    assert "runs are complete at W&B" in said
    assert "push again" in said
    assert "Traceback" not in said
    wandb.up()
    assert lab.push()[0] == 0
    check_complete(wandb, records)


@online
@pytest.mark.parametrize("trouble", ["down", "slow", "503"])
def test_a_server_that_does_not_answer_is_a_sentence_within_the_limit(lab, wandb, records, trouble):
    if trouble == "down":
        wandb.down()
    elif trouble == "slow":
        wandb.delay = 60
    else:
        wandb.fail(10**6)
    began = time.monotonic()
    code, said = lab.push()
    assert time.monotonic() - began < LIMITS["init_timeout"] + SLACK
    assert code == 2
    assert f"the W&B server {wandb.url} refused, or gave no answer within 3 s" in said
    assert "Traceback" not in said
    assert not wandb.runs


def test_without_a_key_there_is_one_sentence(lab, records):
    code, said = lab.push(WANDB_API_KEY="", NETRC="/nonexistent")
    assert code == 2
    assert said.startswith("reslab: W&B has no key here")
    assert "WANDB_API_KEY" in said
    assert "wandb login" in said
    assert "records stay" in said


def test_an_unknown_experiment_is_named_with_those_known(tmp_path):
    words = [sys.executable, "-m", "reslab", "push", "experiment=nope"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no runs of experiment=nope" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_loads_neither_torch_nor_wandb_until_it_must():
    code = (
        "import sys; from reslab.commands import push; print(sorted({'torch', 'wandb', 'altair'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rows_of_a_run_that_began_anew_are_those_of_the_last_beginning(tmp_path):
    folder = RunFolder(tmp_path)
    lines = [{"attempt": a, "step": s, "lr": None} for a, s in [(1, 0), (1, 5), (2, 0), (3, 5), (3, 9)]]
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"attempt": 3, "st')
    write_json(folder.status, {"attempt": 3, "origin": 2})
    found = mirror.rows(folder)
    assert [mirror.place(row) for row in found] == [(2, 0), (3, 5), (3, 9)]
    assert all(row["lr"] != row["lr"] for row in found), "null was not finite"
    assert [mirror.place(row) for row in mirror.missing(found, {(3, 5)})] == [(2, 0), (3, 9)]


def test_equal_records_have_equal_names_and_others_have_not():
    assert mirror.digest([{"a": 1, "b": 2}]) == mirror.digest([{"b": 2, "a": 1}])
    assert mirror.digest([1], [2]) != mirror.digest([1, 2])
    assert mirror.digest({"error": 0.1}) != mirror.digest({"error": 0.10000000000000002})
