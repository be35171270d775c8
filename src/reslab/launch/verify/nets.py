"""Real nets at initialisation: responses, what explodes at which depth, pairs that share their weights."""

from collections.abc import Iterator

import torch

from reslab.launch.verify.fact import ABOVE, BELOW, EXACT, Fact, distance, factor
from reslab.launch.verify.real import geometric_mean, name, real_net, smooth
from reslab.launch.verify.toy import value
from reslab.nets import identity_padding
from reslab.nets.build import Net
from reslab.probes import branches, signal
from reslab.probes.reading import Reading

BEFORE = "measured with other code"
IMAGES = 128
RATIOS = {  # gradient norms at the first over the last unit, and of the first over the last convolution's weight
    ("none", 20): (17.7, 8.9),
    ("none", 56): (1.0e4, 3.9e3),
    ("identity", 20): (4.6, 2.2),
    ("identity", 56): (18.6, 8.6),
    ("projection_all", 20): (10.9, 5.4),
    ("projection_all", 56): (1.2e3, 343),
}
BRANCHES = {20: (0.86, 0.54), 56: (0.285, 0.16)}  # last unit of the first stage, last unit of the net


def facts() -> Iterator[Fact]:
    """Nets of He 2015, section 4.2, on smooth random images, 128 in one chunk."""
    yield from _pairs()
    yield from _padding()
    yield from _responses()
    yield from _ratios()
    yield from _deep()


def _pairs() -> Iterator[Fact]:
    """A plain net and its residual twins of one seed: how many of the plain net's tensors the twin has not bitwise."""
    plain = real_net("none", 20).state_dict()
    for shortcut in ("identity", "projection", "projection_all"):
        twin = real_net(shortcut, 20).state_dict()
        differ = sum(key not in twin or not torch.equal(value, twin[key]) for key, value in plain.items())
        law = f"tensors of plain-20 that {name(shortcut, 20)} of the same seed has not"
        yield Fact(law, "matched pairs", 0, differ, EXACT)
    yield Fact(
        "tensors of plain-20 beside ResNet-20-A",
        "matched pairs",
        len(plain),
        len(real_net("identity", 20).state_dict()),
        EXACT,
    )


def _padding() -> Iterator[Fact]:
    """Plain-20 made 36 layers deeper by units that are the identity, after its norms have seen some images."""
    shallow, deep, images = real_net("none", 20), real_net("none", 56, seed=1), smooth(IMAGES, seed=0).images
    assert isinstance(shallow, Net)
    assert isinstance(deep, Net)
    with torch.no_grad():
        shallow.train()(images)
        identity_padding.pad(shallow, deep, images)
        apart = [(shallow.train(mode)(images) - deep.train(mode)(images)).abs().max().item() for mode in (False, True)]
    yield Fact("plain-20 padded to 56 layers, eval mode: largest |dy|", "He 2015, section 1", 0, apart[0], EXACT)
    yield Fact("the same in train mode", "He 2015, section 1", 0, apart[1], distance(1e-4))


def _responses() -> Iterator[Fact]:
    for shortcut, depth in (("none", 20), ("identity", 20), ("identity", 56)):
        found = branches.branch_ratio(real_net(shortcut, depth), smooth(IMAGES, seed=0), bn="train")
        stds = signal.by_layer(found, "response_std").values()
        law = f"{name(shortcut, depth)}: standard deviation of a layer's response, furthest"
        yield Fact(law, "BatchNorm; He 2015, Fig. 7", 1, max(stds, key=lambda std: abs(std - 1)), distance(1e-4))
        if shortcut == "identity":
            n = depth // 6
            for at, expected in zip((f"trunk.0.{n - 1}", f"trunk.2.{n - 1}"), BRANCHES[depth], strict=True):
                law = f"{name(shortcut, depth)}: branch / shortcut variance at {at}"
                yield Fact(law, BEFORE, expected, value(found, at, "variance_ratio"), factor(2.0))


def _ratios() -> Iterator[Fact]:
    for (shortcut, depth), ratios in RATIOS.items():
        found = [_measured(shortcut, depth, seed) for seed in (0, 1)]
        for statistic, expected in zip(("gradient_ratio", "weight_gradient_ratio"), ratios, strict=True):
            what = "weight gradient" if statistic.startswith("weight") else "gradient"
            measured = geometric_mean([value(one, "trunk", statistic) for one in found])
            yield Fact(f"{name(shortcut, depth)}: {what}, first / last", BEFORE, expected, measured, factor(2.0))


def _deep() -> Iterator[Fact]:
    for shortcut, bound, tolerance in (("none", 1e6, ABOVE), ("identity", 100, BELOW), ("projection_all", 1e4, ABOVE)):
        measured = value(_measured(shortcut, 110, 0), "trunk", "gradient_ratio")
        yield Fact(f"{name(shortcut, 110)}: gradient, first / last", BEFORE, bound, measured, tolerance)


def _measured(shortcut: str, depth: int, seed: int) -> list[Reading]:
    return signal.signal_propagation(real_net(shortcut, depth, seed=seed), smooth(IMAGES, seed=seed), bn="train")
