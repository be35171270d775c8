"""Whole runs of two ranks: they follow one rank, are the cells they should be, and see what one rank would see."""

import json

import pytest
import torch

from reslab.data.module import ImageData
from reslab.data.normalise import channel
from reslab.data.plan import Plan
from reslab.launch.compose import compose
from reslab.launch.freeze import Freezer
from reslab.runs.folder import RunFolder, read_json
from reslab.runs.readings import read_readings
from reslab.runs.record import read_rows

RUN = ("depth=8", "width=4", "recipe.steps=50", "recipe.lr=0.01", "recipe.warmup.steps=0", "evaluation.points=5")
RUN += ("probes=off", "tracking=disabled", "trainer.threads=1")
TOLERANCE = {10: 1e-6, 50: 5e-3}
"""Relative, of loss and cross-entropy up to a step, at lr 0.01 in fp32. Sums over two halves are rounded otherwise than
sums over one whole, and training amplifies that: at lr 0.1 the two part visibly after some 30 steps."""


def trained(train, tmp_path, name, *overrides):
    """Result and rows of one run, in outputs of its own."""
    assert train(*RUN, *overrides, f"outputs={tmp_path / name}") == 0
    (folder,) = (tmp_path / name / "runs").glob("*/seed=0")
    return read_json(folder / "result.json"), read_rows(folder / "metrics.jsonl")


def _tolerance(row):
    return next(bound for step, bound in TOLERANCE.items() if row["step"] <= step)


def cell(*overrides):
    return Freezer("test").job(*compose("train", list(overrides)), ())


@pytest.mark.real("two gloo ranks")
@pytest.mark.parametrize("norm", [("trainer=ddp",), ("norm=group", "norm.groups=4"), ("trainer=ddp", "norm=absent")])
def test_two_ranks_follow_one(train, tmp_path, norm):
    (one, alone), (two, both) = (
        trained(train, tmp_path, f"{n}", *norm, f"devices={n}", "shortcut=identity") for n in (1, 2)
    )
    assert one["cell"] == two["cell"]
    assert (one["hardware"]["ranks"], two["hardware"]["ranks"]) == (1, 2)
    assert [row["step"] for row in alone] == [row["step"] for row in both] == [0, 10, 20, 30, 40, 50]
    assert alone[0]["train/cross_entropy"] == both[0]["train/cross_entropy"], "the same net, image by image"
    for mine, theirs in zip(alone, both, strict=True):
        assert mine["samples"] == theirs["samples"]
        for name in ("running/loss", "train/cross_entropy", "validation/cross_entropy"):
            if name in mine:
                assert theirs[name] == pytest.approx(mine[name], rel=_tolerance(mine)), f"{name} at {mine['step']}"
    assert one["train"]["n"] == two["train"]["n"] == 1200


@pytest.mark.real("two gloo ranks")
def test_probes_leave_two_ranks_alone_and_see_what_one_rank_sees(train, tmp_path):
    words = ("trainer=ddp", "shortcut=identity", "recipe.steps=12", "probes.images=64", "probes.chunk=32")
    results = {}
    for name, (devices, probes) in {"off": (2, "off"), "two": (2, "full"), "one": (1, "full")}.items():
        own = (*words, f"devices={devices}", f"probes={probes}")
        results[name], _ = trained(train, tmp_path, name, *own)
    assert results["off"]["weights"] == results["two"]["weights"]
    keys = ["step", "probe", "layer", "statistic"]
    one, two = (
        read_readings(RunFolder(next((tmp_path / name / "runs").glob("*/seed=0")))).sort(keys)
        for name in ("one", "two")
    )
    assert one.select(keys).equals(two.select(keys))
    for row, other in zip(one.iter_rows(named=True), two.iter_rows(named=True), strict=True):
        if row["step"] == 0 or row["statistic"] == "angle":
            assert other["value"] == pytest.approx(row["value"], rel=1e-3, nan_ok=True)


def test_norms_of_each_rank_are_another_cell_and_the_folder_says_so(train, tmp_path):
    (one, alone), (two, both) = (trained(train, tmp_path, f"{n}", f"devices={n}") for n in (1, 2))
    assert one["cell"] != two["cell"]
    assert alone[0]["train/cross_entropy"] == both[0]["train/cross_entropy"]
    apart = [
        abs(b["running/loss"] / a["running/loss"] - 1) > _tolerance(a)
        for a, b in zip(alone[1:], both[1:], strict=False)
    ]
    assert any(apart), "the tolerance would let other norms pass as well"
    made = cell("devices=2", "recipe.batch=64")
    assert made.config["trainer"]["images_per_norm"] == 32
    assert "32_per_norm" in made.label


def test_the_number_of_ranks_is_in_the_cell_only_where_it_changes_the_net_that_is_trained():
    one = cell("devices=1")
    assert cell("devices=2", "recipe.batch=64").cell != one.cell
    assert cell("trainer=ddp", "devices=2").cell == cell("trainer=ddp", "devices=1").cell != one.cell
    assert cell("norm=group", "trainer=ddp", "devices=2").cell == cell("norm=group", "devices=1").cell
    assert cell("norm=absent", "devices=2").cell == cell("norm=absent", "devices=1").cell


@pytest.mark.parametrize("size", [2, 4])
def test_the_ranks_shares_are_the_batch_of_one_rank_in_order(monkeypatch, size):
    from data.test_module import images

    def data():
        plan = Plan(batch=8, pad=2, flip=True, order_seed=1, augment_seed=2, rows=45)
        made = ImageData(
            read=images, held_out=15, split_seed=9, normalise=channel, plan=lambda rows: plan, stops=(5, 20)
        )
        made.setup()
        return made

    whole = [data().batch(step) for step in (0, 3, 11)]
    monkeypatch.setattr("reslab.world.size", lambda: size)
    shares = []
    for rank in range(size):
        monkeypatch.setattr("reslab.world.rank", lambda rank=rank: rank)
        shares.append([data().batch(step) for step in (0, 3, 11)])
    for at, (pixels, labels) in enumerate(whole):
        assert torch.equal(torch.cat([share[at][0] for share in shares]), pixels)
        assert torch.equal(torch.cat([share[at][1] for share in shares]), labels)


def test_only_rank_0_writes_the_record_and_every_rank_has_a_log(train, tmp_path):
    assert train(*RUN, "devices=2", "recipe.steps=10", "evaluation.points=1") == 0
    (folder,) = (tmp_path / "outputs" / "runs").glob("*/seed=0")
    assert sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")) == [
        "checkpoints", "config.yaml", "log.txt", "metrics.jsonl", "rank1.log", "result.json", "status.json",
    ]  # fmt: skip
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 10]


@pytest.mark.hardware("NCCL on two GPUs")
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_follow_one(train, tmp_path):
    (one, alone), (two, both) = (
        trained(train, tmp_path, f"{n}", "trainer=ddp", "trainer.accelerator=gpu", f"devices={n}") for n in (1, 2)
    )
    assert (one["cell"], two["hardware"]["ranks"]) == (two["cell"], 2)
    for mine, theirs in zip(alone, both, strict=True):
        assert theirs["train/cross_entropy"] == pytest.approx(mine["train/cross_entropy"], rel=1e-2)
