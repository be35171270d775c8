"""Commands that go on with runs: as they were given, from whichever folder."""

import shlex

import pytest

from reslab.runs.commands import again, folder_words, with_seeds

GIVEN = "reslab train experiment=mine recipe.steps=20"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "other"


def test_the_default_folder_needs_no_word(elsewhere):
    assert folder_words(elsewhere.parent / "outputs") == []
    assert folder_words(elsewhere) == [f"outputs={elsewhere}"]


def test_commands_are_said_once_and_with_the_folder_where_they_lack_it(elsewhere):
    named = f"{GIVEN} outputs=x"
    assert again([GIVEN, named, GIVEN], "mine", elsewhere) == [f"{GIVEN} outputs={elsewhere}", named]
    assert again([GIVEN], "mine", elsewhere.parent / "outputs") == [GIVEN]


def test_an_old_plan_has_the_command_of_its_experiment_if_any(elsewhere):
    outputs = elsewhere.parent / "outputs"
    assert again([None], "mine", outputs) == ["reslab train experiment=mine"]
    assert again([GIVEN, None], "mine", outputs) == ["reslab train experiment=mine", GIVEN]
    assert again([None], "adhoc", outputs) == []


@pytest.mark.parametrize("seeds", ["", " seed=0", " seed=0,1", " 'seed=range(0,3)'", " ++seed=4"])
def test_other_seeds_replace_those_that_were_given(seeds):
    assert shlex.split(with_seeds(f"{GIVEN}{seeds} 'net.name=a b'", 5)) == [
        *GIVEN.split(),
        "net.name=a b",
        "seed=range(0,5)",
    ]
