"""What to run next: the commands that planned what is missing, else the seeds of the next declared look."""

import shlex
from dataclasses import replace

import polars as pl
import pytest

from report.synthetic import Grid, write_records
from reslab.analysis.answer import answer
from reslab.report.evidence import FEW, Next, following
from reslab.report.names import plainly, shorter
from reslab.report.panels import PANELS
from reslab.report.recipe import training


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs"


def test_missing_runs_name_the_command_that_planned_them(here):
    command = "reslab train experiment=toy recipe.steps=230 seed=0,1,2"
    answered = answer(write_records(here, grid=Grid(fates=(("none", 8, 0, None),), command=command)), "toy")
    assert following(answered, here).commands == (command,)
    elsewhere = following(answered, here.parent / "moved")
    assert elsewhere.commands == (f"{command} outputs={here.parent / 'moved'}",)


def test_missing_runs_of_an_old_plan_have_the_general_command(here):
    answered = answer(write_records(here, grid=Grid(fates=(("none", 8, 0, None),))), "toy")
    assert following(answered, here).commands == ("reslab train experiment=toy",)


def undecided(answered, n):
    gaps = answered.gaps.with_columns(verdict=pl.lit("undecided"), n_now=pl.lit(n, dtype=pl.Int64))
    return replace(answered, gaps=gaps)


@pytest.mark.parametrize(("n", "look"), [(1, 3), (3, 5), (4, 5), (5, 8), (8, None)])
def test_undecided_verdicts_lead_to_the_next_look(here, n, look):
    answered = undecided(answer(write_records(here), "toy"), n)
    ahead = following(answered, here)
    if look is None:
        assert ahead is None
    else:
        assert ahead.commands == (f'reslab train experiment=toy "seed=range(0,{look})"',)
        assert f"n = {look} seeds" in ahead.reason


def test_the_next_look_keeps_all_that_was_asked_for_but_the_seeds(here):
    words = ["reslab", "train", "experiment=toy", "recipe.steps=20", "outputs=elsewhere"]
    command = shlex.join([*words, "seed=range(0,3)"])
    answered = undecided(answer(write_records(here, grid=Grid(command=command)), "toy"), 3)
    (again,) = following(answered, here).commands
    assert shlex.split(again) == [*words, "seed=range(0,5)"]


def test_nothing_follows_where_all_is_decided_or_seeds_tune(here):
    answered = undecided(answer(write_records(here), "toy"), 3)
    decided = answered.gaps.with_columns(verdict=pl.lit("degrades"))
    assert following(replace(answered, gaps=decided), here) is None
    assert following(replace(answered, study=replace(answered.study, tuning_seeds=(0,))), here) is None


def test_many_commands_are_counted():
    many = Next("", tuple(f"c{i}" for i in range(FEW + 2)))
    assert len(many.first) == FEW + 1
    assert "2 more" in many.first[-1]
    assert Next("", ("a",)).first == ("a",)


def test_contexts_leave_out_what_all_say():
    assert shorter(["230 steps, lr 0.1", "3,450 steps, lr 0.1"]) == {
        "230 steps, lr 0.1": "230 steps",
        "3,450 steps, lr 0.1": "3,450 steps",
    }
    assert shorter(["230 steps, lr 0.1"]) == {"230 steps, lr 0.1": "230 steps, lr 0.1"}


def test_states_in_words():
    assert plainly("2 new, 1 at_chance, 1 renewed") == "2 not started, 1 at chance, 1 renewed"


def test_training_is_said_once_where_it_is_the_same(here):
    answered = answer(write_records(here, grid=Grid(steps=(230, 920))), "toy")
    said = training(answered.runs)
    assert said[0] == "optimiser sgd (momentum 0.9)"
    assert "warm-up 20 steps at 0.1 x lr" in said
    assert training(answered.runs.with_columns(folder=pl.lit("/nowhere"))) == []


def test_no_readable_table_speaks_in_flags_or_record_words(here):
    grid = Grid(steps=(230, 920), fates=(("none", 56, 0, "at_chance"), ("none", 8, 0, None)))
    answered = answer(write_records(here, grid=grid), "toy")
    for panel in PANELS:
        made = panel.draw(answered)
        if made is None or made.shown is None:
            continue
        said = made.shown.drop("folder", "command", strict=False)
        words = " ".join(str(value) for row in said.iter_rows() for value in row)
        for bad in ("at_chance", "True", "False", "true", "false", "none"):
            assert bad not in words.split(), (panel.key, bad)
