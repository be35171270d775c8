"""Linear probes: the closed form, features that say everything, labels that say nothing."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from reslab.launch.verify.fact import ABOVE, EXACT, Fact, distance
from reslab.probes import linear

IMAGES, FEATURES, CLASSES = 4000, 24, 10


def facts() -> Iterator[Fact]:
    """On random features of random images; nothing is trained."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (2 * IMAGES,), generator=draw)
    noise = torch.randn(2 * IMAGES, FEATURES, generator=draw, dtype=torch.float64)
    mixed = noise @ torch.randn(FEATURES, FEATURES, generator=draw, dtype=torch.float64) + 5
    mixed[:, :CLASSES] += F.one_hot(labels, CLASSES)
    yield from _closed_form(mixed[:IMAGES], labels[:IMAGES])
    said = F.one_hot(labels, CLASSES).double()
    yield Fact("error of a probe on labels as features", "by hand", 0, _error(said, labels), EXACT)
    chance, spread = 1 - 1 / CLASSES, (0.09 / IMAGES) ** 0.5
    law = f"error of a probe on features of noise, {CLASSES} classes"
    yield Fact(law, "binomial, 4 deviations", chance, _error(noise, labels), distance(4 * spread))
    stretched = mixed * torch.logspace(-3, 3, FEATURES, dtype=torch.float64) + 7
    apart = abs(_error(stretched, labels) - _error(mixed, labels))
    yield Fact("error of a probe when features are rescaled and moved: change", "standardised", 0, apart, EXACT)
    deaf = _probe(noise[:IMAGES], labels[:IMAGES]).strength / _probe(said[:IMAGES], labels[:IMAGES]).strength
    yield Fact("penalty that noise asks for over that of labels as features", "cross-validation", 1, deaf, ABOVE)


def _closed_form(features: Tensor, labels: Tensor) -> Iterator[Fact]:
    """Against least squares on all images, the penalty as further rows and the intercept as a further column."""
    centred = (features - features.mean(0)) / features.std(0, correction=0)
    targets = F.one_hot(labels, CLASSES).double()
    for strength in (1e-4, 1.0):
        probe = linear.fit(linear.moments(features, labels, classes=CLASSES), strengths=[strength])
        penalty = torch.eye(FEATURES, dtype=torch.float64) * (strength * len(labels)) ** 0.5
        rows = torch.cat([F.pad(centred, (0, 1), value=1.0), F.pad(penalty, (0, 1))])
        direct = torch.linalg.lstsq(rows, torch.cat([targets, targets.new_zeros(FEATURES, CLASSES)])).solution
        apart = (probe(features) - (centred @ direct[:-1] + direct[-1])).abs().max().item()
        law = f"scores of a probe, penalty {strength:g}: largest distance to least squares"
        yield Fact(law, "two ways to solve it", 0, apart, distance(1e-9))


def _probe(features: Tensor, labels: Tensor) -> linear.Probe:
    return linear.fit(linear.moments(features, labels, classes=CLASSES))


def _error(features: Tensor, labels: Tensor) -> float:
    """On the second half of the images, fitted on the first."""
    probe = _probe(features[:IMAGES], labels[:IMAGES])
    return (probe(features[IMAGES:]).argmax(1) != labels[IMAGES:]).double().mean().item()
