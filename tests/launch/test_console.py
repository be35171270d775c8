"""What a sweep says: runs of one name are told apart; on a terminal also that it is starting."""

import io
from dataclasses import replace

import pytest
from rich.console import Console as Terminal

from reslab.launch.compose import compose
from reslab.launch.console import Console
from reslab.launch.freeze import Freezer

WAITS = "torch and the data are loaded first"


def jobs(tmp_path, *points):
    words = ("depth=8", "shortcut=none", f"outputs={tmp_path}")
    made = [Freezer("test").job(*compose("train", [*words, *point]), tuple(point)) for point in points]
    return {(job.cell, job.seed): job for job in made}


def table(found):
    console = Console(Terminal(file=io.StringIO(), width=200))
    console.wide = console.out
    console.table(found, dict.fromkeys(found, "not started"))
    return console.out.file.getvalue().splitlines()


def test_runs_of_one_name_are_told_apart(tmp_path):
    points = [("recipe.lr=0.01", "recipe.steps=20"), ("recipe.lr=0.05", "recipe.steps=40")]
    heads, *rows = table(jobs(tmp_path, *points))
    assert heads.split()[:5] == ["run", "cell", "lr", "steps", "seed"]
    assert [row.split()[2:4] for row in rows[:2]] == [["0.01", "20"], ["0.05", "40"]]


def test_what_all_have_in_common_has_no_column(tmp_path):
    heads, *_ = table(jobs(tmp_path, ("seed=0",), ("seed=1",)))
    assert heads.split()[:3] == ["run", "cell", "seed"]


@pytest.mark.parametrize(("terminal", "pending", "says"), [(True, 1, True), (True, 0, False), (False, 1, False)])
def test_the_first_wait_is_told_on_a_terminal_alone(tmp_path, terminal, pending, says):
    (job,) = jobs(tmp_path, ()).values()
    out = Terminal(file=io.StringIO(), width=200, force_terminal=terminal)
    Console(out).header([replace(job)], [job][:pending])
    assert (WAITS in out.file.getvalue()) is says
