"""What a user can mend is told in one sentence; a defect of ours keeps its trace."""

import errno
import os

import pytest

from reslab.launch.errors import explain
from reslab.runs.plan import NoRunsError


def raised(code, *place):
    return OSError(code, os.strerror(code), *place)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (errno.EROFS, "cannot be written (Read-only file system)"),
        (errno.ENOSPC, "cannot be written (No space left on device)"),
        (errno.ENOTDIR, "cannot be written (Not a directory)"),
        (errno.EEXIST, "cannot be written (File exists)"),
        (errno.EACCES, "cannot be read or written (Permission denied)"),
        (errno.EISDIR, "cannot be read or written (Is a directory)"),
    ],
)
def test_a_place_that_cannot_be_used(code, why):
    said = explain(raised(code, "outputs/reports"), "report", [])
    assert said == f"outputs/reports {why}; use outputs=FOLDER with another folder"


def test_a_full_disk_names_no_file():
    said = explain(raised(errno.ENOSPC), "report", [])
    assert said == "a record cannot be written (No space left on device); use outputs=FOLDER with another folder"


def test_a_file_that_is_not_there():
    assert explain(raised(errno.ENOENT, "x"), "report", []) == "x cannot be read (No such file or directory)"
    assert explain(FileNotFoundError("our own sentence"), "train", []) == "our own sentence"


@pytest.mark.parametrize("error", [raised(errno.ECONNREFUSED), RuntimeError("no"), KeyError("x"), OSError("no")])
def test_what_a_user_cannot_mend_is_not_explained(error):
    assert explain(error, "report", []) is None


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("nope", "; experiments that can be trained: "),
        ("degradation_digits", "; to make them: reslab train experiment=degradation_digits"),
    ],
)
def test_an_experiment_without_runs(tmp_path, name, end):
    said = explain(NoRunsError(tmp_path, name), "report", [])
    assert said.startswith(f"no runs of experiment={name} in {tmp_path}; it has none{end}")
    assert "degradation_digits" in said
