"""A sweep with invalid points is refused whole, before any work."""

import pytest

from reslab.launch import sweep
from reslab.launch.local import refusal


def test_invalid_points_are_named_with_the_override_that_drops_them(train, tmp_path):
    with pytest.raises(ValueError, match="2 of 6 points are invalid; nothing was started") as caught:
        train("-m", "depth=20,21,56", "shortcut=none,identity", "debug=smoke")
    said = str(caught.value)
    assert "nearest valid depths are 20 and 26" in said
    assert "depth=21 shortcut=none; depth=21 shortcut=identity" in said
    assert "to drop them: depth=20,56" in said
    assert not (tmp_path / "outputs").exists()


def test_every_reason_is_given_once():
    points = [["depth=20", "lr=1"], ["depth=21", "lr=1"], ["depth=22", "lr=1"]]
    said = refusal(points, {tuple(points[1]): "bad", tuple(points[2]): "bad"})
    assert said.count("bad") == 1
    assert "depth=21; depth=22" in said
    assert "to drop them: depth=20" in said


def test_experiments_cannot_be_swept(train):
    with pytest.raises(ValueError, match="experiment cannot be swept"):
        train("-m", "experiment=degradation_digits,blocks_digits", "debug=smoke")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["depth=21"], "nearest valid depths are 20 and 26"),
        (["data.size=10"], "cannot be divided by the net's strides"),
        (["norm=group", "norm.groups=7"], "does not divide 16 channels; 8 does"),
        (["recipe.batch=5000"], "cannot be filled from"),
        (["recipe.steps=0"], "at least 1"),
        (["recipe.precision=fp16"], "fp32 or bf16-mixed"),
        (["devices=0"], "devices=0 is not an integer of at least 1"),
        (["devices=3", "recipe.batch=64"], "cannot be shared equally by devices=3 x num_nodes=1; use recipe.batch=63"),
        (["devices=16"], "devices=16 is not possible here"),
        (["num_nodes=2"], "nothing says which node this is"),
        (["jobs=99"], "jobs=99 is not possible here"),
        (["seed=-1"], "seed=-1"),
        (["act._target_=os.system"], "add trust=\\[os\\]"),
        (["act._target_=reslab.nets.layers.nn.ReLU"], "reslab.nets.layers.nn defines no 'ReLU'"),
        (["act._target_=reslab.launch.prepare.tempfile.mkdtemp"], "is not trusted"),
        (["act._target_=reslab.nets.act.gelu"], "defines no 'gelu'"),
        (["+callbacks.mine=5"], "builds nothing"),
        (["checkpoints=all"], "final, log or none"),
        (["recipe.decay=[foo]"], "conv, linear, norm, bias"),
        (["recipe={lr: abc}"], "recipe.lr=abc is not a number"),
        (["evaluation=null"], "a group of settings"),
        (["outputs=null"], "not a text"),
        (["seeds.init=abc"], "seeds.init=abc is not an integer"),
        (["recipe.optimiser.momentum=2"], r"not in \[0, 1\)"),
        (["trainer.threads=0"], "trainer.threads=0"),
        (["recipe.normalise=foo"], "pixel_mean or channel"),
        (["depth=100000004"], "beyond 20,000 layers"),
        (["recipe.lr=inf"], "not positive and finite"),
        (["recipe.lr=0.0"], "not positive"),
        (["recipe.optimiser._target_=abc"], r"_target_ abc is not trusted; .* trust=\[abc\]"),
        (["recipe.optimiser._target_=reslab.training.optimise.sdg"], "did you mean reslab.training.optimise.sgd"),
        (["recipe.schedule._target_=1"], "_target_ must be a path"),
        (["norm.eps=-1.0"], r"norm.eps=-1.0 is not in \(0, 1\)"),
        (["norm=group", "norm.groups=4", "norm.eps=0.0"], r"norm.eps=0.0 is not in \(0, 1\)"),
        (["norm.momentum=-1.0"], r"norm.momentum=-1.0 is no weight in \[0, 1\]"),
        (["net.stem.stride=0"], "net.stem.stride=0 is not a positive number"),
        (["net.stem.kernel=-1"], "net.stem.kernel=-1 is not a positive number"),
        (["recipe.warmup.factor=-1.0"], r"recipe.warmup.factor=-1.0 is no share of recipe.lr in \(0, 1\]"),
        (["trainer.threads=5000"], "trainer.threads=5000 is beyond 1,024"),
        (["evaluation.batch=99999999999999999999"], "evaluation.batch=99999999999999999999 is beyond 2,147,483,647"),
        (["recipe.augment.pad=4000"], "recipe.augment.pad=4000 is beyond 8"),
        (["recipe.decay=[1,2]"], "recipe.decay names 1, 2; it may hold conv, linear, norm, bias"),
    ],
)
def test_bad_settings_are_refused_before_any_work(train, tmp_path, overrides, words):
    with pytest.raises(ValueError, match=words):
        train("debug=smoke", *overrides)
    assert not (tmp_path / "outputs" / "runs").exists()


def test_outputs_that_cannot_be_written_are_refused(train, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file/below cannot be written.*use outputs=FOLDER"):
        train("debug=smoke", "outputs=file/below")


def test_missing_data_are_refused_before_any_work(train, tmp_path):
    with pytest.raises(ValueError, match=r"data.root=FOLDER or data.download=true"):
        train("data=cifar10")
    assert not (tmp_path / "outputs").exists()


def test_bad_data_are_refused_before_any_run(train, tmp_path, capsys):
    """A label out of range is found by reading the data once, in a process of its own."""
    import io

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(buffer, "PNG")
    for name, last in (("train", 7), ("test", 1)):
        labels = [0, 1] * 20 + [last]
        table = pa.table({"image": [buffer.getvalue()] * 41, "label": labels})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    with pytest.raises(ValueError, match=r"train.parquet: label 7 in row 40 is out of range"):
        train(
            "data=parquet", "data.train=train.parquet", "data.test=test.parquet", "data.channels=1", "data.size=8",
            "data.classes=2", "data.rows.train=41", "data.rows.test=41", "data.validation=1", "recipe.batch=8",
        )  # fmt: skip
    assert not list((tmp_path / "outputs").glob("runs/*"))
    assert "next:" not in capsys.readouterr().out, "the same command would fail again"


def test_who_stops_it_before_the_first_run_is_told_how_to_go_on(train, tmp_path, monkeypatch, capsys):
    def stopped(jobs):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "prepare", stopped)
    assert train("-m", "depth=8", "width=4", "seed=0,1") == 130
    said = capsys.readouterr().out
    assert "not started 2" in said
    assert said.splitlines()[-1].startswith("next: ")
    assert "seed=0,1" in said.splitlines()[-1]
