"""Cosines between gradients of images, against loops by hand, one image at a time."""

import copy
import math

import pytest
import torch

from probes import slow
from reslab.probes.shattering import mean_cosine, shattered_gradients
from reslab.probes.signal import by_layer


@pytest.mark.parametrize("bn", ["eval", "frozen"])
@pytest.mark.parametrize("name", ["none-post-batch", "identity-pre-batch", "projection_all-post-absent"])
def test_it_is_what_one_image_at_a_time_gives(name, bn, monkeypatch):
    model, shown = slow.net(name), slow.batch(n=6, chunk=6)
    chosen = torch.linspace(-1, 2, 10)
    monkeypatch.setattr("reslab.probes.shattering._direction", lambda logits: chosen)
    found = by_layer(shattered_gradients(model, shown, bn=bn), "gradient_cosine")
    other = copy.deepcopy(model).train(bn == "train")
    if bn == "frozen":
        slow.constant(other)
    gradients = {layer: [] for layer in found}
    for image in range(6):  # all images are shown, since they make the statistics; one is asked
        outputs, _, logits = slow.walk(other, shown.images)
        kept = [outputs[layer] for layer in found]
        for layer, gradient in zip(found, torch.autograd.grad(logits[image] @ chosen, kept), strict=True):
            gradients[layer].append(gradient[image].double().flatten())
    for layer, value in found.items():
        cosines = []
        for a in range(6):
            for b in range(a):
                one, two = gradients[layer][a], gradients[layer][b]
                cosines.append((one @ two / one.norm() / two.norm()).item())
        assert value == pytest.approx(sum(cosines) / len(cosines), abs=2e-5)


def test_alike_opposite_and_absent_gradients():
    row = torch.randn(1, 2, 3, 3)
    assert mean_cosine(row.repeat(4, 1, 1, 1)) == pytest.approx(1.0)
    assert mean_cosine(torch.cat([row, -5 * row])) == pytest.approx(-1.0)
    assert mean_cosine(torch.eye(4).view(4, 4, 1, 1)) == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(mean_cosine(row))
    assert math.isnan(mean_cosine(torch.zeros(3, 1, 1, 1)))


def test_the_last_unit_is_asked_the_same_by_every_image():
    """Behind it are the pooling and the classifier, which are linear."""
    found = by_layer(shattered_gradients(slow.net("identity-post-batch"), slow.batch(), bn="frozen"), "gradient_cosine")
    assert found["trunk.2.0"] == pytest.approx(1.0)
    assert found["stem"] < found["trunk.0.0"] < found["trunk.1.0"] < 1


def test_statistics_of_the_batch_are_refused():
    with pytest.raises(ValueError, match="bn=train mixes the gradients"):
        shattered_gradients(slow.net("none-post-batch"), slow.batch(), bn="train")
