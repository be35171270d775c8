"""scikit-learn's digits: the same pixels, a fixed stratified test part."""

import numpy as np
from sklearn.datasets import load_digits

from reslab.data.arrays import hash_of
from reslab.data.digits import Digits


def test_shapes_types_and_range():
    for name, rows in (("train", 1500), ("test", 297)):
        images, labels = Digits().read(name)
        assert images.shape == (rows, 1, 8, 8)
        assert images.dtype == np.uint8
        assert (images.min(), images.max()) == (0, 240)
        assert labels.dtype == np.int64
        assert set(labels) == set(range(10))


def test_both_parts_together_are_scikit_learns_digits():
    bunch = load_digits()
    ours = [
        (image.tobytes(), label)
        for part in ("train", "test")
        for image, label in zip(*Digits().read(part), strict=True)
    ]
    theirs = [((x * 15).astype(np.uint8).tobytes(), y) for x, y in zip(bunch.images, bunch.target, strict=True)]
    assert sorted(ours) == sorted(theirs)


def test_the_test_part_keeps_the_shares_of_the_classes():
    shares = np.bincount(load_digits().target) * 297 / 1797
    assert (abs(np.bincount(Digits().read("test").labels) - shares) < 1).all()


def test_the_test_part_never_changes():
    """A golden hash: published numbers are about these 297 images."""
    assert hash_of(Digits().read("test").labels) == "b24bcbf5b12a1d8944e096a532fea255a3077fb12bda86d059e2971497dfe93f"
    assert Digits().read("test").images.astype(int).sum() == 1393095


def test_the_fingerprint_is_a_hash_and_stays():
    assert Digits().fingerprint() == Digits().fingerprint()
    assert len(bytes.fromhex(Digits().fingerprint())) == 32
