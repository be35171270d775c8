"""Every shipped experiment and every command of the README, in smoke form."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from reslab.commands import main as command
from reslab.launch.paths import conf_folder
from reslab.runs.folder import read_json
from settings import ROOT

EXPERIMENTS = sorted(path.stem for path in (conf_folder() / "experiment").glob("*.yaml"))
RUNS = {"degradation_digits": 10, "shortcuts_digits": 12, "blocks_digits": 8, "degradation_cifar10": 10}
RUNS |= {
    "shortcuts_cifar10": 12,
    "tutorial_block": 1,
    "keras_v1": 1,
    "keras_v2": 1,
    "rates_digits": 8,
    "why_digits": 27,
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_runs_in_smoke_form(train, name):
    narrow = [] if name.startswith(("keras", "tutorial")) else ["width=4"]
    shallow = ["depth=20,32"] if name.startswith("degradation") else []
    assert train(f"experiment={name}", "debug=smoke", "seed=0", "recipe.steps=2", *narrow, *shallow) == 0
    found = [read_json(path) for path in Path("outputs/runs").glob("*/seed=0/result.json")]
    assert len(found) == (4 if shallow else RUNS[name])
    assert {result["outcome"] for result in found} <= {"trained", "at_chance", "diverged"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_grid_of_an_experiment(train, name, capsys):
    """All points of the real grid are valid and counted; the data are not needed to see that."""
    from reslab.commands.plan import main

    assert main([f"experiment={name}", "data=synthetic"]) == 0
    seeds = {"degradation_cifar10": 5, "rates_digits": 6, "why_digits": 8}.get(name, 3)
    seeds = 1 if name in ("tutorial_block", "keras_v1", "keras_v2") else seeds
    assert f"new {RUNS[name] * seeds}" in capsys.readouterr().out


def readme(language):
    return re.findall(rf"^( *)```{language}\n(.*?)^ *```", (ROOT / "README.md").read_text(), re.S | re.M)


COMMANDS = [
    line.partition("#")[0].strip()
    for _, block in readme("bash")
    for line in block.splitlines()
    if line.startswith(("reslab", "make"))
]


@pytest.mark.parametrize("line", COMMANDS)
def test_command_of_the_readme(line, train, monkeypatch, capsys):
    words = shlex.split(line)
    if words[0] == "make":
        done = subprocess.run([*words, "-n"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return
    verb, arguments = words[1], words[2:]
    if verb in ("report", "status", "push"):
        train("experiment=degradation_digits", "debug=smoke", "width=4", "depth=8", "seed=0")
    elif verb == "train" and "--help" not in arguments:
        arguments = [word for word in arguments if not word.startswith(("data", "depth", "seed"))]
        arguments += ["debug=smoke", "width=4", "depth=8", "seed=0", "recipe.steps=2"]
    elif verb == "bench":
        arguments += ["runs=4", "seconds=0.01", "sizes=[8]", "repeats=1"]
    monkeypatch.setattr("sys.argv", ["reslab", verb, *arguments])
    with pytest.raises(SystemExit) as left:
        command.main()
    said = capsys.readouterr().err
    if verb == "push":  # here is no key: a sentence, and nothing is sent
        assert left.value.code == 2
        assert "WANDB_API_KEY" in said
        return
    # a benchmark of four runs on a busy machine may miss a target; it must come to its end
    assert left.value.code in ((0, 1) if verb == "bench" else (0, None)), said


def test_there_are_commands_in_the_readme():
    assert len(COMMANDS) >= 10


def test_notebook_lines_of_the_readme(train, monkeypatch):
    (block,) = [text for indent, text in readme("python") if not indent]
    assert train("experiment=degradation_digits", "debug=smoke", "width=4", "depth=8", "seed=0", "shortcut=none") == 0
    space: dict = {}
    exec(block, space)
    assert len(space["table"]) == 1


def test_the_experiment_of_the_readme(train, capsys):
    from reslab.commands.plan import main

    (config,) = [text for indent, text in readme("yaml") if not indent]
    Path("conf/experiment").mkdir(parents=True)
    Path("conf/experiment/mine.yaml").write_text(config)
    assert main(["experiment=mine"]) == 0
    assert "new 9" in capsys.readouterr().out


def test_the_shortcut_of_the_readme(train, monkeypatch, tmp_path):
    """The three edits, as written there, in a folder of the user's own."""
    code, config = (next(text for indent, text in readme(kind) if indent) for kind in ("python", "yaml"))
    strip = lambda text: "".join(line[3:] if line.startswith("   ") else line for line in text.splitlines(True))  # noqa: E731
    (tmp_path / "mylab.py").write_text(strip(code))
    (tmp_path / "conf/shortcut").mkdir(parents=True)
    (tmp_path / "conf/shortcut/pooled.yaml").write_text(strip(config))
    monkeypatch.syspath_prepend(str(tmp_path))
    small = ["debug=smoke", "width=4", "depth=8"]
    assert train("-m", "shortcut=identity,pooled", "trust=[mylab]", *small) == 0
    (folder,) = (tmp_path / "outputs/runs").glob("*pooled*/seed=0")
    result = read_json(folder / "result.json")
    assert result["outcome"] != "failed"
    assert result["macs"] is None  # a user's own layer is not counted
    assert result["params"] == 4934 - 3 * 0 + 3 * 4 * 9 - 4 * 9 + 4 * 8 + 16 + 8 * 16 + 32 - _difference()


def _difference():
    """The synthetic images have 3 channels and 4 classes, the digits of 4,934 parameters 1 and 10."""
    return (10 - 4) * 16 + (10 - 4) - 2 * 4 * 9 + 2 * 4 * 9
