"""Verify passes on the probes as they are, and fails on broken ones, each in a law that names what broke."""

import math

import pytest
import torch

from reslab.launch.verify import nets, propagation, turning
from reslab.launch.verify.fact import ABOVE, BELOW, EXACT, Fact, Topic, distance, factor, share
from reslab.launch.verify.topics import TOPICS, measured
from reslab.probes import branches, geometry, signal


def failed(facts):
    return [fact.law for fact in facts if not fact.passed]


@pytest.mark.parametrize(
    ("tolerance", "inside", "outside"),
    [
        (EXACT, [2.0], [2.0000001, math.nan, math.inf]),
        (share(0.1), [1.81, 2.19], [1.79, 2.21, math.nan]),
        (distance(0.5), [1.5, 2.5], [1.4, 2.6, -math.inf]),
        (factor(2.0), [1.0, 4.0], [0.9, 4.1, -2.0, 0.0]),
        (ABOVE, [2.1], [2.0, 1.0, math.inf]),
        (BELOW, [1.9], [2.0, -math.inf]),
    ],
)
def test_a_tolerance_has_two_sides(tolerance, inside, outside):
    assert all(tolerance.holds(2.0, value) for value in inside)
    assert not any(tolerance.holds(2.0, value) for value in outside)


def test_update_geometry_and_identity_padding_are_as_the_laws_say():
    assert failed(turning.facts()) == []
    assert failed(nets._padding()) == []
    assert failed(nets._pairs()) == []


def test_a_topic_that_raises_is_a_law_that_does_not_hold(capsys):
    def broken():
        yield Fact("fine", "here", 1, 1, EXACT)
        raise ValueError("no such layer")

    (_, fine), (_, bad) = measured(lambda said: None, [Topic("odd", broken)])
    assert fine.passed
    assert not bad.passed
    assert "no such layer" in bad.law
    assert "Traceback" in capsys.readouterr().err


def test_every_topic_has_a_name_of_its_own():
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)


def degrees(before, after, gradients, **settings):
    found = ORIGINAL["update_geometry"](before, after, gradients, **settings)
    return [r._replace(value=math.degrees(r.value)) if r.statistic == "angle" else r for r in found]


def unsquared_equilibrium(*, lr, weight_decay, momentum):
    return math.sqrt(2 * lr * weight_decay)


def stale_gradient(before, after, gradients, **settings):
    return ORIGINAL["update_geometry"](before, after, {n: 2 * g for n, g in gradients.items()}, **settings)


ORIGINAL = {"update_geometry": geometry.update_geometry, "slope": signal.slope, "moments": branches.moments}


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("update_geometry", degrees),
        ("equilibrium_angle", unsquared_equilibrium),
        ("update_geometry", stale_gradient),
    ],
)
def test_a_broken_geometry_fails_it(monkeypatch, name, broken):
    monkeypatch.setattr(geometry, name, broken)
    assert failed(turning.facts())


@pytest.mark.parametrize("what", ["gradient norm squared", "growth per unit and not per layer"])
def test_a_broken_signal_probe_fails_it(monkeypatch, what):
    norm, slope = signal.norm, signal.slope
    broken = {
        "gradient norm squared": ("norm", lambda tensor: norm(tensor) ** 2),
        "growth per unit and not per layer": ("slope", lambda values, steps: 2 * slope(values, steps)),
    }[what]
    monkeypatch.setattr(signal, *broken)
    assert failed(next_of(propagation.plain_facts()))


@pytest.mark.parametrize("what", ["variance for second moment", "biased by a mean"])
def test_a_broken_branch_probe_fails_it(monkeypatch, what):
    def broken(h):
        variance, second = ORIGINAL["moments"](h)
        return (variance, variance) if what.startswith("variance") else (second, second)

    monkeypatch.setattr(branches, "moments", broken)
    assert failed(next_of(propagation.residual_facts(), 12))


def test_a_variance_of_a_sample_fails_it(monkeypatch):
    """With n - 1: sixteen images after BatchNorm would have the variance 16/15."""
    var_mean = torch.var_mean
    monkeypatch.setattr(torch, "var_mean", lambda h, dim, correction: var_mean(h, dim=dim, correction=1))
    assert "variance of a channel after BatchNorm" in failed(propagation._linear())


def next_of(facts, many=2):
    """The first few: what is broken shows there, and the rest takes long."""
    return [fact for _, fact in zip(range(many), facts, strict=False)]
