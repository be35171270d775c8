"""ImageData: batches follow the plan bit for bit, the test part stays shut, slices go on where the trainer stands."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reslab.data.arrays import Arrays, hash_of
from reslab.data.module import ImageData
from reslab.data.normalise import channel, pixel_mean
from reslab.data.plan import Plan
from reslab.data.split import stratified

SETTINGS = {"batch": 7, "pad": 2, "flip": True, "order_seed": 1, "augment_seed": 2}


def images(part: str) -> Arrays:
    rng = np.random.default_rng(len(part))
    n = {"train": 60, "test": 13}[part]
    return Arrays(rng.integers(0, 256, (n, 3, 6, 6)).astype(np.uint8), np.arange(n) % 5)


class Reader:
    """Remembers which parts were read."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def __call__(self, part: str) -> Arrays:
        self.parts.append(part)
        return images(part)


def make(read=images, *, held_out=15, normalise=pixel_mean, stops=(5, 8, 20), **changes) -> ImageData:
    def plan(rows: int) -> Plan:
        return Plan(rows=rows, **SETTINGS | changes)

    return ImageData(read=read, held_out=held_out, split_seed=9, normalise=normalise, plan=plan, stops=stops)


@pytest.fixture
def data() -> ImageData:
    made = make()
    made.setup()
    return made


def slow_batch(step: int, mean: np.ndarray, std: np.ndarray, **changes):
    """One image after the other, from the definition alone."""
    settings = SETTINGS | changes
    everything = images("train")
    kept, _ = stratified(everything.labels, 15, 9, "validation")
    plan = Plan(rows=len(kept), **settings)
    per_epoch = len(kept) // settings["batch"]
    epoch = plan.epoch(step // per_epoch)
    first = step % per_epoch * settings["batch"]
    pixels, labels, pad = [], [], settings["pad"]
    for at in range(first, first + settings["batch"]):
        row = kept[epoch.order[at]]
        image = (everything.images[row].astype(np.float32) / np.float32(255) - mean) / std
        image = np.pad(image, ((0, 0), (pad, pad), (pad, pad)))
        image = image[:, epoch.dy[at] : epoch.dy[at] + 6, epoch.dx[at] : epoch.dx[at] + 6]
        pixels.append(image[:, :, ::-1] if epoch.flip[at] else image)
        labels.append(everything.labels[row])
    return np.stack(pixels), np.array(labels)


@pytest.mark.parametrize("normalise", [pixel_mean, channel])
@pytest.mark.parametrize("changes", [{}, {"pad": 0}, {"flip": False}, {"pad": 0, "flip": False}])
def test_batches_follow_the_plan_bit_for_bit(normalise, changes):
    data = make(normalise=normalise, **changes)
    data.setup()
    kept, _ = stratified(images("train").labels, 15, 9, "validation")
    norm = normalise(torch.from_numpy(images("train").images[kept]))
    for step in (0, 1, 5, 6, 13, 2, 4000):  # six steps an epoch; any order
        found, labels = data.batch(step)
        expected, truth = slow_batch(step, norm.mean.numpy(), norm.std.numpy(), **changes)
        assert np.array_equal(found.numpy(), expected)
        assert np.array_equal(labels.numpy(), truth)
        assert found.dtype == torch.float32


def test_normalisation_knows_the_training_split_alone(data):
    everything = images("train").images
    kept, held = stratified(images("train").labels, 15, 9, "validation")
    expected = (everything[kept].astype(np.float64) / 255).mean(0)
    np.testing.assert_allclose(data.normalisation.mean.numpy(), expected, rtol=1e-6)
    assert not np.allclose(data.normalisation.mean.numpy(), (everything / 255).mean(0), rtol=1e-6)
    assert data.split_hashes == {"train": hash_of(kept), "validation": hash_of(held)}
    assert np.array_equal(data.train.images.numpy(), everything[kept])
    assert np.array_equal(data.validation.images.numpy(), everything[held])
    assert np.array_equal(data.validation.labels.numpy(), images("train").labels[held])


def test_nothing_held_out():
    made = make(held_out=0)
    made.setup()
    assert (len(made.train), len(made.validation)) == (60, 0)


def test_the_test_part_is_read_when_asked_for_and_not_before():
    reader = Reader()
    made = make(reader)
    assert reader.parts == []
    made.setup("fit")
    made.setup("fit")
    for piece in made.train_dataloader():
        for _ in piece:
            pass
    assert reader.parts == ["train"]
    found = made.test()
    assert reader.parts == ["train", "test"]
    assert np.array_equal(found.images.numpy(), images("test").images)
    assert np.array_equal(found.labels.numpy(), images("test").labels)


def test_changing_a_batch_does_not_change_the_data(data):
    before = data.train.images.clone()
    data.batch(0)[0].zero_()
    assert torch.equal(data.train.images, before)


def pieces(data: ImageData) -> list[tuple[int, int]]:
    return [(piece.start, piece.stop) for piece in data.train_dataloader()]


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        (0, [(0, 5), (5, 8), (8, 20)]),
        (5, [(5, 8), (8, 20)]),
        (6, [(6, 8), (8, 20)]),
        (8, [(8, 20)]),
        (19, [(19, 20)]),
        (20, []),
    ],
)
def test_slices_go_on_from_the_trainers_step(data, done, expected):
    data.trainer = SimpleNamespace(global_step=done)
    assert pieces(data) == expected
    assert len(data.train_dataloader()) == 3


def test_without_a_trainer_slices_begin_at_the_start(data):
    assert pieces(data) == [(0, 5), (5, 8), (8, 20)]


def test_a_slice_yields_its_steps_with_their_batches(data):
    middle = list(data.train_dataloader())[1]
    found = list(middle)
    assert [step for step, _, _ in found] == [5, 6, 7]
    for step, pixels, labels in found:
        assert torch.equal(pixels, data.batch(step)[0])
        assert torch.equal(labels, data.batch(step)[1])
