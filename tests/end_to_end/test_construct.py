"""`reslab construct` and training on from what it makes."""

import csv
import json
import shutil
from contextlib import nullcontext

import pytest
import torch

from reslab import api
from reslab.commands import construct, evaluate
from reslab.launch.build import build_net
from reslab.launch.compose import compose
from reslab.launch.freeze import Freezer, resolve
from reslab.launch.padded import pad_from_run, training_images
from reslab.runs.folder import read_json
from reslab.runs.record import read_rows
from reslab.training.evaluate import evaluate as evaluate_net
from reslab.training.evaluate import with_fresh_statistics
from settings import SMALL

PLAIN = (*SMALL, "shortcut=none", "recipe.steps=40")


@pytest.fixture
def runs(train, tmp_path):
    """The folders of a shallow and of a deep plain run."""
    assert train("-m", *PLAIN, "depth=8,14") == 0
    return tuple(next((tmp_path / "outputs/runs").glob(f"*d{depth}*/seed=0")) for depth in (8, 14))


def fresh_error(folder):
    """Of the net of a run, with the statistics of its norms taken anew."""
    loaded = api.load(folder)
    images = training_images(loaded.config)
    settings = {"normalise": loaded.normalisation, "batch": 500, "precision": nullcontext}
    net = with_fresh_statistics(loaded.net, images.images, **settings)
    return evaluate_net(net, images.images, images.labels, **settings).error


def test_the_whole_way(runs, train, capsys, tmp_path):
    shallow, deep = runs
    capsys.readouterr()
    assert construct.main([f"run={shallow}", "depth=14", f"to={deep}", "points=11"]) == 0
    said = capsys.readouterr().out
    (folder,) = (tmp_path / "outputs/constructed").iterdir()
    facts = read_json(folder / "constructed.json")
    assert facts["difference"]["eval"] == 0.0
    assert facts["difference"]["train"] < 1e-5 < facts["difference"]["train_of_recipe"]
    assert facts["shallow"] == facts["constructed"]
    recorded = read_json(shallow / "result.json")
    assert facts["shallow"]["errors"] == recorded["train"]["errors"]
    assert facts["source"] == recorded["weights"]
    rows = list(csv.DictReader((folder / "line.csv").read_text().splitlines()))
    assert [float(row["share"]) for row in rows] == pytest.approx([at / 10 for at in range(11)])
    assert float(rows[-1]["error"]) == fresh_error(deep)
    losses = [float(row["cross_entropy"]) for row in rows]
    chord = [losses[0] + at / 10 * (losses[-1] - losses[0]) for at in range(11)]
    assert facts["line"]["barrier"] == pytest.approx(max(a - b for a, b in zip(losses, chord, strict=True)))
    assert (folder / "line.png").read_bytes().startswith(b"\x89PNG")
    assert str(folder) in said.replace("\n", "")
    assert "intervention=constructed" in said

    loaded = api.load(folder)
    assert loaded.config["depth"] == 14
    assert evaluate.main([f"run={folder}"]) == 0

    words = (*PLAIN, "depth=14", "intervention=constructed", f"intervention.run='{shallow}'")
    assert train(*words) == 0
    (on,) = (tmp_path / "outputs/runs").glob("*constructed*/seed=0")
    first = read_rows(on / "metrics.jsonl")[0]
    assert first["train/error"] == facts["shallow"]["error"]
    assert api.load(on).config["intervention"]["weights"] == recorded["weights"]
    shutil.rmtree(shallow)  # what was trained can be read without what it was trained from
    assert not torch.equal(api.load(on).net.stem.conv1.weight, loaded.net.stem.conv1.weight)


def job(folder, *words):
    words = [*PLAIN, "depth=14", "intervention=constructed", f"intervention.run='{folder}'", *words]
    return Freezer("test").job(*compose("train", words), ())


def test_the_cell_is_that_of_the_weights_and_not_of_the_place(runs, tmp_path):
    shallow, _ = runs
    here = job(shallow)
    copied = tmp_path / "elsewhere" / "seed=0"
    shutil.copytree(shallow, copied)
    there = job(copied)
    assert here.cell == there.cell
    assert here.config["intervention"]["run"] != there.config["intervention"]["run"]
    assert here.config["intervention"]["weights"] == read_json(shallow / "result.json")["weights"]
    result = json.loads((copied / "result.json").read_text())
    (copied / "result.json").write_text(json.dumps(result | {"weights": "0" * 64}))
    assert job(copied).cell != here.cell
    assert job(shallow, "intervention.images=100").cell != here.cell
    assert job(shallow, "seed=3").cell == here.cell
    with pytest.raises(ValueError, match="other weights than when this run was planned"):
        pad_from_run(job(copied).config, build_net(job(shallow).config))


def test_what_does_not_fit_is_refused_before_any_work(runs, finished_run, tmp_path):
    shallow, deep = runs
    for words, said in [
        ((f"intervention.run='{tmp_path}/none'",), "does not exist"),
        ((f"intervention.run='{tmp_path}'",), "holds no finished run"),
        ((f"intervention.run='{finished_run}'",), "shortcut=identity, whose units cannot be made the identity"),
        ((f"intervention.run='{deep}'",), "depth=14 is not deeper than the run's 14; use depth=20 or more"),
        ((f"intervention.run='{shallow}'", "width=8"), "width=4, the deep one has 8; use width=4"),
        ((f"intervention.run='{shallow}'", "shortcut=identity"), "use shortcut=none"),
        ((f"intervention.run='{shallow}'", "data=synthetic"), "use data."),
        ((f"intervention.run='{shallow}'", "data.validation=200"), "use data.validation=300"),
        ((f"intervention.run='{shallow}'", "intervention.weights=abc"), "leave it out"),
        ((f"intervention.run='{shallow}'", "intervention.images=0"), "images=0 is not an integer of at least 1"),
    ]:
        with pytest.raises(ValueError, match=r"run|data|intervention") as caught:
            resolve(*compose("train", [*PLAIN, "depth=14", "intervention=constructed", *words]))
        assert said in str(caught.value)


def test_a_folder_whose_config_lacks_something(runs, tmp_path):
    shallow, _ = runs
    config = (shallow / "config.yaml").read_text()
    (shallow / "config.yaml").write_text(config.replace("\nchoices:", "\nchosen:"))
    with pytest.raises(ValueError, match="is no config of a run"):
        job(shallow)
    (shallow / "config.yaml").write_text(config)
    file = shallow / "checkpoints/last.ckpt"
    state = torch.load(file, weights_only=True)
    del state["config"]["choices"]
    torch.save(state, file)
    with pytest.raises(ValueError, match="holds no run that a net could be constructed from"):
        construct.main([f"run={shallow}", "depth=14"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["depth=9"], "nearest valid depths are 8 and 14"),
        (["depth=8"], "is not deeper"),
        (["depth=14", "points=1"], "points=1 is not an integer of at least 2"),
        (["depth=20", "to=DEEP"], "use depth=14"),
        (["depth=14", "to=nowhere"], "does not exist"),
        ([], "must be given: depth="),
    ],
)
def test_what_construct_refuses(runs, words, said):
    shallow, deep = runs
    with pytest.raises(ValueError, match=r".") as caught:
        construct.main([f"run={shallow}", *(word.replace("DEEP", str(deep)) for word in words)])
    assert said in str(caught.value)
