"""The data set made on the spot."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from reslab.data.synthetic import Synthetic
from reslab.specs import Image

SOURCE = Synthetic(image=Image(channels=3, size=8, classes=4), rows={"train": 40, "test": 12}, noise=64)


def test_shapes_types_and_balance():
    for part, rows in SOURCE.rows.items():
        images, labels = SOURCE.read(part)
        assert images.shape == (rows, 3, 8, 8)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        assert np.bincount(labels).tolist() == [rows // 4] * 4


def test_golden_pixels():
    images, labels = SOURCE.read("train")
    assert (
        hashlib.sha256(images.tobytes() + labels.astype("<i8").tobytes()).hexdigest()
        == "766ba1d7eb8033c61fe5f5e88ea7df12356d529e3f66056e4557676e8c53a44c"
    )


def test_train_and_test_share_pictures_but_no_image():
    train, test = SOURCE.read("train"), SOURCE.read("test")
    assert not {x.tobytes() for x in train.images} & {x.tobytes() for x in test.images}
    for label in range(4):
        mean = train.images[train.labels == label].mean(0)
        assert abs(test.images[test.labels == label].mean(0) - mean).max() < 64


def test_the_nearest_class_mean_tells_all_test_images_apart():
    train, test = SOURCE.read("train"), SOURCE.read("test")
    means = np.stack([train.images[train.labels == label].mean(0) for label in range(4)])
    distance = ((test.images[:, None] - means[None]) ** 2).sum((2, 3, 4))
    assert np.array_equal(distance.argmin(1), test.labels)


def test_without_noise_a_class_is_one_picture_and_no_byte_wraps_round():
    still = replace(SOURCE, noise=0).read("train")
    assert len({x.tobytes() for x in still.images}) == 4
    loud = replace(SOURCE, noise=255).read("train").images.astype(int)
    assert loud.max() <= 255
    assert loud.min() >= 0


def test_noise_stays_within_its_grey_levels():
    images = SOURCE.read("train").images.astype(int)
    for label in range(4):
        own = images[label::4]
        assert (own.max(0) - own.min(0)).max() < 64


@pytest.mark.parametrize(
    "other",
    [
        replace(SOURCE, noise=63),
        replace(SOURCE, rows={"train": 41, "test": 12}),
        replace(SOURCE, image=Image(channels=3, size=8, classes=5)),
        replace(SOURCE, image=Image(channels=1, size=8, classes=4)),
    ],
)
def test_the_fingerprint_follows_every_parameter(other):
    assert other.fingerprint() != SOURCE.fingerprint()
    assert replace(SOURCE, rows={"test": 12, "train": 40}).fingerprint() == SOURCE.fingerprint()
