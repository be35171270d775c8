"""`reslab status`: what folders tell, live, for people and for programs."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from reslab.analysis.table import runs
from reslab.commands import status
from reslab.commands.status import main
from reslab.runs.folder import read_json, write_json
from reslab.runs.plan import plan_file, read_plan
from reslab.runs.status import process_identity
from settings import SMALL


@pytest.fixture
def outputs(finished_run, tmp_path, monkeypatch):
    """Outputs with one finished run of the experiment `adhoc`."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(finished_run.parents[2], tmp_path / "outputs"))


def add(outputs, n, name="adhoc"):
    """Plan `n` runs more, of seeds 1, 2, ..., that have not begun."""
    path = plan_file(outputs, "adhoc")
    first = read_plan(path)[0]
    lines = [first | {"seed": s, "folder": first["folder"].replace("seed=0", f"seed={s}")} for s in range(1, n + 1)]
    target = plan_file(outputs, name)
    target.parent.mkdir(exist_ok=True)
    with target.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return [outputs / line["folder"] for line in lines]


def run_now(folder, **facts):
    folder.mkdir(parents=True, exist_ok=True)
    said = {"state": "running", "heartbeat": time.time(), "step": 6, "steps": 12, "rate": 2.0, **facts}
    write_json(folder / "status.json", {**process_identity(), **said})


def test_one_experiment(outputs, capsys):
    running, _ = add(outputs, 2)
    run_now(running)
    assert main(["experiment=adhoc"]) == 0
    said = capsys.readouterr().out
    assert "adhoc · 1 of 3 runs, 1 running, 1 new" in said
    line = next(line for line in said.splitlines() if line.startswith("running"))
    assert "6/12" in line
    assert "ago" in line
    assert "128" in line  # 2 steps a second of 64 images
    assert re.search(r"~\d+s$", line.strip())  # how many is measured: see tests/runs/test_overview.py


def test_runs_of_one_name_are_told_apart(outputs, capsys):
    path = plan_file(outputs, "adhoc")
    first = read_plan(path)[0]
    changes = {"cell": "f" * 64, "lr": 0.0125, "folder": "runs/other/seed=0"}
    with path.open("a") as file:
        file.write(json.dumps(first | changes) + "\n")
    assert main(["experiment=adhoc"]) == 0
    _, heads, *rows = capsys.readouterr().out.splitlines()
    assert heads.split()[:5] == ["state", "run", "cell", "lr", "seed"]
    assert [row.split()[3] for row in rows[:2]] == ["0.1", "0.0125"]


def test_an_interrupted_run_is_where_its_checkpoint_is(outputs, capsys):
    """Not where its last heartbeat was, which may be before or after it."""
    folders = add(outputs, 2)
    for folder in folders:
        run_now(folder, state="interrupted", step=9)
    (folders[0] / "checkpoints").mkdir()
    torch.save({"global_step": 10}, folders[0] / "checkpoints/last.ckpt")
    assert main(["experiment=adhoc"]) == 0
    steps = [line.split()[4] for line in capsys.readouterr().out.splitlines() if line.startswith("interrupted")]
    assert steps == ["10/12", "0/12"]


def test_a_run_after_its_last_step(outputs, capsys):
    run_now(add(outputs, 1)[0], step=12)
    assert main(["experiment=adhoc"]) == 0
    assert "final evaluation" in capsys.readouterr().out


def test_without_a_name_every_experiment(outputs, capsys):
    add(outputs, 3, name="second")
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 runs" in said
    assert "0 of 3 runs, 3 new" in said
    assert main(["format=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["experiment"], one["total"], one["ended"]) for one in found] == [("adhoc", 1, 1), ("second", 3, 0)]


def test_without_any_experiment(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert "reslab train experiment=degradation_digits" in capsys.readouterr().out
    assert main(["format=json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert list(tmp_path.iterdir()) == []


def test_json_holds_what_the_table_shows(outputs, capsys):
    run_now(add(outputs, 2)[0])
    assert main(["experiment=adhoc", "format=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"trained": 1, "running": 1, "new": 1}
    assert [run["state"] for run in found["runs"]] == ["trained", "running", "new"]
    assert found["runs"][1]["steps_per_second"] == 2.0
    assert found["runs"][0]["step"] == 12


def test_many_runs_are_summed_up_by_cell(outputs, capsys):
    folders = add(outputs, 60)
    run_now(folders[7])
    assert main(["experiment=adhoc"]) == 0
    said = capsys.readouterr().out
    assert "1 of 61 runs, 1 running, 59 new" in said
    rows = [line for line in said.splitlines() if "basic-post" in line]
    assert len(rows) == 2  # the cell, and the run that runs


def test_an_edited_run_is_told_with_what_to_do(outputs, capsys):
    config = outputs / read_plan(plan_file(outputs, "adhoc"))[0]["folder"] / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.1", "lr: 0.3"))
    assert main(["experiment=adhoc"]) == 0
    said = capsys.readouterr().out
    assert "0 of 1 runs, 1 edited" in said
    assert "config.yaml gives cell" in said
    assert "delete their folders" in said


def test_html_and_markup_in_a_name_stay_text(outputs, capsys):
    path = plan_file(outputs, "adhoc")
    path.write_text(path.read_text().replace('"label": "basic', '"label": "[red]<b>basic'))
    assert main(["experiment=adhoc"]) == 0
    assert "[red]<b>basic" in capsys.readouterr().out


@pytest.mark.parametrize("foreign", ["adhoc", "second"])
def test_a_plan_of_another_schema(outputs, capsys, foreign):
    add(outputs, 1, name="second")
    path = plan_file(outputs, foreign)
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 9'))
    with pytest.raises(ValueError, match="has schema 9, this version reads 1"):
        main([f"experiment={foreign}"])
    assert main([]) == 0
    said = capsys.readouterr()
    assert "has schema 9" in said.err
    assert {"adhoc": "second", "second": "adhoc"}[foreign] in said.out


@pytest.mark.parametrize("spoil", ["folder", "line"])
def test_a_plan_that_cannot_be_read(outputs, capsys, spoil):
    """The list of all goes on with the others."""
    add(outputs, 1, name="second")
    path = plan_file(outputs, "second")
    said = "lacks depth: written by another version or edited"
    if spoil == "line":
        path.write_text(path.read_text().replace('"depth"', '"deep"'))
    else:
        path.unlink()
        path.mkdir()
        said = "cannot be read (Is a directory)"
    with pytest.raises(ValueError, match=re.escape(said)):
        main(["experiment=second"])
    assert main([]) == 0
    told = capsys.readouterr()
    assert said in told.err
    assert "adhoc" in told.out


@pytest.mark.parametrize("name", ["result.json", "status.json", "metrics.jsonl"])
def test_status_and_report_say_the_same_of_another_schema(outputs, capsys, name):
    (folder,) = add(outputs, 1)
    folder.mkdir(parents=True)
    (folder / name).write_text('{"schema": 2, "state": "running", "step": 0, "attempt": 1}\n')
    assert main(["experiment=adhoc", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][1]["state"] == "other schema"
    assert runs(outputs, "adhoc")["state"].to_list() == ["ended", "other schema"]


def test_a_plan_with_a_torn_last_line(outputs, capsys):
    add(outputs, 2)
    path = plan_file(outputs, "adhoc")
    path.write_bytes(path.read_bytes()[:-40])
    assert main(["experiment=adhoc"]) == 0
    assert "1 of 2 runs" in capsys.readouterr().out


def test_watching_ends_with_the_last_run(outputs, capsys, monkeypatch):
    """Lines without a terminal: one at the start, one when something changed, then the end."""
    (folder,) = add(outputs, 1)
    first = outputs / read_plan(plan_file(outputs, "adhoc"))[0]["folder"]
    run_now(folder)

    def finish():
        shutil.copy(first / "config.yaml", folder / "config.yaml")
        text = (folder / "config.yaml").read_text()
        (folder / "config.yaml").write_text(text.replace("\nseed: 0\n", "\nseed: 1\n"))
        write_json(folder / "result.json", read_json(first / "result.json") | {"seed": 1})

    looks = iter([lambda: None, finish])  # what happens between two looks
    monkeypatch.setattr(status.time, "sleep", lambda seconds: next(looks)())
    assert main(["experiment=adhoc", "watch=true"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("adhoc · 1 of 2 runs, 1 running")
    assert lines[1] == "adhoc · 2 of 2 runs"


def test_watching_on_a_terminal(outputs, monkeypatch):
    """On a terminal the table is drawn anew; a finished experiment ends it at once."""
    command = [sys.executable, "-m", "reslab", "status", "experiment=adhoc", "watch=true"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=outputs.parent)
    said = b""
    while process.poll() is None or select.select([ours], [], [], 0.2)[0]:
        if select.select([ours], [], [], 0.2)[0]:
            said += os.read(ours, 65536)
    assert process.returncode == 0
    assert b"1 of 1 runs" in said
    assert b"Traceback" not in said


@pytest.mark.real("SIGINT to a watching command")
def test_ctrl_c_is_clean(outputs):
    run_now(add(outputs, 1)[0])
    command = [sys.executable, "-m", "reslab", "status", "experiment=adhoc", "watch=true"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(
        command, cwd=outputs.parent, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}, **pipes
    )
    assert "1 running" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["experiment=adhok"], "did you mean adhoc?"),
        (["experiment=zzz"], "it has adhoc; experiments that can be trained: "),
        (["experiment=shortcuts_digits"], "it has adhoc; to make them: reslab train experiment=shortcuts_digits"),
        (["experiment=../x"], "is not a name"),
        (["format=xml"], "it is text (for people) or json (for programs)"),
        (["experiment=adhoc", "watch=true", "format=json"], "watch=true shows one experiment"),
        (["watch=true"], "watch=true shows one experiment"),
        (["watch=maybe"], "watch=maybe is not true or false"),
        (["experimnt=adhoc"], "did you mean experiment?"),
    ],
)
def test_nonsense(outputs, words, said):
    done = subprocess.run(
        [sys.executable, "-m", "reslab", "status", *words],
        cwd=outputs.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_sweep_seen_by_status_is_the_sweep_that_ran(train, capsys):
    assert train(*SMALL, "seed=0,1") == 0
    capsys.readouterr()
    assert main(["experiment=adhoc", "format=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ended"] == 2
    for run in found["runs"]:
        result = read_json(Path(run["folder"]) / "result.json")
        assert run["state"] == result["outcome"]
        assert run["images_per_second"] == pytest.approx(result["images_per_second"], abs=0.5)
