"""What an experiment declares is written before its first run, and holds."""

import json
from pathlib import Path

import pytest

from reslab.analysis.study import Study, read_study
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve
from reslab.runs.identity import cell_hash
from settings import SMALL


def test_the_declaration_is_written_before_the_first_run_and_holds(train, capsys):
    assert train(*SMALL, "study.delta=0.5", "study.looks=[2,4]", "study.question=why?") == 0
    path = Path("outputs/experiments/adhoc/study.json")
    assert json.loads(path.read_text())["looks"] == [2, 4]
    folder = next(Path("outputs/runs").glob("*/seed=0"))
    assert path.stat().st_mtime_ns <= (folder / "metrics.jsonl").stat().st_mtime_ns
    capsys.readouterr()
    assert train(*SMALL, "study.delta=1.5", "seed=1") == 0
    said = capsys.readouterr().out
    assert "study.question, study.delta, study.looks: not what adhoc declared before its first run" in said
    assert str(path) in said
    assert read_study(Path("outputs"), "adhoc") == Study(question="why?", delta=0.5, looks=(2, 4))


def test_a_declaration_after_the_fact_says_so(train):
    assert train(*SMALL) == 0
    Path("outputs/experiments/adhoc/study.json").unlink()
    assert train(*SMALL, "seed=0,1") == 0
    assert read_study(Path("outputs"), "adhoc").ended == 1


def test_declaring_names_no_cell():
    one, other = (resolve(*compose("train", words)) for words in ([], ["study.delta=3", "study.depths=[8,20]"]))
    for config in (one, other):
        config["data"]["fingerprint"] = "x"
    assert cell_hash(one) == cell_hash(other)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("study.delta=0", r"study\.delta=0 is not between 0 and 100 points"),
        ("study.looks=[5,3]", r"study\.looks=\[5, 3\] are not rising"),
        ("study.looks=[1,3]", "from 2 on"),
        ("study.looks=[]", "not rising"),
        ("study.depths=[8,8,56]", r"study\.depths=\[8, 8, 56\] are not rising"),
        ("study.tuning_seeds=[-1]", "are not seeds"),
        ("study.shortcuts=[none,none]", "not different names"),
        ("study.published=he2017", r"study\.published=he2017 is unknown; it is he2015"),
    ],
)
def test_nonsense_is_refused(word, said):
    with pytest.raises(ValueError, match=said):
        resolve(*compose("train", [word]))


def test_a_mistyped_key_is_refused():
    with pytest.raises(ValueError, match=r"did you mean study\.looks"):
        compose("train", ["study.look=[3]"])
