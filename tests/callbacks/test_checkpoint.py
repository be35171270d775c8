"""Checkpoints: whole or not at all, and the newest that can be read."""

import os
import signal

import pytest
import torch

from reslab.callbacks.checkpoint import replace, usable


def lightning(step):
    """What counts as a checkpoint of a running run."""
    return {"global_step": step, "state_dict": {"w": torch.full((100,), float(step))}, "optimizer_states": [{}]}


def save(folder, step, keep=True):
    previous = folder / "previous.ckpt" if keep else None
    replace(folder / "last.ckpt", lambda path: torch.save(lightning(step), path), keep=previous)


def step_of(path):
    return torch.load(path, weights_only=True)["global_step"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_old_one_becomes_the_previous_one(tmp_path):
    folder = tmp_path / "new" / "checkpoints"
    for step in (1, 2, 3):
        save(folder, step)
    assert names(folder) == ["last.ckpt", "previous.ckpt"]
    assert (step_of(folder / "last.ckpt"), step_of(folder / "previous.ckpt")) == (3, 2)


def test_without_keep_the_old_one_goes(tmp_path):
    for step in (1, 2):
        save(tmp_path, step, keep=False)
    assert names(tmp_path) == ["last.ckpt"]
    assert step_of(tmp_path / "last.ckpt") == 2


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), ValueError("x")])
def test_a_writer_that_fails_leaves_everything_as_it_was(tmp_path, error):
    save(tmp_path, 1)
    save(tmp_path, 2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(path):
        path.write_bytes(b"half of it")
        raise error

    with pytest.raises(type(error)):
        replace(tmp_path / "last.ckpt", fail, keep=tmp_path / "previous.ckpt")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_writer_that_fails_before_it_begins(tmp_path):
    def fail(path):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        replace(tmp_path / "last.ckpt", fail)
    assert names(tmp_path) == []


def test_nothing_under_the_name_until_it_is_written(tmp_path):
    save(tmp_path, 1)

    def look(path):
        assert path != tmp_path / "last.ckpt"
        assert path.parent == tmp_path  # the same file system: a rename is atomic
        assert step_of(tmp_path / "last.ckpt") == 1
        torch.save(lightning(2), path)

    replace(tmp_path / "last.ckpt", look, keep=tmp_path / "previous.ckpt")
    assert step_of(tmp_path / "last.ckpt") == 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_kill_in_the_middle_of_a_write(tmp_path):
    """The process dies by SIGKILL while half of the bytes are on disk: the old one is still used."""
    save(tmp_path, 1)

    def die(path):
        path.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            replace(tmp_path / "last.ckpt", die, keep=tmp_path / "previous.ckpt")
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert names(tmp_path) == ["last.ckpt", "last.tmp"]
    found, problems = usable(tmp_path)
    assert (found, problems) == (tmp_path / "last.ckpt", [])
    assert step_of(found) == 1
    save(tmp_path, 2)  # what the killed one left behind is no hindrance
    assert names(tmp_path) == ["last.ckpt", "previous.ckpt"]


def test_the_newest_is_used(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    assert usable(tmp_path) == (tmp_path / "last.ckpt", [])


@pytest.mark.parametrize("content", [b"", b"x" * 1000, "half", "cut"])
def test_a_torn_last_falls_back_to_the_previous_with_a_sentence(tmp_path, content):
    save(tmp_path, 1)
    save(tmp_path, 2)
    last = tmp_path / "last.ckpt"
    data = last.read_bytes()
    last.write_bytes({"half": data[: len(data) // 2], "cut": data[:-10]}.get(content, content))
    found, problems = usable(tmp_path)
    assert found == tmp_path / "previous.ckpt"
    assert len(problems) == 1
    assert problems[0].startswith("last.ckpt cannot be used (")
    assert "\n" not in problems[0]
    assert len(problems[0]) < 200


def test_between_the_two_renames_the_previous_one_is_used(tmp_path):
    save(tmp_path, 1)
    (tmp_path / "last.ckpt").rename(tmp_path / "previous.ckpt")
    assert usable(tmp_path) == (tmp_path / "previous.ckpt", [])


def test_none_left(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    for name in ("last.ckpt", "previous.ckpt"):
        (tmp_path / name).write_bytes(b"torn")
    found, problems = usable(tmp_path)
    assert found is None
    assert [problem.split()[0] for problem in problems] == ["last.ckpt", "previous.ckpt"]


def test_none_there(tmp_path):
    assert usable(tmp_path) == (None, [])
    assert usable(tmp_path / "nowhere") == (None, [])


def test_final_weights_of_a_finished_run_are_not_resumed_from(tmp_path):
    torch.save({"schema": 1, "state_dict": {}}, tmp_path / "last.ckpt")
    found, problems = usable(tmp_path)
    assert found is None
    assert "KeyError" in problems[0]


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/marker",)

    torch.save({"optimizer_states": Hostile()}, tmp_path / "last.ckpt")
    found, problems = usable(tmp_path)
    assert found is None
    assert "UnpicklingError" in problems[0]
    assert not (tmp_path / "marker").exists()
