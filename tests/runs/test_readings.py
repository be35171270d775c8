"""Readings on disk: what was added comes back, at any number of writes; what is not ours is refused, in a sentence."""

import math
import os

import polars as pl
import pytest

from reslab.probes.reading import Reading
from reslab.runs.folder import RunFolder
from reslab.runs.readings import COLUMNS, Readings, read_readings, readings_file
from reslab.runs.studies import read_study


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def test_they_come_back_as_they_were_added(folder):
    kept = Readings(folder, "abc-s0", until=-1)
    kept.add(0, "p/train", [Reading("trunk", "a", 1.5, None), Reading("stem", "b", math.nan, 0.25)])
    kept.write()
    kept.add(3, "p/train", [Reading("trunk", "a", math.inf, None)])
    kept.write()
    rows = read_readings(folder)
    assert tuple(rows.columns) == COLUMNS
    assert rows.drop("value").rows() == [
        ("abc-s0", 0, "p/train", "trunk", "a", None),
        ("abc-s0", 0, "p/train", "stem", "b", 0.25),
        ("abc-s0", 3, "p/train", "trunk", "a", None),
    ]
    assert rows["value"][0] == 1.5
    assert math.isnan(rows["value"][1])
    assert rows["value"][2] == math.inf
    assert [path.name for path in readings_file(folder).parent.iterdir()] == ["readings.parquet"]


def test_what_an_earlier_attempt_measured_later_is_measured_again(folder):
    first = Readings(folder, "abc-s0", until=-1)
    for step in (0, 5, 8):
        first.add(step, "p/train", [Reading("trunk", "a", float(step), None)])
    first.write()
    again = Readings(folder, "abc-s0", until=5)
    again.add(8, "p/train", [Reading("trunk", "a", 8.0, None)])
    again.write()
    assert read_readings(folder)["step"].to_list() == [0, 5, 8]


def test_nothing_measured_is_an_empty_table_and_no_file(folder):
    Readings(folder, "abc-s0", until=-1).write()
    assert not readings_file(folder).exists()
    assert read_readings(folder).is_empty()
    assert read_study(folder, "lesion").is_empty()


@pytest.mark.parametrize("kind", ["torn", "empty", "other columns", "link"])
def test_what_is_no_such_file_is_refused_and_a_run_goes_on_without_it(folder, tmp_path, kind, capsys):
    file = readings_file(folder)
    file.parent.mkdir()
    pl.DataFrame({"step": [1]}).write_parquet(file)
    if kind == "torn":
        file.write_bytes(file.read_bytes()[:-9])
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "link":
        file.rename(tmp_path / "elsewhere.parquet")
        os.symlink(tmp_path / "elsewhere.parquet", file)
    with pytest.raises(ValueError, match=r"readings\.parquet cannot be read"):
        read_readings(folder)
    assert Readings(folder, "abc-s0", until=5).rows == []
    assert "its readings up to step 5 are lost" in capsys.readouterr().out
