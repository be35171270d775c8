"""What configs and command lines may ask for: objects of ours alone, no secrets, nothing outside, clear refusals."""

import os
import subprocess
import sys

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import strategies as st
from omegaconf import DictConfig

from reslab.launch import errors
from reslab.launch.compose import Composer, compose, known_keys
from reslab.launch.construct import PARTS, construct, targets
from reslab.launch.errors import explain
from reslab.launch.freeze import resolve
from reslab.launch.paths import conf_folder
from reslab.launch.secrets import without_secrets
from reslab.launch.words import quoted
from reslab.runs.identity import label
from security.counts import fuzzed
from security.hostile import WORDS, only_clear_errors
from settings import ROOT, SMALL

KEYS = ("depth", "width", "seed", "recipe.lr", "recipe.steps", "outputs", "trust", "jobs", "callbacks.x", "recipe")
KEYS += ("callbacks.x._target_", "study.looks", "seeds.init", "hydra.run.dir", "data.rows.train", "checkpoints", "a.b")
KEYS += ("trainer.threads", "init.conv.gain", "study.question", "net.widths", "data.source", "study", "block.x")
GROUPS = ("shortcut=none", "norm=group", "block=bottleneck", "~norm", "~shortcut=identity", "shortcut=../../x", "net=")
GROUPS += ("+shortcut=none", "shortcut={a: 1}", "data=/etc/passwd", "act='a b'", "experiment=../x", "shortcut@a=none")
VALUES = (
    "8",
    "none",
    "-1",
    "1e400",
    "nan",
    "inf",
    "null",
    "true",
    "'x'",
    "[1,2]",
    "{a: 1}",
    "${seed}",
    "${oc.env:HOME}",
)
VALUES += ("../../x", "[" * 300 + "]" * 300, "9" * 5000, "x" * 3000, "range(0,3)", "a,b", "''", '"', "???", "${", "@x")
VALUES += (
    "${oc.create:{a: 1}}",
    "glob(*)",
    "choice(1,2)",
    "\\",
    "{",
    "1_000",
    "0x10",
    "1.5",
    "${a}",
    "${.depth}",
    "\u2028",
)
SIGNS = ("", "+", "++", "~", "")
printed = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
value = st.one_of(st.sampled_from(VALUES), st.sampled_from(VALUES), printed)
override = st.tuples(
    st.sampled_from(SIGNS), st.one_of(*[st.sampled_from(KEYS)] * 4, printed), st.just("="), value
).map("".join)  # fmt: skip
choice = st.sampled_from(GROUPS)
words = st.lists(st.one_of(*[override] * 8, printed, choice), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def composers():
    """They compose points as a sweep does, without reading conf/ anew for each."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(errors, "known_keys", lambda verb, _: known[verb])
        loader = GlobalHydra.instance().config_loader()
        known = {verb: known_keys(verb, []) for verb in ("train", "evaluate")}
        yield {verb: Composer(loader, loader.load_configuration(verb, [], RunMode.RUN)) for verb in known}


@fuzzed("overrides", 500, overrides=words)
def test_overrides(composers, overrides):
    with only_clear_errors():
        try:
            config, choices = composers["train"].point(overrides)
            assert isinstance(config, DictConfig)
            resolved = resolve(config, choices)
            assert "/" not in label(resolved)
        except Exception as error:
            said = explain(error, "train", overrides)
            if said is None:
                raise
            raise ValueError(f"refused: {said}") from error


@fuzzed("folders on the command line", 300, folder=printed)
def test_a_folder_on_the_command_line_is_itself(composers, folder):
    if folder[:1] in ("'", '"') or not folder.strip() or "\\" in folder or "${" in folder:
        return
    with only_clear_errors():
        assert composers["evaluate"].point([quoted(f"run={folder}")])[0]["run"] == folder


names = st.one_of(
    st.sampled_from(("os.system", "subprocess.run", "builtins.eval", "pathlib.Path", "shutil.rmtree", "torch.load")),
    st.sampled_from(("reslab.data.arrays.np.load", "reslab.data.source.Path", "reslab.nets.build.nn.Module", "reslab")),
    st.sampled_from(("reslab.launch.worker.run", "reslab.runs.folder.write_json", "reslab.nets..x", "reslab.nets.")),
    st.sampled_from(WORDS),
    st.text(max_size=20),
    st.text(max_size=20).map("reslab.nets.".__add__),
    st.sampled_from(PARTS).map("{}arrays.os.system".format),
)
leaves = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.sampled_from(WORDS))
nodes = st.recursive(
    names.map(lambda name: {"_target_": name, "_args_": ["true"]}),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(("a", "_args_", "_partial_", "_recursive_", "_convert_")), inner | leaves),
        st.builds(lambda node: {"_target_": "reslab.specs.Image", "channels": node, "size": 1, "classes": 2}, inner),
    ),
    max_leaves=4,
)


@fuzzed("targets of a frozen config", 1500, node=nodes)
def test_nothing_but_our_parts_is_built(node):
    with only_clear_errors():
        try:
            construct(node)
        except HydraException as error:  # a part of ours that does not take these arguments
            raise ValueError(explain(error, "train", [])) from error
        assert all(name.startswith(PARTS) for name in targets(node))


FETCHED = (
    "${oc.env:HOME}",
    "${oc.decode:'{_target_: pathlib.Path.touch, _args_: [marker]}'}",
    "${oc.create:{_target_: pathlib.Path.touch, _args_: [marker]}}",
    "${a}",
)


@pytest.mark.parametrize("text", FETCHED)
def test_what_is_filled_in_later_is_refused(text):
    """Hydra resolves it while it builds, after the targets were looked at."""
    for node in (text, [text], {"x": text}):
        with pytest.raises(ValueError, match=r"holds \$\{\.\.\.\}"):
            construct({"_target_": "reslab.specs.Image", "channels": node, "size": 1, "classes": 2})


def test_names_of_choices_make_one_folder(tmp_path, monkeypatch):
    """A user's own conf may call a choice anything; the folder of a run lies in outputs/runs all the same."""
    own = tmp_path / "conf" / "shortcut" / "sub"
    own.mkdir(parents=True)
    (own / "...mine.yaml").write_text((ROOT / "conf/shortcut/identity.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    config, choices = compose("train", ["shortcut=sub/...mine"])
    made = label(resolve(config, choices))
    assert made == "basic-post-sub_...mine-d20-w16-digits-digits"


KEY = "4f1c" * 10


@pytest.mark.parametrize(
    "word",
    [
        "+callbacks.x.api_key=whatever",
        "+callbacks.x.WANDB_API_KEY=whatever",
        "hydra.job.env_set.WANDB_API_KEY=whatever",
        "+callbacks.x.password=whatever",
        "+callbacks.x.hf_token=whatever",
        f"+callbacks.x.note=see_{KEY}",
        f"study.question='{KEY}'",
        f"outputs=/tmp/{KEY}",
        KEY,
    ],
)
def test_a_secret_in_a_command_is_refused_and_not_repeated(word, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with pytest.raises(ValueError, match="settings are part of every record") as caught:
        without_secrets([word])
    assert KEY not in str(caught.value)
    assert "whatever" not in str(caught.value)


def test_a_secret_that_a_config_takes_from_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    composed, choices = compose("train", ["study.question=${oc.env:WANDB_API_KEY}"])
    with pytest.raises(ValueError, match=r"study\.question holds the value of WANDB_API_KEY") as caught:
        resolve(composed, choices)
    assert KEY not in str(caught.value)


def test_no_record_holds_a_secret_of_the_environment(tmp_path):
    """One run that is mirrored offline, then its report: every byte of every file is searched."""
    secrets = {"WANDB_API_KEY": "a1b2c3d4" * 5, "MY_TOKEN": "tok-0123456789", "AWS_SECRET_ACCESS_KEY": "aws/9876543210"}
    remote = "https://somebody:remote-pass-123@git.example.org/x.git"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", remote], check=True)
    here = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "WANDB_MODE": "offline", "NETRC": "/nonexistent"}
    small = [word for word in SMALL if not word.startswith("tracking")]
    for verb, words in (("train", small), ("report", ["experiment=adhoc"])):
        command = [sys.executable, "-m", "reslab.commands.main", verb, *words]
        done = subprocess.run(command, cwd=tmp_path, env=here | secrets, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    files = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    assert {"config.yaml", "result.json", "log.txt", "plan.jsonl", "report.html"} <= {path.name for path in files}
    for path in files:
        held = path.read_bytes()
        found = [name for name, secret in {**secrets, "remote": "remote-pass-123"}.items() if secret.encode() in held]
        assert not found, (path, found)
