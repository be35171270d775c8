"""Linear probes against scikit-learn and the normal equations; invariances; features that say all, or nothing."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from probes import slow
from reslab.probes import linear
from reslab.probes.addresses import units

CLASSES = 5


def drawn(n=400, d=12, seed=0):
    """Correlated features far from zero, that say a part of the label."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (n,), generator=draw)
    features = torch.randn(n, d, generator=draw, dtype=torch.float64)
    features[:, :CLASSES] += F.one_hot(labels, CLASSES)
    mix = torch.randn(d, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)  # of all draws
    return features @ mix + 30, labels


def probe(features, labels, **settings):
    return linear.fit(linear.moments(features, labels, classes=CLASSES), **settings)


def one_hot(labels):
    return np.eye(CLASSES)[labels.numpy()]


@pytest.mark.parametrize("strength", [1e-6, 1e-2, 10.0])
def test_it_is_the_ridge_of_scikit_learn(strength):
    features, labels = drawn()
    scaled = StandardScaler().fit_transform(features.numpy())
    theirs = Ridge(alpha=strength * len(labels)).fit(scaled, one_hot(labels))
    ours = probe(features, labels, strengths=[strength])
    np.testing.assert_allclose(ours(features).numpy(), theirs.predict(scaled), rtol=0, atol=1e-9)


@pytest.mark.parametrize("strength", [1e-4, 1.0])
def test_it_solves_the_normal_equations(strength):
    """The gradient of mean squared error + strength |W|², of standardised features, is zero, and so the intercept's."""
    features, labels = drawn()
    ours, z = probe(features, labels, strengths=[strength]), (features - features.mean(0)) / features.std(0, False)
    left = ours(features) - F.one_hot(labels, CLASSES)
    weight = ours.weight * features.std(0, False)[:, None]
    torch.testing.assert_close(
        z.T @ left / len(labels) + strength * weight, torch.zeros_like(weight), rtol=0, atol=1e-9
    )
    torch.testing.assert_close(left.mean(0), torch.zeros(CLASSES, dtype=torch.float64), rtol=0, atol=1e-9)


def test_the_penalty_is_that_of_cross_validation_with_the_whole_hat_matrix():
    for n, d in ((40, 30), (60, 12), (400, 12)):
        features, labels = drawn(n, d, seed=n)
        z, targets = StandardScaler().fit_transform(features.numpy()), one_hot(labels)
        scores = []
        for strength in linear.STRENGTHS:
            hat = z @ np.linalg.solve(z.T @ z + n * strength * np.eye(d), z.T) + 1 / n
            residual = targets - hat @ targets
            scores.append((residual**2).sum() / n / (1 - np.trace(hat) / n) ** 2)
        assert probe(features, labels).strength == linear.STRENGTHS[int(np.argmin(scores))]


def test_it_reads_new_images_as_well_as_the_ridge_that_leaves_one_out():
    (features, labels), (new, truth) = drawn(), drawn(2000, seed=7)
    scaler = StandardScaler().fit(features.numpy())
    alphas = [strength * len(labels) for strength in linear.STRENGTHS]
    theirs = RidgeCV(alphas=alphas).fit(scaler.transform(features.numpy()), one_hot(labels))
    wrong = (theirs.predict(scaler.transform(new.numpy())).argmax(1) != truth.numpy()).mean()
    ours = (probe(features, labels)(new).argmax(1) != truth).double().mean().item()
    assert 0.1 < wrong < 0.7  # neither trivial nor chance
    assert ours == pytest.approx(wrong, abs=0.01)


def test_batches_add_up():
    features, labels = drawn()
    whole = linear.moments(features, labels, classes=CLASSES)
    for size in (1, 7, 399):
        parts = zip(features.split(size), labels.split(size), strict=True)
        merged, *rest = (linear.moments(x, y, classes=CLASSES) for x, y in parts)
        for part in rest:
            merged = merged.merged(part)
        assert merged.n == whole.n
        for name in ("mean", "scatter", "cross", "shares"):
            torch.testing.assert_close(getattr(merged, name), getattr(whole, name), rtol=1e-10, atol=1e-8)


def test_a_far_mean_costs_no_digits():
    features, labels = drawn()
    near, far = probe(features, labels), probe(features + 1e6, labels)
    torch.testing.assert_close(near(features), far(features + 1e6), rtol=0, atol=1e-5)


def test_scale_and_place_of_features_do_not_matter():
    (features, labels), (new, _) = drawn(), drawn(seed=3)
    scale = torch.logspace(-4, 4, features.shape[1], dtype=torch.float64)
    one, other = probe(features, labels), probe(features * scale - 5, labels)
    assert one.strength == other.strength
    torch.testing.assert_close(one(new), other(new * scale - 5), rtol=0, atol=1e-8)


def test_turning_centred_features_turns_the_weights():
    features, labels = drawn()
    turn = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64))[0]
    found = linear.moments(features, labels, classes=CLASSES)
    settings = {"variance": 0.8, "n": found.n, "strengths": linear.STRENGTHS}
    gram, cross = found.scatter / found.n, found.cross / found.n
    weight, strength = linear.ridge(gram, cross, **settings)
    turned, same = linear.ridge(turn.T @ gram @ turn, turn.T @ cross, **settings)
    assert strength == same
    torch.testing.assert_close(turn @ turned, weight, rtol=0, atol=1e-8)


def test_features_that_are_the_labels_are_read_without_error():
    _, labels = drawn()
    features = F.one_hot(labels, CLASSES).double()
    assert (probe(features, labels)(features).argmax(1) == labels).all()


def test_noise_is_read_at_chance():
    draw = torch.Generator().manual_seed(5)
    labels = torch.randint(0, CLASSES, (4000,), generator=draw)
    features = torch.randn(4000, 12, generator=draw, dtype=torch.float64)
    wrong = (probe(features[:2000], labels[:2000])(features[2000:]).argmax(1) != labels[2000:]).sum().item()
    low, high = binom.interval(0.9999, 2000, 1 - 1 / CLASSES)
    assert low <= wrong <= high


def test_constant_features_say_nothing():
    features, labels = drawn()
    more = torch.cat([features, torch.zeros(400, 1), torch.full((400, 1), 1 / 3)], 1)
    one, other = probe(features, labels), probe(more, labels)
    assert (other.weight[12:] == 0).all()
    torch.testing.assert_close(one(features), other(more), rtol=0, atol=1e-9)
    blind = probe(torch.ones(400, 3, dtype=torch.float64), labels)
    torch.testing.assert_close(blind.bias, labels.bincount(minlength=CLASSES) / 400.0, check_dtype=False)


def test_a_feature_that_overflows_is_wrong_and_no_crash():
    features, labels = drawn()
    features[3, 2] = math.inf
    found = probe(features, labels)
    assert math.isnan(found.strength)
    assert not torch.isfinite(found(features)).any()


def batches(n=96, size=32):
    shown = slow.batch(n, size)
    return shown, list(shown.chunks())


@pytest.mark.parametrize("name", ["none-post-batch", "identity-pre-batch", "projection_all-post-absent"])
def test_a_net_is_read_at_the_stem_and_after_every_unit(name):
    net = slow.net(name)
    shown, chunks = batches()
    net.train()(shown.images)  # so that running statistics are of no fresh net
    state = {key: value.clone() for key, value in net.state_dict().items()}
    probes = linear.linear_probes(net, chunks, classes=10)
    found = linear.errors(net, probes, chunks)
    assert net.training
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    net.eval()
    outputs, _, logits = slow.walk(net, shown.images)
    assert list(probes) == list(outputs) == ["stem", *units(net)]
    for layer, h in outputs.items():
        features = h.detach().double().mean((2, 3))
        own = linear.fit(linear.moments(features, shown.labels, classes=10))
        torch.testing.assert_close(probes[layer](features), own(features), rtol=0, atol=1e-5)
        assert found[layer] == pytest.approx((own(features).argmax(1) != shown.labels).double().mean().item(), abs=1e-2)
    assert found[linear.HEAD] == (logits.argmax(1) != shown.labels).double().mean().item()


def test_no_images_are_refused():
    net = slow.net("none-post-batch")
    with pytest.raises(ValueError, match="no images to fit"):
        linear.linear_probes(net, [], classes=10)
    with pytest.raises(ValueError, match="no images to measure"):
        linear.errors(net, {}, [])
