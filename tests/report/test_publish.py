"""The lab notebook: complete or not at all, of a commit or not at all, without local paths."""

import json
import re
import subprocess

import polars as pl
import pytest

from report.synthetic import HTML, Grid, write_records
from reslab.analysis.wording import net
from reslab.commands import report


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of one's own, made a repository with one commit."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.py").write_text("one = 1\n")
    for words in (["init", "-q"], ["add", "code.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=tmp_path, check=True)
    return tmp_path


def publish():
    return report.main(["experiment=toy", "publish=true"])


def test_the_notebook_says_all(place, capsys):
    write_records(place / "outputs", grid=Grid(question=f"why? {HTML}"))
    assert publish() == 0
    folder = place / "experiments" / "toy"
    text = (folder / "README.md").read_text()
    titles = re.findall(r"^## (\w+)", text, re.M)
    assert titles == ["Question", "Prediction", "Verdict", "Protocol", "Result"]
    assert "<script" not in text
    assert "plain nets degrade" in text  # the prediction
    training = "optimiser sgd (momentum 0.9); weight decay 0.0001 on conv; schedule constant; "
    assert training + "warm-up 20 steps at 0.1 x lr; augmentation pad 4" in text
    for said in ("versions", "hardware", "torch 2.13.0", "momentum"):
        assert text.lower().count(said) == 1, said  # once, since all runs agree
    for said in ("reslab train experiment=toy", "torch 2.13.0", "0123456789ab", "AVX512", "0.25 points", "n = 3, 5, 8"):
        assert said in text
    gaps = pl.read_csv(folder / "gaps.csv")
    for row in gaps.iter_rows(named=True):  # the table of the notebook says what the CSV says
        shown = f"{row['gap_points']:+.2f} \\[{row['lower_points']:+.2f}, {row['upper_points']:+.2f}\\]"
        line = f"| {net(row['shortcut'])} | {row['depth']} | {row['against']} | {row['n']} | {shown} |"
        assert f"{line} {row['verdict']} |" in text  # the verdict
        levels = f"{row['lower_level']:.2g} / {row['upper_level']:.2g}"
        assert f"{line} {levels} | {row['verdict']} |" in text  # the result
    linked = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert "figures/depth.png" in linked
    for path in linked:
        assert (folder / path).read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in (folder / "figures").iterdir()} == {path.removeprefix("figures/") for path in linked}
    results = pl.read_csv(folder / "results.csv")
    assert len(results) == 18
    for file in [*folder.glob("*.csv"), folder / "README.md"]:
        assert str(place) not in file.read_text()
    said = capsys.readouterr().out
    assert "experiments/toy/README.md" in said.replace("\n", "")


def test_published_twice_is_the_same(place):
    write_records(place / "outputs")
    assert publish() == 0
    before = {path: path.read_bytes() for path in (place / "experiments").rglob("*") if path.is_file()}
    stale = place / "experiments" / "toy" / "figures" / "budget.png"
    stale.write_bytes(b"of another day")
    assert publish() == 0
    assert {path: path.read_bytes() for path in (place / "experiments").rglob("*") if path.is_file()} == before


def test_an_incomplete_plan_is_refused(place):
    write_records(place / "outputs", grid=Grid(fates=(("none", 8, 0, None), ("none", 8, 1, None))))
    with pytest.raises(ValueError, match=r"2 of 18 planned runs of toy have not ended.*reslab train experiment=toy"):
        publish()
    assert not (place / "experiments").exists()
    assert not (place / "outputs" / "reports").exists()


def test_failures_are_results_and_can_be_published(place):
    write_records(place / "outputs", grid=Grid(fates=(("none", 56, 0, "diverged"), ("none", 56, 1, "failed"))))
    assert publish() == 0
    assert "1 diverged, 1 failed" in (place / "experiments" / "toy" / "README.md").read_text()


@pytest.mark.parametrize("change", ["changed", "untracked"])
def test_a_tree_with_changes_is_refused(place, change):
    write_records(place / "outputs")
    name = {"changed": "code.py", "untracked": "new.py"}[change]
    (place / name).write_text("two = 2\n")
    with pytest.raises(ValueError, match=rf"{name}.*commit"):
        publish()
    assert not (place / "experiments").exists()
    assert not (place / "outputs" / "reports").exists()


def test_the_refusal_looks_at_the_whole_repository(place, monkeypatch):
    below = place / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    write_records(below / "outputs")
    (place / "code.py").write_text("two = 2\n")
    with pytest.raises(ValueError, match=r"code\.py"):
        publish()


@pytest.mark.parametrize("begun", [False, True])
def test_without_a_commit_nothing_is_published(tmp_path, monkeypatch, begun):
    monkeypatch.chdir(tmp_path)
    if begun:
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    write_records(tmp_path / "outputs")
    with pytest.raises(ValueError, match="git init and commit first"):
        publish()
    assert not (tmp_path / "experiments").exists()
    assert not (tmp_path / "outputs" / "reports").exists()


def test_versions_are_told_apart_where_they_differ(place):
    """What is equal is said once; a table holds the rest."""
    write_records(place / "outputs")
    file = next(place.glob("outputs/runs/*-none-d8-*/seed=0/result.json"))
    result = json.loads(file.read_text())
    file.write_text(json.dumps(result | {"versions": result["versions"] | {"torch": "9.9"}}))
    assert publish() == 0
    text = (place / "experiments" / "toy" / "README.md").read_text()
    assert "Versions: reslab 0.1.0." in text
    assert "| reslab train experiment=toy | torch 9.9 | 1 | plain |" in text


def test_watching_ends_when_all_have_ended(place, monkeypatch, capsys):
    """The second look finds the last run; the page then no longer renews itself."""
    grid = Grid(seeds=1)
    write_records(place / "outputs", grid=Grid(seeds=1, fates=(("none", 8, 0, None),)))
    whole = write_records(place / "whole", grid=grid)
    seen = []

    def sleep(seconds):
        page = (place / "outputs/reports/toy/report.html").read_text()
        seen.append(f'content="{seconds}"' in page)
        missing = next((whole / "runs").glob("*-none-d8-*/seed=0"))
        target = place / "outputs" / missing.relative_to(whole)
        target.parent.mkdir(exist_ok=True)
        missing.rename(target)

    monkeypatch.setattr(report.time, "sleep", sleep)
    assert report.main(["experiment=toy", "watch=true"]) == 0
    assert seen == [True]
    said = capsys.readouterr().out
    assert "5 of 6 runs" in said
    assert "6 of 6 runs" in said
    assert 'http-equiv="refresh"' not in (place / "outputs/reports/toy/report.html").read_text()


def test_ctrl_c_ends_the_watching_cleanly(place, monkeypatch, capsys):
    write_records(place / "outputs", grid=Grid(seeds=1, fates=(("none", 8, 0, None),)))

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report.time, "sleep", interrupt)
    assert report.main(["experiment=toy", "watch=true"]) == 0
    said = capsys.readouterr().out
    assert "stopped watching" in said
    assert "next: reslab train experiment=toy" in said
    assert 'http-equiv="refresh"' not in (place / "outputs/reports/toy/report.html").read_text()
