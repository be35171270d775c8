"""Hostile and broken pickles are refused, and nothing that they ask for is ever run."""

import pickle
import sys

import numpy as np
import pytest

from data.fakes import array, dtype, python2_batch, short_text, small_int
from reslab.data.pickled import read_batch

N = 4
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 3072)).astype(np.uint8)
GOOD = python2_batch(PIXELS, {"labels": [3, 1, 4, 1]})


def test_pixels_and_labels_of_a_good_batch():
    pixels, labels = read_batch(GOOD, "labels", "data_batch_1")
    assert np.array_equal(pixels, PIXELS)
    assert pixels.dtype == np.uint8
    assert labels.tolist() == [3, 1, 4, 1]
    assert labels.dtype == np.int64


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_fake_is_what_pythons_own_reader_makes_of_it():
    batch = pickle.loads(GOOD, encoding="bytes")
    assert np.array_equal(batch[b"data"], PIXELS)
    assert batch[b"labels"] == [3, 1, 4, 1]
    assert sorted(batch) == [b"batch_label", b"data", b"filenames", b"labels"]


def test_reading_imports_no_deprecated_numpy_module():
    sys.modules.pop("numpy.core.multiarray", None)
    read_batch(GOOD, "labels", "data_batch_1")
    assert "numpy.core.multiarray" not in sys.modules


def hostile(marker: str) -> dict[str, bytes]:
    """Each would create `marker`, or something else that no batch needs, if it were obeyed."""
    command = short_text(f"touch {marker}".encode())
    opener = short_text(f"__import__('pathlib').Path({marker!r}).touch()".encode())

    def batch(opcodes: bytes) -> bytes:
        return python2_batch(PIXELS, {"labels": [0] * N}, pixel_opcodes=opcodes)

    as_dtype = b"c__builtin__\neval\n" + opener + b"\x85R"
    return {
        "os.system by reduce": b"\x80\x02cposix\nsystem\n" + command + b"\x85R.",
        "os.system by reduce, named os": b"\x80\x02cos\nsystem\n" + command + b"\x85R.",
        "os.system by global in a batch": batch(b"cos\nsystem\n" + command + b"\x85R"),
        "os.system by inst": b"(" + command + b"ios\nsystem\n.",
        "os.system by obj": b"(cos\nsystem\n" + command + b"o.",
        "os.system by stack global": b"\x80\x04\x8c\x02os\x8c\x06system" + command + b"\x85R.",
        "subprocess": b"\x80\x02csubprocess\ngetoutput\n" + command + b"\x85R.",
        "eval as dtype": batch(array((N, 3072), PIXELS.tobytes(), kind=as_dtype)),
        "exec": b"\x80\x03cbuiltins\nexec\n" + opener + b"\x85R.",
        "import": b"\x80\x03cbuiltins\n__import__\n" + short_text(b"os") + b"\x85R.",
        "numpy.load": batch(b"cnumpy\nload\n" + command + b"\x85R"),
        "numpy's real reconstruct by its new name": batch(
            b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + small_int(0) + b"\x85U\x01b\x87R"
        ),
        "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile.x" + command + b"\x85R.",
        "persistent id": b"\x80\x02" + command + b"Q.",
        "extension code": b"\x80\x02\x82\x01.",
        "object array": batch(array((N, 3072), None, kind=dtype(b"O8"), data=b"]" + b"(" + command + b"e")),
        "list instead of bytes": batch(array((N, 3072), None, data=b"](" + small_int(1) + b"e")),
        "float array": batch(array((N, 3072), PIXELS.astype("<f4").tobytes(), kind=dtype(b"f4"))),
        "Fortran order": batch(array((N, 3072), PIXELS.tobytes(), fortran=True)),
        "shape larger than its bytes": batch(array((N + 1, 3072), PIXELS.tobytes())),
        "other shape": batch(array((3072, N), PIXELS.tobytes())),
        "setstate of our own class with a command": batch(b"cnumpy\nndarray\n)R" + command + b"b"),
        "pixels are a text": batch(short_text(b"abc")),
        "pixels are a dtype": batch(dtype()),
    }


def broken() -> dict[str, bytes]:
    return {
        "too few labels": python2_batch(PIXELS, {"labels": [1, 2]}),
        "no labels": python2_batch(PIXELS, {"coarse": [1, 2, 3, 4]}),
        "labels are text": GOOD.replace(
            b"U\x06labels](K\x03K\x01K\x04K\x01e", b"U\x06labels](U\x01aU\x01aU\x01aU\x01ae"
        ),
        "truncated in the pixels": GOOD[: len(GOOD) // 2],
        "last byte missing": GOOD[:-1],
        "empty": b"",
        "HTML page": b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n",
        "not a dictionary": b"\x80\x02](K\x01e.",
        "number": b"\x80\x02K\x01.",
        "written by Python 3": pickle.dumps({b"data": PIXELS, b"labels": [0] * N}, protocol=2),
    }


@pytest.mark.parametrize("name", hostile(""))
def test_hostile_pickles_are_refused(name, tmp_path):
    marker = tmp_path / "marker"
    with pytest.raises(ValueError, match=r"^data_batch_9 is not an original CIFAR batch: "):
        read_batch(hostile(str(marker))[name], "labels", "data_batch_9")
    assert not marker.exists()


@pytest.mark.parametrize("name", broken())
def test_broken_batches_are_refused(name):
    with pytest.raises(ValueError, match=r"^data_batch_9 is not an original CIFAR batch: "):
        read_batch(broken()[name], "labels", "data_batch_9")


@pytest.mark.parametrize("name", ["os.system by reduce", "os.system by inst", "os.system by obj", "exec"])
def test_the_hostile_pickles_work_where_they_are_obeyed(name, tmp_path):
    """So that the marker proves something."""
    marker = tmp_path / "marker"
    pickle.loads(hostile(str(marker))[name], encoding="utf-8")
    assert marker.exists()


def test_the_message_names_what_was_asked_for():
    with pytest.raises(ValueError, match=r"it asks for os\.system, which no CIFAR batch needs"):
        read_batch(b"\x80\x02cos\nsystem\n.", "labels", "x")
