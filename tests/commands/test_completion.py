"""Completion: what is offered exists, and a real bash takes it."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reslab.commands.bench import PARTS
from reslab.commands.main import VERBS
from reslab.launch import completing
from reslab.launch.bench import steps
from reslab.launch.completing import candidates
from settings import ROOT

BIN = Path(sys.executable).parent


def offered(line):
    return candidates(VERBS, line.split(" "))


def test_verbs():
    assert offered("") == sorted(VERBS)
    assert offered("pl") == ["plan"]
    assert offered("zz") == []


@pytest.mark.parametrize("group", ["shortcut", "block", "data", "recipe", "experiment", "tracking"])
def test_every_choice_of_a_group_is_offered(group):
    files = {f"{group}={path.stem}" for path in (ROOT / "conf" / group).glob("*.yaml")}
    assert set(offered(f"train {group}=")) == files
    assert f"{group}=" in offered("plan ")


@pytest.mark.parametrize("verb", ["train", "plan", "report", "status", "doctor", "evaluate"])
def test_every_setting_of_a_verb_is_offered_and_is_one(verb):
    """Against the keys that Hydra itself composes."""
    from reslab.launch.compose import known_keys

    known = {key.split(".")[0] for key in known_keys("train" if verb == "plan" else verb, [])}
    groups = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
    own = {word.rstrip("=.") for word in offered(f"{verb} ")}
    assert own - groups == (known - groups) | ({"format"} if verb == "plan" else set())
    assert known <= own


@pytest.mark.parametrize("words", ["", "recipe=he2016 ", "recipe=keras "])
def test_settings_below_a_group_are_those_of_the_choice(words):
    from reslab.launch.compose import known_keys

    known = {".".join(key.split(".")[:2]) for key in known_keys("train", words.split()) if key.startswith("recipe.")}
    assert {word.rstrip("=.") for word in offered(f"train {words}recipe.")} == known


def test_values_after_a_comma():
    assert offered("train shortcut=none,id") == ["shortcut=none,identity"]
    assert "shortcut=none,none" not in offered("train shortcut=none,")


def test_true_or_false_and_formats():
    assert offered("status watch=") == ["watch=false", "watch=true"]
    assert offered("plan format=") == ["format=json", "format=text"]
    assert offered("plan fo") == ["format="]
    assert offered("train fo") == []


def test_every_benchmark_is_offered_and_named():
    assert offered("bench part=") == sorted(f"part={name}" for name in PARTS)
    assert all(name in VERBS["bench"] for name in PARTS)
    assert offered("bench race.trainer=") == [f"race.trainer={name}" for name in steps.DEVICES]


def test_experiments_that_have_runs(finished_run):
    outputs = finished_run.parents[2]
    assert offered(f"status outputs={outputs} experiment=ad") == ["experiment=adhoc"]
    assert "experiment=adhoc" not in offered("train experiment=")


def test_a_conf_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/shortcut").mkdir(parents=True)
    (tmp_path / "conf/shortcut/pooled.yaml").write_text("scale: 1\n")
    (tmp_path / "conf/shortcut/torn.yaml").write_text("a: [")
    assert offered("train shortcut=po") == ["shortcut=pooled"]
    assert offered("train shortcut=pooled shortcut.") == ["shortcut.scale="]
    assert offered("train shortcut=torn shortcut.") == []


@pytest.mark.parametrize(
    "line", ["train depth=", "train a.b.c.", "nope x", "evaluate run=", "train =", "train ,", "train ."]
)
def test_nothing_to_offer(line):
    assert offered(line) == []


def test_no_hydra_is_loaded(tmp_path):
    code = """
import sys
sys.argv = ["reslab", "completion", "words", "reslab train shortcut="]
from reslab.commands.main import main
try:
    main()
except SystemExit as end:
    assert end.code == 0
assert not [name for name in ("hydra", "omegaconf", "torch", "rich") if name in sys.modules]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "shortcut=identity" in done.stdout.splitlines()


def test_an_unknown_shell():
    done = subprocess.run(
        [sys.executable, "-m", "reslab", "completion", "fish"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "bash or zsh" in done.stderr


BASH = """
eval "$(reslab completion bash)"
COMP_LINE="$1"; COMP_POINT=${#1}; _reslab reslab; printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.real("bash completion")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("reslab pl", ["plan"]),
        ("reslab train shortcut=proj", ["projection", "projection_all"]),
        ("reslab train shortcut=none,id", ["none,identity"]),
        ("reslab train dept", ["depth="]),
        ("reslab nope x", [""]),
    ],
)
def test_bash(line, expected):
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", line],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
    )
    assert done.stdout.rstrip("\n").split("\n") == expected
    assert done.stderr == ""


@pytest.mark.real("bash completion")
def test_tab_in_an_interactive_bash():
    """Typed at a terminal: a verb, a setting and an experiment, each begun and completed with Tab."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}"
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])

    def until(text, seconds=60):
        said, end = b"", time.monotonic() + seconds
        while text not in said and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                said += os.read(terminal, 4096)
        return said

    try:
        os.write(terminal, b'eval "$(reslab completion bash)"; echo rea""dy\n')
        assert b"ready\r\n" in until(b"ready\r\n")
        for typed, shown in (
            (b"reslab sta\t", b"status "),
            (b"exp\t", b"experiment="),
            (b"degradation_d\t", b"digits"),
        ):
            os.write(terminal, typed)
            assert shown in until(shown)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("name", ["train", "nothing"])
def test_files_that_are_no_mapping_are_empty(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / f"{name}.yaml").write_text("- 1\n")
    assert completing._read(name) == {}
