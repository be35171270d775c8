"""Links in an outputs folder that others can write to: nothing is written through them."""

import os

import pytest

from reslab.runs.folder import RunFolder, append, file_name, write_json
from reslab.runs.plan import add_to_plan, experiments, plan_file
from reslab.runs.record import Rows
from runs.lines import line
from settings import SMALL


@pytest.fixture
def elsewhere(tmp_path):
    """A file of somebody's that must stay as it is."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "kept").write_text("mine")
    yield folder
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("kept", "mine")]


@pytest.mark.parametrize("name", ["label", "label/seed=0", "label/seed=0/checkpoints"])
def test_a_run_folder_that_leads_elsewhere_is_not_taken(tmp_path, elsewhere, name):
    path = tmp_path / "runs" / name
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    run = RunFolder(tmp_path / "runs/label/seed=0")
    if name == "label":
        (elsewhere / "seed=0").mkdir()
    try:
        with pytest.raises(OSError, match="it is a link; a run writes into its own folder alone"), run.locked():
            pytest.fail("taken")
    finally:
        if name == "label":
            (elsewhere / "seed=0").rmdir()


@pytest.mark.parametrize("name", ["log.txt", "metrics.jsonl", "status.json", "result.json", ".lock", "rank1.log"])
def test_a_file_that_leads_elsewhere_is_not_written(tmp_path, elsewhere, name):
    run = RunFolder(tmp_path / "runs/label/seed=0")
    run.path.mkdir(parents=True)
    (run.path / name).symlink_to(elsewhere / "kept")
    with pytest.raises(OSError, match="it is a link"), run.locked():
        pytest.fail("taken")


def test_nothing_is_appended_through_a_link(tmp_path, elsewhere):
    plan = plan_file(tmp_path, "toy")
    plan.parent.mkdir(parents=True)
    plan.symlink_to(elsewhere / "kept")
    (tmp_path / "metrics.jsonl").symlink_to(elsewhere / "kept")
    (tmp_path / "new").symlink_to(elsewhere / "made")
    for write in (
        lambda: add_to_plan(plan, [line()]),
        lambda: Rows(tmp_path / "metrics.jsonl", 1),
        lambda: append(tmp_path / "new"),
    ):
        with pytest.raises(OSError, match="symbolic links"):
            write()


def test_a_record_is_written_beside_a_link_that_waits_for_it(tmp_path, elsewhere):
    (tmp_path / f".result.json.{os.getpid()}").symlink_to(elsewhere / "kept")
    (tmp_path / "result.json").symlink_to(elsewhere / "kept")
    write_json(tmp_path / "result.json", {"outcome": "failed"})
    assert not (tmp_path / "result.json").is_symlink()


def test_a_sweep_goes_on_where_one_of_its_folders_is_a_link(train, tmp_path, elsewhere, capsys):
    assert train("-m", *SMALL, "seed=0,1", "recipe.steps=2") == 0
    (cell,) = (tmp_path / "outputs/runs").iterdir()
    for seed in (0, 1):
        (cell / f"seed={seed}/result.json").unlink()
    (cell / "seed=0").rename(tmp_path / "moved")
    (cell / "seed=0").symlink_to(elsewhere)
    capsys.readouterr()
    assert train("-m", *SMALL, "seed=0,1", "recipe.steps=2") == 1
    assert "it is a link; a run writes into its own folder alone" in capsys.readouterr().out
    assert (cell / "seed=1/result.json").is_file()


@pytest.mark.parametrize("word", ["../../x", "/etc/passwd", "a\0b", "a/b", "\ud800", None, 5, "x" * 500])
def test_a_word_of_a_config_as_the_name_of_a_file(tmp_path, word):
    made = tmp_path / f"{file_name(word)}.json"
    assert made.parent == tmp_path
    assert made.name.isprintable()
    made.write_text("{}")
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_that_are_no_experiments_are_passed_over(tmp_path):
    for name in ("good", ".hidden", "-x", "a b", "\x1b]0;x\x07", "[bold]"):
        path = tmp_path / "experiments" / name / "plan.jsonl"
        path.parent.mkdir(parents=True)
        path.touch()
    assert experiments(tmp_path) == ["good"]
