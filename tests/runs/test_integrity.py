"""A run folder that is no longer what was planned is named, whatever was done to it."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from cells import composed
from reslab.launch.freeze import flat
from reslab.runs import integrity
from reslab.runs.folder import RunFolder, read_json, write_json
from reslab.runs.identity import cell_hash
from reslab.runs.integrity import RESULT, problems
from reslab.runs.plan import plan_file, read_plan


@pytest.fixture
def folder(finished_run, tmp_path):
    return RunFolder(Path(shutil.copytree(finished_run, tmp_path / "copied")))


@pytest.fixture
def entry(finished_run):
    return read_plan(plan_file(finished_run.parents[2], "adhoc"))[0]


def change(path, **values):
    path.write_text(json.dumps(read_json(path) | values))


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


HALF = {"error": 0.5, "errors": 5, "n": 10, "cross_entropy": 1.0}
SCORES = [
    HALF | {"error": 0.51},
    HALF | {"error": -0.5, "errors": -5},
    HALF | {"error": 5.0, "errors": 50},
    HALF | {"error": 0.0, "errors": 0, "n": 0},
    HALF | {"error": True, "errors": True, "n": True},
    HALF | {"errors": 0.5, "n": 1.0},
    HALF | {"errors": math.nan, "error": math.nan},
    HALF | {"errors": "5"},
    *(HALF | {"cross_entropy": value} for value in (-3.0, math.nan, math.inf, "1", True)),
    {"error": 0.0},
    {},
    None,
    "good",
    [1],
]


@pytest.mark.parametrize("part", ["train", "train_fresh_norm", "test", "validation"])
@pytest.mark.parametrize("score", SCORES, ids=str)
def test_a_score_typed_by_hand(folder, entry, part, score):
    change(folder.result, **{part: score})
    (said,) = problems(folder, entry)
    assert re.fullmatch(rf"result.json has {part}=.*, not a score: 0 <= errors <= n.*it was edited", said)


@pytest.mark.parametrize("score", [HALF, HALF | {"cross_entropy": None}, HALF | {"error": 1.0, "errors": 10}], ids=str)
def test_a_score_within_its_bounds(folder, entry, score):
    change(folder.result, test=score)
    assert problems(folder, entry) == []


@pytest.mark.parametrize("outcome", ["weird", None, 5, ["trained"], True, "absent"])
def test_an_outcome_of_no_kind(folder, entry, outcome):
    change(folder.result, outcome=outcome)
    if outcome == "absent":
        result = read_json(folder.result)
        del result["outcome"]
        write_json(folder.result, result)
    assert "lacks outcome" in problems(folder, entry)[0] or "not one of trained, at_" in problems(folder, entry)[0]


@pytest.mark.parametrize(
    ("outcome", "needed"),
    [("trained", ["cell", "seed", "train"]), ("at_chance", ["cell", "seed", "train"]), ("diverged", ["cell", "seed"])],
)
def test_what_an_outcome_needs(folder, entry, outcome, needed):
    write_json(folder.result, {"outcome": outcome, "reason": None})
    assert problems(folder, entry) == [f"result.json lacks {name}: it was edited" for name in needed]


ODD = [("images_per_second", value) for value in ("fast", -5.0, math.inf, True)]
ODD += [("hardware", value) for value in ("cpu", {"device": 5}, {"threads": "x"}, {"threads": [1]}, {"cores": 0})]
ODD += [("times", value) for value in ("x", {"fit": "x"}, {"fit": math.nan}, [1.0])]
ODD += [("versions", value) for value in ("x", ["a"], {"torch": 2})]
ODD += [("params", value) for value in ("many", [1], -1, 0.5, True)] + [("step", value) for value in ("x", -1, 1.5)]
ODD += [("seed", value) for value in (False, 0.0, "0")] + [("reason", {"a": 1}), ("commit", 5), ("weights", 5)]
NULLABLE = ("reason", "first_bad_step", "evaluation_subset", "norm_params", "macs")


@pytest.mark.parametrize(("name", "value"), [*ODD, *((name, None) for name in RESULT if name not in NULLABLE)])
def test_a_field_that_does_not_hold_what_it_should(folder, entry, name, value):
    change(folder.result, **{name: value})
    assert problems(folder, entry)[0].startswith(f"result.json has {name}=")


@pytest.mark.parametrize("name", NULLABLE)
def test_a_field_that_may_be_null(folder, entry, name):
    change(folder.result, **{name: None})
    assert problems(folder, entry) == []


def test_every_field_of_a_result_has_its_rule(folder):
    assert set(read_json(folder.result)) - {"schema"} == set(RESULT)


COLUMNS = {"depth": 56, "width": 32, "shortcut": "none", "norm": "absent", "net": "keras_v2", "intervention": "late"}
COLUMNS |= {"block": "bottleneck", "order": "pre", "lr": 0.2, "steps": 13, "batch": 32, "precision": "bf16-mixed"}


@pytest.mark.parametrize(("name", "value"), (COLUMNS | {"classes": 100}).items())
def test_a_plan_that_was_edited(folder, entry, name, value):
    (said,) = problems(folder, entry | {name: value})
    assert said == f"config.yaml has {name}={entry[name]} where the plan has {name}={value}: the plan was edited"


@pytest.mark.parametrize("name", ["data", "recipe"])
def test_the_same_cell_may_be_planned_under_another_name(folder, entry, name):
    assert problems(folder, entry | {name: "mine"}) == []


def test_a_torn_result(folder, entry):
    folder.result.write_text(folder.result.read_text()[:100])
    assert problems(folder, entry) == ["result.json is torn; the run counts as not ended"]


def test_a_failure_needs_no_cell_but_none_of_another_run(folder, entry):
    for more in ({}, {"cell": entry["cell"], "seed": entry["seed"]}):
        write_json(folder.result, {"outcome": "failed", "reason": "no"} | more)
        assert problems(folder, entry) == []
    write_json(folder.result, {"outcome": "failed", "cell": "z" * 64, "seed": 77})
    assert problems(folder, entry) == [
        f"result.json is of cell zzzzzzzz where {entry['cell'][:8]} was planned",
        f"result.json is of seed 77 where {entry['seed']} was planned",
    ]


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
    assert problems(RunFolder(tmp_path), flat(config) | {"cell": slow, "seed": config["seed"]}) == []


def test_sections_put_together_are_the_file(finished_run):
    text = (finished_run / "config.yaml").read_text()
    sections = integrity.split(text)
    assert "".join(sections.values()) == text
    assert list(sections) == list(yaml.safe_load(text))
    json.dumps(sections)
