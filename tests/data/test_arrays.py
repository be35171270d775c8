"""The decoded cache and the check against the data config."""

import numpy as np
import pytest

from reslab.data.arrays import Arrays, cached, checked, hash_of
from reslab.specs import Image

IMAGE = Image(channels=3, size=8, classes=4)


def arrays(n: int = 6, *, channels: int = 3, size: int = 8) -> Arrays:
    images = np.random.default_rng(n).integers(0, 256, (n, channels, size, size)).astype(np.uint8)
    return Arrays(images, np.arange(n) % 4)


class Reader:
    """Counts how often it decodes."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Arrays:
        self.calls += 1
        return arrays()


def same(found: Arrays, expected: Arrays) -> bool:
    return np.array_equal(found.images, expected.images) and np.array_equal(found.labels, expected.labels)


def test_the_second_reading_does_not_decode(tmp_path):
    reader = Reader()
    for calls in (1, 1, 1):
        found = cached(reader, tmp_path / "cache", "a-train")
        assert same(found, arrays())
        assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int64)
        assert reader.calls == calls
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["a-train-images.npy", "a-train-labels.npy"]


def test_names_do_not_mix(tmp_path):
    reader = Reader()
    cached(reader, tmp_path, "a-train")
    cached(reader, tmp_path, "a-test")
    assert reader.calls == 2


@pytest.mark.parametrize("which", ["images", "labels"])
@pytest.mark.parametrize("damage", ["half", "header", "few", "empty", "garbage", "gone"])
def test_a_damaged_file_is_made_anew(tmp_path, which, damage):
    reader = Reader()
    cached(reader, tmp_path, "a")
    file = tmp_path / f"a-{which}.npy"
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        keep = {
            "half": data[: len(data) * 2 // 3],
            "header": data[:60],
            "few": data[:4],
            "empty": b"",
            "garbage": b"x" * 999,
        }
        file.write_bytes(keep[damage])
    assert same(cached(reader, tmp_path, "a"), arrays())
    assert reader.calls == 2
    assert file.read_bytes() == data
    assert same(cached(reader, tmp_path, "a"), arrays())
    assert reader.calls == 2


def test_a_pickle_in_the_cache_is_never_loaded(tmp_path):
    reader = Reader()
    cached(reader, tmp_path, "a")
    np.save(tmp_path / "a-labels.npy", np.array([object()]), allow_pickle=True)
    assert same(cached(reader, tmp_path, "a"), arrays())


def test_what_cannot_be_decoded_leaves_no_cache(tmp_path):
    def refuse() -> Arrays:
        raise ValueError("bad file")

    with pytest.raises(ValueError, match="bad file"):
        cached(refuse, tmp_path / "cache", "a")
    assert not (tmp_path / "cache").exists()


def test_checked_returns_the_same_arrays():
    made = arrays()
    assert checked(made, IMAGE, 6, "somewhere") is made


@pytest.mark.parametrize(
    "made",
    [
        arrays(5),
        arrays(7),
        arrays(6, channels=1),
        arrays(6, size=9),
        Arrays(arrays(6).images, np.zeros(5, np.int64)),
        Arrays(arrays(5).images, np.zeros(6, np.int64)),
    ],
    ids=["few", "many", "grey", "large", "few labels", "few images"],
)
def test_checked_says_what_is_there_and_what_was_declared(made):
    with pytest.raises(ValueError, match=r"^a\.bin holds ") as caught:
        checked(made, IMAGE, 6, "a.bin")
    message = str(caught.value)
    assert f"holds {len(made.labels)} labels and images of shape {made.images.shape};" in message
    assert "declares (6, 3, 8, 8) (rows, channels, size, size): set data.rows, data.channels and data.size" in message


@pytest.mark.parametrize(("label", "rows"), [(4, [2]), (-1, [0]), (100, [1, 5])])
def test_checked_says_which_label_is_wrong(label, rows):
    made = arrays()
    made.labels[rows] = label
    with pytest.raises(ValueError, match=r"a\.bin: ") as caught:
        checked(made, IMAGE, 6, "a.bin")
    expected = f"label {label} in row {rows[0]} is out of range; data.classes=4 allows 0 to 3 ({len(rows)} such rows)"
    assert str(caught.value) == f"a.bin: {expected}"


def test_hash_of_is_the_same_on_any_machine():
    expected = "281b02b10f5f4997e5bf8c93343e6f2aa8bc81ffad6d6813c593181ebceda12a"
    assert hash_of(np.arange(5, dtype=np.int64)) == expected
    assert hash_of(np.arange(10, dtype=np.int64)[::2]) != expected
    assert hash_of(np.arange(5, dtype=np.int64)[::-1][::-1]) == expected
