"""Curvature against the whole Hessian, dense eigenvalues, curvlinops and closed forms."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn import functional as F

from probes import slow
from reslab.probes import curvature
from reslab.probes.copies import copy_of
from reslab.probes.curvature import Hessian, threshold, top
from reslab.probes.slices import filter_norms


def tiny():
    """Convolution, BatchNorm in eval mode, ReLU, linear: 77 parameters, double precision."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4)).double()
    net.train()(torch.randn(64, 2, 4, 4, dtype=torch.float64))
    return net.eval()


def shown(n=24):
    draw = torch.Generator().manual_seed(1)
    return torch.randn(n, 2, 4, 4, generator=draw, dtype=torch.float64), torch.randint(0, 4, (n,), generator=draw)


def whole(net, images, labels):
    """All second derivatives, block by block, by reverse mode twice."""
    weights = {name: weight.detach() for name, weight in net.named_parameters()}
    blocks = jacrev(jacrev(lambda w: F.cross_entropy(functional_call(net, w, (images,)), labels)))(weights)
    rows = [
        torch.cat([blocks[a][b].reshape(weights[a].numel(), weights[b].numel()) for b in weights], 1) for a in weights
    ]
    return torch.cat(rows).numpy()


@pytest.mark.parametrize("chunk", [5, 24, 100])
def test_products_are_those_of_the_whole_matrix(chunk):
    net, (images, labels) = tiny(), shown()
    ours, dense = Hessian(net, images, labels, chunk=chunk), whole(net, images, labels)
    assert dense.shape == (ours.size, ours.size)
    for v in np.random.Generator(np.random.PCG64(0)).normal(size=(3, ours.size)):
        np.testing.assert_allclose(ours(v), dense @ v, rtol=1e-9, atol=1e-12)
    assert ours.products == 3
    assert ours.loss() == pytest.approx(F.cross_entropy(net(images), labels).item(), rel=1e-12)
    assert all(weight.grad is None for weight in net.parameters())


def test_eigenvalues_are_those_of_the_whole_matrix():
    net, (images, labels) = tiny(), shown()
    ours, dense = Hessian(net, images, labels, chunk=10), whole(net, images, labels)
    scales = np.concatenate([filter_norms(w.detach()).expand_as(w).reshape(-1).numpy() for w in net.parameters()])
    for product, matrix in ((ours, dense), (ours.normalised, scales[:, None] * dense * scales)):
        expected = np.linalg.eigvalsh(matrix)[::-1][:3]
        found = top(product, ours.size, count=3, tolerance=1e-8)
        assert [one.value for one in found] == pytest.approx(expected.tolist(), rel=1e-6)
        assert all(one.residual < 1e-5 * expected[0] for one in found)


def test_scales_and_shifts_are_held_still_when_filters_are_normalised():
    net, (images, labels) = tiny(), shown()
    ours = Hessian(net, images, labels, chunk=24)
    sizes = {name: weight.numel() for name, weight in net.named_parameters()}
    parts = dict(zip(sizes, np.split(ours.scales(), np.cumsum(list(sizes.values()))[:-1]), strict=True))
    assert [name for name, part in parts.items() if (part == 0).all()] == ["0.bias", "1.weight", "1.bias", "4.bias"]
    for row, scale in zip(net[4].weight, parts["4.weight"].reshape(4, 12), strict=True):
        assert scale == pytest.approx(row.norm().item())


def test_a_net_in_single_precision_is_near_the_one_in_double():
    net, batch = slow.net("identity-post-batch"), slow.batch(64, 64)
    net.train()(batch.images)
    one = Hessian(copy_of(net, bn="eval"), batch.images, batch.labels, chunk=20)
    other = Hessian(copy_of(net, bn="eval").double(), batch.images.double(), batch.labels, chunk=64)
    v = np.random.Generator(np.random.PCG64(0)).normal(size=one.size)
    assert np.linalg.norm(one(v) - other(v)) < 1e-4 * np.linalg.norm(other(v))
    ours, exact = (top(h, h.size, count=1, tolerance=1e-4)[0] for h in (one, other))
    assert ours.value == pytest.approx(exact.value, rel=1e-3)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # of a package that it imports
@pytest.mark.real("curvlinops, as oracle of the Hessian")
def test_it_is_the_hessian_of_curvlinops():
    from curvlinops import HessianLinearOperator

    net, batch = slow.net("none-post-batch"), slow.batch(48, 48)
    net.train()(batch.images)
    measured = copy_of(net, bn="eval").double().to(memory_format=torch.contiguous_format)
    images = batch.images.double()
    ours = Hessian(measured, images, batch.labels, chunk=20)
    weights = list(measured.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = HessianLinearOperator(
            measured, nn.CrossEntropyLoss(), weights, [(images, batch.labels)], check_deterministic=False
        )
    for v in np.random.Generator(np.random.PCG64(0)).normal(size=(2, ours.size)):
        np.testing.assert_allclose(ours(v), (theirs @ torch.from_numpy(v)).numpy(), rtol=1e-8, atol=1e-10)


def test_nothing_is_found_where_the_loss_is_no_number():
    found = top(lambda v: v * np.nan, 10, count=2, tolerance=1e-3)
    assert len(found) == 2
    assert all(np.isnan(one.value) for one in found)


def test_what_has_not_converged_is_no_number(monkeypatch):
    def stopped(*arguments, **settings):
        raise curvature.ArpackNoConvergence("no", np.array([3.0]), np.eye(4)[:, :1])

    monkeypatch.setattr(curvature, "eigsh", stopped)
    found = top(lambda v: 3 * v, 4, count=2, tolerance=1e-3)
    assert (found[0].value, found[0].residual) == (3.0, 0.0)
    assert np.isnan(found[1].value)


def test_a_count_that_cannot_be():
    for count in (0, 5):
        with pytest.raises(ValueError, match="not from 1 to 4"):
            top(lambda v: v, 5, count=count, tolerance=1e-3)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_beyond_the_threshold_a_parabola_diverges(momentum, nesterov):
    limit = threshold(lr=0.1, momentum=momentum, nesterov=nesterov)
    for curve, grows in ((0.98 * limit, False), (1.02 * limit, True)):
        w = nn.Parameter(torch.ones(1, dtype=torch.float64))
        sgd = torch.optim.SGD([w], lr=0.1, momentum=momentum, nesterov=nesterov)
        for _ in range(2000):
            sgd.zero_grad()
            (0.5 * curve * w.square()).sum().backward()
            sgd.step()
        assert (w.abs().item() > 1e3) == grows
