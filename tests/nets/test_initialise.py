"""Initial values against the formulas of their laws."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from cells import net
from reslab.nets.initialise import Law, initialise

CONV = nn.Conv2d(24, 48, 3, bias=True)  # 10,368 weights; fan in 24 * 9, fan out 48 * 9
LINEAR = nn.Linear(200, 50)
FANS = {
    "Conv2d": {"in": 216, "out": 432, "average": 324},
    "Linear": {"in": 200, "out": 50, "average": 125},
}


def drawn(module, law, seed=0):
    """Weights of a fresh copy of the module, initialised by this law."""
    copy = nn.Sequential()
    copy.add_module("layer", type(module)(*arguments(module)))
    initialise(copy, seed=seed, conv=law, linear=law)
    return copy.layer.weight.detach().numpy().astype(np.float64).ravel()


def arguments(module):
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    return module.in_channels, module.out_channels, module.kernel_size


@pytest.mark.parametrize("module", [CONV, LINEAR], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("fan", ["in", "out", "average"])
@pytest.mark.parametrize("gain", [1.0, 2.0])
@pytest.mark.parametrize("shape", ["normal", "truncated", "uniform"])
def test_variance_is_gain_over_fan(shape, gain, fan, module):
    weights = drawn(module, Law(shape=shape, gain=gain, fan=fan))
    variance = gain / FANS[type(module).__name__][fan]
    n = len(weights)
    # standard error of a variance is variance * sqrt((kurtosis - 1) / n), at most that of the normal's kurtosis 3
    assert weights.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / n))
    assert abs(weights.mean()) < 5 * math.sqrt(variance / n)


@pytest.mark.parametrize(
    ("shape", "law"),
    [
        ("normal", stats.norm()),
        ("truncated", stats.truncnorm(-2, 2, scale=1 / stats.truncnorm(-2, 2).std())),
        ("uniform", stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))),
    ],
)
def test_distribution(shape, law):
    weights = drawn(CONV, Law(shape=shape, gain=2.0, fan="in")) / math.sqrt(2 / 216)
    assert stats.kstest(weights, law.cdf).pvalue > 1e-3
    others = {"normal", "truncated", "uniform"} - {shape}
    for other in others:  # the test can tell the laws apart, normal and truncated least of all
        wrong = drawn(CONV, Law(shape=other, gain=2.0, fan="in")) / math.sqrt(2 / 216)
        assert stats.kstest(wrong, law.cdf).pvalue < 1e-3


def test_truncated_is_bounded_at_two_standard_deviations_before_rescaling():
    weights = drawn(CONV, Law(shape="truncated", gain=2.0, fan="in"))
    # Keras divides by .87962566103423978, the standard deviation of a normal cut at two
    bound = 2 * math.sqrt(2 / 216) / 0.87962566103423978
    assert abs(weights).max() <= bound * (1 + 1e-6)
    assert abs(weights).max() > 0.97 * bound
    normal = drawn(CONV, Law(shape="normal", gain=2.0, fan="in"))
    assert abs(normal).max() > bound


def test_uniform_is_bounded_by_the_limit_of_glorot():
    weights = drawn(CONV, Law(shape="uniform", gain=1.0, fan="average"))
    limit = math.sqrt(6 / (216 + 432))  # Glorot and Bengio 2010, Eqn. 16
    assert abs(weights).max() <= limit * (1 + 1e-6)
    assert abs(weights).max() > 0.99 * limit


@pytest.mark.parametrize("words", [(), ("norm=group",), ("order=pre",), ("block=keras", "net=keras")])
def test_biases_are_zero_and_norm_weights_one(words):
    biases = norms = 0
    for module in net(*words, depth=8, width=8).modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            norms += 1
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
        elif getattr(module, "bias", None) is not None:
            biases += 1
            assert (module.bias == 0).all()
    assert norms
    assert biases == (8 if "block=keras" in words else 1)


def test_every_parameter_is_set():
    built = net(depth=8, width=8)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.fill_(torch.nan)
    law = Law(shape="normal", gain=2.0, fan="out")
    initialise(built, seed=0, conv=law, linear=law)
    assert all(parameter.isfinite().all() for parameter in built.parameters())


@pytest.mark.parametrize(
    ("init", "conv", "linear"),  # variances for 16 to 16 channels of 3x3 and for 64 to 10 in the classifier
    [
        ("he", 2 / 144, 2 / 64),  # He et al. 2015, Delving Deep, Eqn. 14 (fan out for convolutions)
        ("glorot", 1 / 144, 2 / 74),  # Glorot and Bengio 2010: 2 / (fan in + fan out)
        ("keras_he", 2 / 144, 2 / 64),  # Keras he_normal: fan in
    ],
)
def test_configs(init, conv, linear):
    built = net(f"init={init}", depth=8)
    weights = built.trunk[0][0].branch.conv1.weight
    assert weights.var().item() == pytest.approx(conv, rel=5 * math.sqrt(2 / weights.numel()))
    assert built.head.linear.weight.var().item() == pytest.approx(linear, rel=5 * math.sqrt(2 / 640))


@pytest.mark.parametrize(("init", "fan"), [("he", 32 * 9), ("keras_he", 16 * 9), ("glorot", 2 * 24 * 9)])
def test_fan_where_channels_change(init, fan):
    weights = net(f"init={init}", depth=8).trunk[1][0].branch.conv1.weight
    assert weights.shape == (32, 16, 3, 3)
    assert weights.var().item() == pytest.approx(2 / fan, rel=5 * math.sqrt(2 / weights.numel()))


def test_weights_do_not_depend_on_what_was_drawn_before():
    law = Law(shape="normal", gain=2.0, fan="in")
    one = drawn(CONV, law)
    drawn(LINEAR, law)
    assert (drawn(CONV, law) == one).all()
    assert (drawn(CONV, law, seed=1) != one).mean() > 0.99
