"""A finished run from somebody else: loading and measuring it runs nothing of theirs and leaves its folder alone."""

import io
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import strategies as st

from reslab import api
from reslab.commands import evaluate
from reslab.runs.folder import read_json
from reslab.training.weights import read_checkpoint
from security.counts import fuzzed
from security.hostile import NUMBERS, WORDS, altered, only_clear_errors, torn

TENSORS = (torch.zeros(2), torch.zeros(1).expand(2**40), torch.zeros(3, dtype=torch.int64), torch.tensor(float("nan")))
values = st.one_of(
    *(st.sampled_from(known) for known in (NUMBERS, WORDS, TENSORS)),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.just({"_target_": "os.system", "_args_": ["true"]}),
    st.just("${oc.decode:'{_target_: os.system, _args_: [true]}'}"),
)


@pytest.fixture
def copied(finished_run, tmp_path):
    """The run in an outputs folder of its own."""
    return Path(shutil.copytree(finished_run, tmp_path / "theirs" / "runs" / finished_run.parent.name / "seed=0"))


def rewrite(folder, change):
    """The checkpoint with another state."""
    file = folder / "checkpoints/last.ckpt"
    state = torch.load(file, weights_only=True)
    change(state)
    torch.save(state, file)


@pytest.fixture(scope="session")
def state(_finished):
    return torch.load(_finished / "checkpoints/last.ckpt", weights_only=True)


def saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


with zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(2), "b": [1, {"c": "d"}]}))) as whole:
    PARTS = {name: whole.read(name) for name in whole.namelist()}


def placed(tmp_path, data):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "last.ckpt").write_bytes(data)
    return folder.parent


def wild(state):
    """Draws a state with other things in its config, or in place of its parts."""
    small = {"config": state["config"], "normalisation": {"mean": 0, "std": 0}, "state_dict": {"stem.conv1.weight": 0}}
    return st.one_of(
        altered(state["config"], values).map(lambda config: state | {"config": config}),
        altered(small, values).map(lambda other: {**state, **other} if isinstance(other, dict) else other),
        altered(small["normalisation"], values).map(lambda norm: state | {"normalisation": norm}),
    )


@fuzzed("checkpoints: what they hold", 150, data=st.data())
def test_a_state(state, tmp_path, data):
    try:
        found = saved(data.draw(wild(state)))
    except (UnicodeEncodeError, pickle.PicklingError):  # no pickle can hold it
        return
    with only_clear_errors():
        api.load(placed(tmp_path, found))


@fuzzed("checkpoints: bytes", 300, data=st.data())
def test_bytes(state, tmp_path, data):
    whole = saved(state)
    with only_clear_errors():
        api.load(placed(tmp_path, data.draw(torn(whole))))


@fuzzed("checkpoints: pickles in them", 1500, data=st.data())
def test_a_pickle_in_a_checkpoint(tmp_path, data):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, held in PARTS.items():
            archive.writestr(name, data.draw(torn(held)) if name.endswith("data.pkl") else held)
    with only_clear_errors():
        read_checkpoint(_file(tmp_path, made.getvalue()))


def _file(tmp_path, data):
    (tmp_path / "last.ckpt").write_bytes(data)
    return tmp_path / "last.ckpt"


class Touch:
    """What a pickle would run."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_a_pickle_that_asks_for_more_is_refused(copied, tmp_path):
    marker = tmp_path / "marker"
    for form in (True, False):
        torch.save({"config": Touch(marker)}, copied / "checkpoints/last.ckpt", _use_new_zipfile_serialization=form)
        with pytest.raises(ValueError, match=r"last\.ckpt cannot be read"):
            api.load(copied)
    (copied / "checkpoints/last.ckpt").write_bytes(pickle.dumps(Touch(marker)))
    with pytest.raises(ValueError, match=r"last\.ckpt cannot be read"):
        api.load(copied)
    assert not marker.exists()


def test_a_checkpoint_that_expands_is_refused(tmp_path):
    whole = io.BytesIO(saved({"a": torch.zeros(10_000_000)}))
    file = tmp_path / "last.ckpt"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert file.stat().st_size < 100_000
    torch.load(file, weights_only=True)  # it would be read
    with pytest.raises(ValueError, match="it would expand"):
        read_checkpoint(file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 10**7}, "asks for more weights than it holds"),
        ({"depth": 6 * 10**8 + 2}, "is beyond 20,000 layers"),
        ({"depth": "x"}, "holds no run that can be built"),
        ({"act": {"_target_": "os.getcwd", "_partial_": True}, "trust": ["os"]}, r"os\.getcwd is not trusted"),
        ({"act": {"_target_": "reslab.nets.act.relu", "x": "${oc.env:HOME}"}}, r"holds \$\{\.\.\.\}"),
    ],
)
def test_a_config_that_asks_for_too_much(copied, change, said):
    rewrite(copied, lambda state: state["config"].update(change))
    with pytest.raises(ValueError, match=said):
        evaluate.main([f"run={copied}"])


def test_parts_that_stand_in_two_places_are_refused(copied):
    grown: list = ["x"]
    for _ in range(60):
        grown = [grown, grown]
    rewrite(copied, lambda state: state["config"].update(callbacks={"x": grown}))
    with pytest.raises(ValueError, match="in two places"):
        api.load(copied)


def test_measuring_writes_into_the_folder_alone(copied, tmp_path, monkeypatch):
    """Its config names other places: for the record, for the cache."""
    private = tmp_path / "private"
    monkeypatch.chdir(tmp_path)
    private.mkdir()

    def change(state):
        state["config"]["choices"]["data"] = "../../../../../private/record"
        state["config"]["outputs"] = str(private)
        state["config"]["run"]["folder"] = str(private)

    rewrite(copied, change)
    before = set(tmp_path.rglob("*"))
    assert evaluate.main([f"run={copied}"]) == 0
    made = {str(path.relative_to(tmp_path / "theirs")) for path in set(tmp_path.rglob("*")) - before}
    assert all(name.startswith(("cache", "runs/")) for name in made)
    assert (copied / "evaluations/.._.._.._.._.._private_record.json").is_file()
    assert list(private.iterdir()) == []


def test_a_cache_name_that_leads_elsewhere(copied, tmp_path):
    rewrite(copied, lambda state: state["config"]["data"].update(fingerprint="../../x"))
    with pytest.raises(ValueError, match="cannot be the name of a file"):
        evaluate.main([f"run={copied}"])
    assert not list(tmp_path.rglob("*.npy"))


def test_measuring_fetches_nothing_that_a_folder_names(copied, tmp_path, monkeypatch):
    """Else its config could put any file anywhere: into a folder that Python imports from, for instance."""
    import pooch

    monkeypatch.setattr(pooch, "retrieve", lambda *_, **__: pytest.fail("fetched"))
    source = {"_target_": "reslab.data.cifar.Cifar", "root": str(tmp_path / "site-packages"), "download": True}
    source |= {"archive": {"url": "http://localhost:9/x.pth", "file": "x.pth", "md5": "0" * 32}, "folder": "f"}
    source |= {"batches": {"train": {"a": "0" * 32}, "test": {"b": "0" * 32}}, "label": "labels"}
    image = {"_target_": "reslab.specs.Image", "channels": 1, "size": 8, "classes": 10}
    source |= {"image": image, "rows": {"train": 1, "test": 1}}
    rewrite(copied, lambda state: state["config"]["data"].update(source=source, fingerprint="f" * 64))
    with pytest.raises(FileNotFoundError, match="no data in"):
        evaluate.main([f"run={copied}"])
    escaping = source | {"archive": source["archive"] | {"file": "../x.pth"}}
    rewrite(copied, lambda state: state["config"]["data"].update(source=escaping))
    with pytest.raises(ValueError, match="is not the name of a file"):
        evaluate.main([f"run={copied}"])


@pytest.mark.parametrize("name", ["evaluations", "checkpoints/last.ckpt", "."])
def test_links_are_not_written_through(copied, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    path = copied / name
    if path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.mkdir()
    path.symlink_to(elsewhere)
    with pytest.raises(OSError, match="it is a link"):
        evaluate.main([f"run={copied}"])
    assert not (elsewhere / "evaluations").exists()
    assert os.path.isdir(copied)


def test_a_recorded_score_of_another_kind_is_not_shown(copied, capsys):
    result = read_json(copied / "result.json")
    (copied / "result.json").write_text(json.dumps(result | {"train": {"error": "x"}, "test": 5}))
    assert evaluate.main([f"run={copied}"]) == 0
    assert "recorded %" in capsys.readouterr().out


@fuzzed("checkpoints: evaluate", 20, data=st.data())
def test_evaluate(state, tmp_path, data):
    config = data.draw(altered(state["config"] | {"outputs": "x"}, values))
    try:
        folder = placed(tmp_path, saved(state | {"config": config}))
    except (UnicodeEncodeError, pickle.PicklingError):
        return
    with only_clear_errors():
        evaluate.main([f"run={folder}"])
