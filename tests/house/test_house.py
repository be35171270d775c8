"""The house: sizes, names, arrows, documentation that equals the tree."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from settings import ROOT

SOURCES = sorted((ROOT / "src").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_every_public_name_says_what_it_is_for(path):
    tree = ast.parse(path.read_text())
    if path.stat().st_size:
        assert ast.get_docstring(tree), "a file says what it is"
    public = [node for node in tree.body if not getattr(node, "name", "_").startswith("_")]
    public += [part for node in public if isinstance(node, ast.ClassDef) for part in node.body]
    for node in public:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (
            not node.name.startswith("_") or node.name == "__init__"
        ):
            assert ast.get_docstring(node), node.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_no_kwargs_no_utils_no_future_annotations(path):
    text = path.read_text()
    assert "utils" not in path.stem
    assert "from __future__ import annotations" not in text  # jaxtyping would check nothing
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.args.kwarg is None, f"{node.name} takes **{node.args.kwarg.arg}"


def test_no_file_is_longer_than_it_should_be():
    long = {path.name: n for path in SOURCES if (n := len(path.read_text().splitlines())) > 250}
    assert not long


def test_the_tree_of_the_readme_is_the_tree():
    block = re.search(r"```\nconf/.*?```", (ROOT / "README.md").read_text(), re.S)[0]
    named = set(re.findall(r"^  (\w+)/", block, re.M))
    assert named == {p.name for p in (ROOT / "src/reslab").iterdir() if p.is_dir() and p.name != "__pycache__"}
    for word in ("conf/", "tests/", "experiments/", "outputs/", "src/hydra_plugins/"):
        assert word in block
        assert (ROOT / word).is_dir()


def test_the_choices_of_the_readme_exist():
    table = re.search(r"## Choices.*?\n\n(.*?)\n\n", (ROOT / "README.md").read_text(), re.S)[1]
    for line in table.splitlines()[2:]:
        group, choices = line.strip("|").split("|")
        group = group.strip().strip("`")
        for choice in re.findall(r"`([a-z_0-9]+)`", choices):
            assert (ROOT / "conf" / group / f"{choice}.yaml").is_file(), f"{group}={choice}"


def test_nothing_names_one_machine():
    for path in [p for p in ROOT.rglob("*") if p.suffix in (".py", ".md", ".yaml", ".toml", ".txt", ".csv")]:
        if not {".venv", "outputs", ".git"} & set(path.relative_to(ROOT).parts):
            assert not re.search(r"/(work|home|root|Users)/\w", path.read_text()), path


def test_lightning_has_one_namespace():
    for path in SOURCES:
        assert not re.search(r"^\s*(import|from) lightning\b", path.read_text(), re.M), path


def test_no_name_of_a_choice_is_a_yaml_word():
    words = {"no", "yes", "on", "true", "false", "null", "~"}
    assert not [p for p in (ROOT / "conf").rglob("*.yaml") if p.stem.lower() in words]


def test_every_experiment_says_its_question_and_command():
    for path in (ROOT / "conf/experiment").glob("*.yaml"):
        text = path.read_text()
        assert "# Question:" in text
        assert re.search(rf"# Command:  reslab train experiment={path.stem}\b", text)


def test_the_ci_runs_the_readmes_test_command():
    assert "exec make test" in (ROOT / ".ci/run").read_text()
    assert Path(ROOT / ".ci/run").stat().st_mode & 0o111


@pytest.mark.parametrize("path", sorted((ROOT / "conf/experiment").glob("*.yaml")), ids=lambda p: p.stem)
def test_what_an_experiment_declares_is_what_it_sweeps(path):
    """Question, prediction and the family of its verdicts stand in the file, and the family is its grid."""
    config = yaml.safe_load(path.read_text())
    params = config.get("hydra", {}).get("sweeper", {}).get("params", {})
    if "depth" not in params:
        assert "study" not in config
        return
    study = config["study"]
    assert study["question"].endswith("?") or study["question"].endswith(".")
    assert study["prediction"]
    assert [str(depth) for depth in study["depths"]] == str(params["depth"]).split(",")
    assert study["shortcuts"] == params["shortcut"].split(",")
    seeds = str(params["seed"])
    assert all(str(seed) in seeds.split(",") for seed in study.get("tuning_seeds", []))
