"""A run folder that is no longer what was planned is named, whatever was done to it."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from cells import composed
from reslab.runs import integrity
from reslab.runs.folder import RunFolder, read_json, write_json
from reslab.runs.identity import cell_hash
from reslab.runs.integrity import problems


@pytest.fixture
def folder(finished_run, tmp_path):
    return RunFolder(Path(shutil.copytree(finished_run, tmp_path / "copied")))


@pytest.fixture
def entry(finished_run):
    result = read_json(finished_run / "result.json")
    return {"cell": result["cell"], "seed": result["seed"]}


def change(path, **values):
    write_json(path, read_json(path) | values)


def test_a_finished_run_is_whole(folder, entry):
    assert problems(folder, entry) == []


def test_a_run_that_has_not_begun_has_no_problem(tmp_path, entry):
    assert problems(RunFolder(tmp_path / "nowhere"), entry) == []


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"lr: 0\.1", "lr: 0.2"),
        (r"momentum: 0\.9", "momentum: 0.8"),
        (r"depth: 8", "depth: 14"),
        (r"width: 4", "width: 8"),
        (r"shortcut: identity", "shortcut: none"),
        (r"nets\.shortcut\.identity", "nets.shortcut.projection"),
        (r"fingerprint: \w", "fingerprint: x"),
        (r"steps: 12", "steps: 13"),
        (r"images_per_norm: 64", "images_per_norm: 32"),
        (r"fixed_streams: \{\}", "fixed_streams: {init: 3}"),
        (r"callbacks: \{\}", "callbacks: {mine: {_target_: mylab.Mine}}"),
    ],
)
def test_whatever_makes_another_cell_is_seen(folder, entry, pattern, replacement):
    text = folder.config.read_text()
    edited, n = re.subn(pattern, replacement, text)
    assert n
    folder.config.write_text(edited)
    (said,) = problems(folder, entry)
    assert "config.yaml gives cell" in said
    assert entry["cell"][:8] in said


@pytest.mark.parametrize("line", ["checkpoint_every: 5", "jobs: auto", "mode: disabled"])
def test_what_is_only_recorded_is_no_edit(folder, entry, line):
    text = folder.config.read_text()
    assert line in text
    folder.config.write_text(text.replace(line, line.split(":")[0] + ": 7"))
    assert problems(folder, entry) == []


@pytest.mark.parametrize("text", ["", "a: [", "depth: 8\n", "- a\n- b\n", "\x00", "{}", "recipe: 3\ndepth: {a: 1}\n"])
def test_a_config_that_is_none(folder, entry, text):
    folder.config.write_text(text)
    assert problems(folder, entry)


def test_a_config_that_is_not_text_or_gone(folder, entry):
    folder.config.write_bytes(b"\xff\xfe\x00")
    assert problems(folder, entry) == ["config.yaml is not text"]
    folder.config.unlink()
    assert problems(folder, entry) == ["config.yaml is missing: nothing tells what was trained"]


def test_a_result_of_another_run(folder, entry):
    change(folder.result, seed=5)
    assert problems(folder, entry) == [f"result.json is of seed 5 where {entry['seed']} was planned"]
    change(folder.result, seed=entry["seed"], cell="0" * 64)
    assert problems(folder, entry) == [f"result.json is of cell 00000000 where {entry['cell'][:8]} was planned"]


def test_a_whole_folder_of_another_seed(folder, entry):
    said = problems(folder, entry | {"seed": 1})
    assert said == ["config.yaml has seed 0 where 1 was planned", "result.json is of seed 0 where 1 was planned"]


@pytest.mark.parametrize("part", ["train", "test", "validation"])
def test_a_number_typed_by_hand(folder, entry, part):
    score = read_json(folder.result)[part]
    change(folder.result, **{part: score | {"error": score["error"] + 0.01}})
    assert problems(folder, entry) == [f"result.json: {part}.error is not errors / n"]
    change(folder.result, **{part: "good"})
    assert problems(folder, entry) == [f"result.json: {part}.error is not errors / n"]


def test_a_torn_result(folder, entry):
    folder.result.write_text(folder.result.read_text()[:100])
    assert problems(folder, entry) == ["result.json is torn; the run counts as not ended"]


def test_a_failure_has_no_cell_to_compare(folder, entry):
    write_json(folder.result, {"outcome": "failed", "reason": "no"})
    assert problems(folder, entry) == []


@pytest.mark.parametrize("name", ["result.json", "status.json", "metrics.jsonl"])
def test_another_schema(folder, entry, name):
    path = folder.path / name
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.replace('"schema": 1', '"schema": 2') for line in lines))
    (said,) = problems(folder, entry)
    assert said.startswith(f"{name} has schema 2, this version reads 1")


def test_a_torn_last_line_of_metrics_is_no_problem(folder, entry):
    with folder.metrics.open("a") as file:
        file.write('{"schema": 1, "att')
    assert problems(folder, entry) == []


CHOICES = [
    (),
    ("block=keras_bottleneck", "depth=20", "net=keras_v2"),
    ("norm=absent", "init=glorot"),
    ("recipe=keras", "data=synthetic"),
    ("recipe=he2015", "data=synthetic", "depth=110"),
    ("recipe.lr=1e-5", "recipe.weight_decay=0"),
    ("seeds.init=7",),
    ("debug=overfit", "shortcut=none"),
]


@pytest.mark.parametrize("words", CHOICES, ids=" ".join)
def test_the_fast_way_equals_the_slow_one(tmp_path, words):
    """Sections alone, read by PyYAML, against the whole file read by OmegaConf."""
    config = composed(*words)
    config = config | {"data": config["data"] | {"fingerprint": "0e12"}}  # a text that looks like a number
    path = tmp_path / "config.yaml"
    OmegaConf.save(OmegaConf.create(config), path)
    slow = cell_hash(OmegaConf.to_container(OmegaConf.load(path)))
    assert slow == cell_hash(config)
    assert problems(RunFolder(tmp_path), {"cell": slow, "seed": config["seed"]}) == []


def test_sections_put_together_are_the_file(finished_run):
    text = (finished_run / "config.yaml").read_text()
    sections = integrity.split(text)
    assert "".join(sections.values()) == text
    assert list(sections) == list(yaml.safe_load(text))
    json.dumps(sections)
