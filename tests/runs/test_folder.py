"""A run on disk: atomic records, and a lock that dies with its process."""

import json
import signal
import subprocess
import sys

import pytest

from reslab.runs.folder import RunFolder, read_json, write_json

HOLDER = """
import sys, time
from pathlib import Path
from reslab.runs.folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked() as mine:
    print(mine, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that asks for the lock of `tmp_path`, says whether it got it, and keeps it until a line comes."""
    made = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        made.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in made:
        process.kill()
        process.communicate()


def test_names_of_files(tmp_path):
    folder = RunFolder(tmp_path)
    names = ("config", "status", "metrics", "result", "checkpoints", "log")
    found = [getattr(folder, name) for name in names]
    assert [path.name for path in found] == [
        *("config.yaml", "status.json", "metrics.jsonl", "result.json", "checkpoints", "log.txt")
    ]
    assert {path.parent for path in found} == {tmp_path}


def test_the_lock_makes_the_folder_and_can_be_had_again(tmp_path):
    folder = RunFolder(tmp_path / "a" / "seed=0")
    for _ in range(2):
        with folder.locked() as mine:
            assert mine is True
            assert folder.path.is_dir()


def test_one_holder_at_a_time_in_one_process(tmp_path):
    folder = RunFolder(tmp_path)
    with folder.locked() as first, folder.locked() as second:
        assert (first, second) == (True, False)
    with folder.locked() as third:
        assert third


def test_an_exception_lets_go(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(RuntimeError), folder.locked():
        raise RuntimeError
    with folder.locked() as mine:
        assert mine


def test_held_by_another_process_until_it_is_killed(tmp_path, holder):
    process, said = holder()
    assert said == "True"
    with RunFolder(tmp_path).locked() as mine:
        assert mine is False
    process.send_signal(signal.SIGKILL)
    process.wait()
    with RunFolder(tmp_path).locked() as mine:
        assert mine is True
        _, other = holder()
        assert other == "False"


def test_folders_have_locks_of_their_own(tmp_path):
    with RunFolder(tmp_path / "a").locked() as one, RunFolder(tmp_path / "b").locked() as other:
        assert one
        assert other


def test_a_record_comes_back_with_its_schema(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"outcome": "trained", "x": 0.1})
    assert read_json(path) == {"schema": 1, "outcome": "trained", "x": 0.1}
    assert path.read_text().endswith("}\n")
    assert [found.name for found in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("bad", [{"x": float("nan")}, {"x": object()}, {"x": float("inf")}])
def test_what_cannot_be_written_leaves_the_old_record(tmp_path, bad):
    path = tmp_path / "result.json"
    write_json(path, {"x": 1})
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"first": 1, **bad})
    assert read_json(path) == {"schema": 1, "x": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("text", ["", "{", '{"a": 1', "[1]", "null", "3", "\x00"])
def test_torn_records_are_none(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    assert read_json(path) is None


def test_no_record_is_none(tmp_path):
    assert read_json(tmp_path / "nothing.json") is None
    assert read_json(tmp_path) is None
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    assert read_json(tmp_path / "binary.json") is None


def test_readers_see_a_whole_record_at_any_moment(tmp_path):
    """One process rewrites, this one reads: never None, never half."""
    path = tmp_path / "status.json"
    write_json(path, {"n": 0, "pad": "x" * 20000})
    script = (
        "import sys\nfrom pathlib import Path\nfrom reslab.runs.folder import write_json\n"
        "for n in range(100): write_json(Path(sys.argv[1]), {'n': n, 'pad': 'x' * 20000})\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(path)])
    seen = set()
    while writer.poll() is None:
        found = json.loads(path.read_text())
        assert len(found["pad"]) == 20000
        seen.add(found["n"])
    assert writer.returncode == 0
    assert read_json(path)["n"] == 99


def test_what_a_killed_process_had_begun_is_cleared(tmp_path):
    folder = RunFolder(tmp_path / "seed=0")
    (folder.path / "probes").mkdir(parents=True)
    begun = [folder.path / ".status.json.123", folder.path / ".config.7", folder.path / "probes" / ".lesion.parquet.45"]
    kept = [folder.status, folder.path / ".lock", folder.path / ".hidden", folder.path / "probes" / "lesion.parquet"]
    for path in (*begun, *kept):
        path.touch()
    folder.clear_unfinished()
    assert not any(path.exists() for path in begun)
    assert all(path.exists() for path in kept)
