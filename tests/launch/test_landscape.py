"""Slices and curvature of a run that was trained; the laws of verify, which broken probes fail."""

import io
import math

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.nn import functional as F

from reslab import api
from reslab.data.module import Part
from reslab.launch.probing import curvature as curvature_study
from reslab.launch.probing import slices as slices_study
from reslab.launch.verify import landscape as laws
from reslab.probes import curvature, slices
from reslab.runs.folder import read_json

SLICES = {"points": 5, "directions": 2, "seed": 1, "images": 60}
CURVATURE = {"values": 2, "tolerance": 1e-4, "images": 60, "seed": 0}


def rows_of(run, study, asked):
    trained = api.load(run)
    config = trained.config | {"outputs": str(run.parents[2])}
    return study.study(trained.net, trained.normalisation, config, asked, Console(file=io.StringIO()))


def said_of(study, rows):
    out = Console(file=io.StringIO(), width=120)
    out.print(study.said(rows))
    return out.file.getvalue()


def test_slices_of_a_trained_run(finished_run):
    rows = rows_of(finished_run, slices_study, SLICES)
    assert len(rows) == 2 * 5 * 2 * 2
    assert sorted(set(rows["at"])) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert set(rows["statistics"]) == {"raw", "retaken"}
    assert set(rows["images"]) == {60}
    assert rows["level"].to_list() == pytest.approx([math.log(10)] * len(rows))
    assert rows.filter(at=0.0).n_unique(["statistics", "subset", "loss"]) == 4  # whatever the direction
    assert rows.equals(rows_of(finished_run, slices_study, SLICES))
    assert len(slices_study.summary(rows)) == 4
    assert said_of(slices_study, rows).count("retaken") == 2


def test_every_number_stands_under_its_heading(finished_run):
    rows = rows_of(finished_run, slices_study, SLICES)
    shown, found = slices_study.said(rows), slices_study.summary(rows)
    table = {str(column.header): list(column.cells) for column in shown.columns}
    assert {len(cells) for cells in table.values()} == {len(found)}
    assert table["statistics"] == [one["statistics"] for one in found]
    assert table["direction"] == [str(one["direction"]) for one in found]
    assert table["loss at 0"] == [f"{one['centre']:.3g}" for one in found]
    basins = [f"{100 * one['basin']:.1f} ({100 * one['basin_again']:.1f})" for one in found]
    assert table["basin % (other images)"] == basins
    bent = ["" if one["bent"] is None else f"{100 * one['bent']:.1f}" for one in found]
    assert table["not convex %"] == bent
    assert table["minima (found again)"] == [f"{one['minima']} ({one['repeated']})" for one in found]
    assert table["noise, nats"] == ["" if one["noise"] is None else f"{one['noise']:.2g}" for one in found]


def test_a_net_without_batchnorm_has_no_statistics_to_retake(finished_run):
    trained = api.load(finished_run)
    config = trained.config | {"outputs": str(finished_run.parents[2])}
    bare = api.net("depth=8", "width=4", "norm=absent")
    rows = slices_study.study(bare, trained.normalisation, config, SLICES, Console(file=io.StringIO()))
    assert set(rows["statistics"]) == {"raw"}


def test_at_zero_stands_the_loss_of_the_record(finished_run):
    rows = rows_of(finished_run, slices_study, SLICES | {"images": 10_000, "directions": 1, "points": 3})
    result = read_json(finished_run / "result.json")["train"]
    here = rows.filter(at=0.0, statistics="raw")
    assert here["images"].sum() == result["n"]  # both halves are all images
    assert here["loss"].mean() == pytest.approx(result["cross_entropy"], rel=1e-5)


def test_halves_share_no_image_and_hold_as_many_of_each_class():
    labels = torch.arange(10).repeat(21)
    part = Part(torch.arange(210, dtype=torch.uint8)[:, None, None, None], labels)
    for count, size in ((30, 30), (105, 105), (5000, 105)):
        one, other = slices_study.halves(part, count, seed=0)
        assert len(one) == len(other) == size
        assert not set(one.images.flatten().tolist()) & set(other.images.flatten().tolist())
        for own in (one, other):
            counts = own.labels.bincount(minlength=10)
            assert counts.max() - counts.min() <= 1


def test_curvature_of_a_trained_run(finished_run):
    rows = rows_of(finished_run, curvature_study, CURVATURE)
    assert rows["kind"].to_list() == ["raw", "raw", "filter", "filter"]
    assert rows["rank"].to_list() == [1, 2, 1, 2]
    assert (rows["residual"] < 1e-2 * rows["eigenvalue"]).all()
    assert rows["threshold"].to_list() == pytest.approx([2 * 1.9 / 0.01] * 4)  # its last step is one of the warm-up
    assert "stable below" in said_of(curvature_study, rows)
    assert curvature_study.summary(rows)[0]["kind"] == "raw"
    with pytest.raises(ValueError, match="use tolerance=1e-3"):
        rows_of(finished_run, curvature_study, CURVATURE | {"tolerance": 0})


def test_the_largest_eigenvalue_is_how_the_loss_bends_that_way(finished_run):
    """Second difference of the loss along the eigenvector that power iteration on differences of gradients finds."""
    rows = rows_of(finished_run, curvature_study, CURVATURE)
    trained = api.load(finished_run)
    config = trained.config | {"outputs": str(finished_run.parents[2])}
    part = curvature_study.calibration(curvature_study.training_images(config), 60, split_seed=0)
    images, net = trained.normalisation(part.images).double(), trained.net.double()
    weights = list(net.parameters())
    start = [weight.detach().clone() for weight in weights]

    def slope(step):
        with torch.no_grad():
            for weight, at, part_of_step in zip(weights, start, step, strict=True):
                weight.copy_(at + part_of_step)
        return torch.autograd.grad(F.cross_entropy(net(images), part.labels), weights)

    draw, small = torch.Generator().manual_seed(0), 1e-6
    v = [torch.randn(at.shape, generator=draw, dtype=torch.float64) for at in start]
    for _ in range(60):
        ahead, behind = slope([small * w for w in v]), slope([-small * w for w in v])
        bend = [(a - b) / (2 * small) for a, b in zip(ahead, behind, strict=True)]
        found = sum(w.square().sum() for w in bend).sqrt()
        v = [w / found for w in bend]
    assert rows["eigenvalue"][0] == pytest.approx(found.item(), rel=0.02)


def test_the_limit_of_sgd(finished_run):
    config = api.load(finished_run).config
    decayed = {"_target_": "reslab.training.schedule.milestones", "_partial_": True, "at": [0.5], "factors": [0.1]}
    recipe = config["recipe"] | {"schedule": decayed, "warmup": {"steps": 0, "factor": 1.0}}
    assert curvature_study.stability(config | {"recipe": recipe}) == pytest.approx(380)
    adam = recipe | {"optimiser": {"_target_": "reslab.training.optimise.adam", "_partial_": True}}
    assert curvature_study.stability(config | {"recipe": adam}) is None
    assert curvature_study.stability(config | {"intervention": {"update": {}}}) is None


def test_a_net_whose_loss_is_no_number_has_no_curvature(finished_run):
    trained = api.load(finished_run)
    with torch.no_grad():
        next(trained.net.parameters()).fill_(math.nan)
    config = trained.config | {"outputs": str(finished_run.parents[2])}
    rows = curvature_study.study(trained.net, trained.normalisation, config, CURVATURE, Console(file=io.StringIO()))
    assert rows["eigenvalue"].is_nan().all()
    assert said_of(curvature_study, rows).count("none") >= 4
    rows = slices_study.study(trained.net, trained.normalisation, config, SLICES, Console(file=io.StringIO()))
    assert {line["basin"] for line in slices_study.summary(rows)} == {0.0}


def test_the_laws_hold():
    assert [fact.law for fact in laws.facts() if not fact.passed] == []


def unscaled(weight, seed, draw, name):
    made = LIKE(weight, seed, draw, name)
    return made / made.norm() if weight.dim() > 1 else made


def by_layer(weight):
    return torch.full((len(weight), *[1] * (weight.dim() - 1)), weight.double().norm().item())


LIKE = slices._like


@pytest.mark.parametrize(("name", "broken"), [("_like", unscaled), ("filter_norms", by_layer)])
def test_a_direction_that_is_not_filter_normalised_fails_them(monkeypatch, name, broken):
    monkeypatch.setattr(slices, name, broken)
    assert any(not fact.passed for fact in laws._slices("none", 8))


def half(self, v):
    return 0.5 * PRODUCT(self, v)


def raw(self, v):
    return self(v)


PRODUCT = curvature.Hessian.__call__


@pytest.mark.parametrize(("name", "broken"), [("__call__", half), ("normalised", raw)])
def test_a_broken_product_fails_them(monkeypatch, name, broken):
    monkeypatch.setattr(curvature.Hessian, name, broken)
    assert any(not fact.passed for fact in laws._hessian())


def test_the_other_end_of_the_spectrum_fails_them(monkeypatch):
    def smallest(product, size, *, count, tolerance):
        return TOP(lambda v: -product(v), size, count=count, tolerance=tolerance)

    monkeypatch.setattr(curvature, "top", smallest)
    assert any(not fact.passed for fact in laws._parabola())
    assert np.isfinite([fact.measured for fact in laws._parabola()]).all()


TOP = curvature.top
