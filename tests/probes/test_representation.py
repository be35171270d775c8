"""Ranks against numpy's full decomposition, dead channels against loops; limits and what must not matter."""

import math

import numpy as np
import pytest
import torch

from probes import slow
from reslab.probes.rank import effective_rank, ranks
from reslab.probes.reading import ProbeBatch
from reslab.probes.signal import by_layer
from reslab.probes.units import dead_units


def slowly(matrix):
    values = np.linalg.svd(matrix.numpy(), compute_uv=False)
    shares = [v / values.sum() for v in values if v > 0]
    return math.exp(-sum(p * math.log(p) for p in shares)), (values**2).sum() / values[0] ** 2


@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (5, 1)])
def test_ranks_are_those_of_a_full_decomposition(shape):
    matrix = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert ranks(matrix) == pytest.approx(slowly(matrix))
    turn, _ = torch.linalg.qr(torch.randn(shape[1], shape[1], dtype=torch.float64))
    assert ranks(-7 * matrix @ turn) == pytest.approx(slowly(matrix))


def test_limits_of_rank():
    assert ranks(torch.eye(9).double()) == pytest.approx((9, 9))
    assert ranks(torch.ones(4, 6).double()) == pytest.approx((1, 1))
    assert all(math.isnan(r) for r in ranks(torch.zeros(3, 3)))
    assert all(math.isnan(r) for r in ranks(torch.full((2, 2), math.inf)))


@pytest.mark.parametrize("bn", ["train", "eval", "frozen"])
@pytest.mark.parametrize("name", ["none-post-batch", "identity-pre-batch", "identity-post-absent"])
def test_ranks_of_a_net_are_those_of_its_pooled_features(name, bn):
    model, shown = slow.net(name), slow.batch()
    found = {(r.layer, r.statistic): r.value for r in effective_rank(model, shown, bn=bn)}
    with torch.no_grad():
        features = {}
        for outputs, _, _ in slow_outputs(model, shown, bn):
            for layer, h in outputs.items():
                features.setdefault(layer, []).append(h.double().mean((2, 3)))
    for layer in ("trunk.0.0", "trunk.2.0"):
        raw = torch.cat(features[layer])
        centred = raw - raw.mean(0)
        effective, stable = slowly(centred)
        assert found[layer, "effective_rank"] == pytest.approx(effective, rel=1e-4)
        assert found[layer, "stable_rank"] == pytest.approx(stable, rel=1e-4)
        assert found[layer, "rank_share"] == pytest.approx(effective / min(23, raw.shape[1]), rel=1e-4)
        assert found[layer, "effective_rank_raw"] == pytest.approx(slowly(raw)[0], rel=1e-4)
    weight = model.trunk[1][0].branch.conv1.weight.detach().double().flatten(1)
    assert found["trunk.1.0.branch.conv1", "weight_effective_rank"] == pytest.approx(slowly(weight)[0])


def slow_outputs(model, shown, bn):
    with torch.enable_grad():
        return [(outs, paths, None) for outs, paths, _ in slow.by_hand(model, shown, bn)]


@pytest.mark.parametrize("bn", ["train", "eval", "frozen"])
@pytest.mark.parametrize("order", ["post", "pre"])
def test_dead_and_dormant_channels_against_loops(order, bn):
    model, shown = slow.net(f"identity-{order}-batch"), slow.batch()
    norm = model.trunk[0][0].branch.norm1  # in both orders a ReLU follows it
    with torch.no_grad():
        norm.weight[:] = torch.tensor([0.0, 0.0, 1.0, 1.0])
        norm.bias[:] = torch.tensor([-1.0, 1e-3, 1.0, 1.0])
    found = by_layer(dead_units(model, shown, bn=bn), "dead")
    dormant = by_layer(dead_units(model, shown, bn=bn), "dormant")
    first = "trunk.0.0.branch.act1"
    assert (found[first], dormant[first]) == (0.25, 0.5)
    others = {name: share for name, share in found.items() if name not in (first, "trunk")}
    channels = {name: model.get_submodule(name.rpartition(".")[0]) for name in others}
    assert set(others.values()) == {0.0}
    assert len(channels) == 6
    widths = [4, 4, 4, 8, 8, 16, 16]
    assert found["trunk"] == pytest.approx(1 / sum(widths))


def test_a_channel_that_lives_in_one_chunk_is_alive():
    model = slow.net("none-post-absent")
    images = torch.zeros(4, 1, 8, 8)
    images[3] = 1.0
    shown = ProbeBatch(images, torch.zeros(4, dtype=torch.int64), 2)
    alone = by_layer(dead_units(model, ProbeBatch(images[:2], shown.labels[:2], 2), bn="eval"), "dead")
    assert alone["stem.act1"] == 1.0
    assert by_layer(dead_units(model, shown, bn="eval"), "dead")["stem.act1"] < 1.0


def test_no_relu_and_no_number():
    model = slow.net("none-post-batch")
    with torch.no_grad():
        model.trunk[0][0].branch.conv1.weight.fill_(math.nan)
    found = by_layer(dead_units(model, slow.batch(), bn="train"), "dead")
    assert found["stem.act1"] == 0.0
    assert math.isnan(found["trunk.2.0.after.act1"])
    assert math.isnan(found["trunk"])
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.ReLU):
            model.get_submodule(name.rpartition(".")[0])._modules[name.rpartition(".")[2]] = torch.nn.LeakyReLU()
    assert [r.layer for r in dead_units(model, slow.batch(), bn="train")] == ["trunk", "trunk"]
