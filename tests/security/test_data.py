"""Data that somebody offers for download: Parquet, pickled batches, pictures, the decoded cache."""

import io
import pickletools
import struct
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st
from PIL import Image as Picture

from data.fakes import png, python2_batch, short_text
from reslab.data.arrays import Arrays, cached, checked
from reslab.data.parquet import read_parquet
from reslab.data.pickled import read_batch
from reslab.specs import Image
from security.counts import fuzzed
from security.hostile import NUMBERS, WORDS, only_clear_errors, torn

IMAGE = Image(channels=3, size=4, classes=4)
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 3, 4, 4)).astype(np.uint8)
LABELS = [0, 3, 1]


def parquet(images, labels, **options):
    file = io.BytesIO()
    pq.write_table(pa.table({"image": images, "label": labels}), file, **options)
    return file.getvalue()


PICTURES = [png(pixels) for pixels in PIXELS]
SCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n"
picture = st.one_of(torn(PICTURES[0]), st.binary(max_size=60), st.none(), st.just(SCRIPT))
columns = [pa.array(LABELS).cast(kind) for kind in (pa.int8(), pa.uint64(), pa.float64(), pa.string(), pa.bool_())]
columns += [pa.array([b"1"] * 3), pa.array([None] * 3, pa.int64()), pa.array([[1]] * 3), pa.array([{"a": 1}] * 3)]
numbers = st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=4)
files = st.one_of(
    torn(parquet(PICTURES, LABELS, compression="none")),
    torn(parquet(PICTURES, LABELS)),
    st.binary(max_size=100),
    st.lists(picture, min_size=3, max_size=3).map(lambda found: parquet(pa.array(found, pa.binary()), LABELS)),
    numbers.map(lambda found: parquet(PICTURES[:1] * len(found), pa.array(found, pa.uint64()))),
    st.sampled_from(columns).map(lambda column: parquet(PICTURES, column)),
    st.sampled_from(columns).map(lambda column: parquet(column, LABELS)),
)


@fuzzed("Parquet", 1000, data=files)
def test_parquet(tmp_path, data):
    file = tmp_path / "train.parquet"
    file.write_bytes(data)
    with only_clear_errors():
        found = read_parquet(file, "image", "label", IMAGE, 3)
        assert found.images.shape == (3, 3, 4, 4)
        checked(found, IMAGE, 3, "it")


@fuzzed("pictures in Parquet", 1500, data=st.one_of(torn(PICTURES[0]), torn(PICTURES[1])))
def test_a_picture(tmp_path, data):
    file = tmp_path / "train.parquet"
    file.write_bytes(parquet([data], [0]))
    with only_clear_errors():
        assert read_parquet(file, "image", "label", IMAGE, 1).images.shape == (1, 3, 4, 4)


BATCH = python2_batch(np.zeros((2, 3072), np.uint8), {"labels": [3, 1]})
HEAD = BATCH[: BATCH.index(b"\0" * 64)]
opcodes = st.sampled_from([op.code.encode("latin1") for op in pickletools.opcodes])
argument = st.one_of(
    st.binary(max_size=8), st.sampled_from([b"os\nsystem\n", b"\xff" * 8, short_text(b"touch x"), b"1\n"])
)
programs = st.lists(st.tuples(opcodes, argument), max_size=12).map(lambda ops: b"".join(op + arg for op, arg in ops))
batches = st.one_of(
    torn(BATCH),
    torn(HEAD).map(lambda head: head + BATCH[len(HEAD) :]),
    programs.map(lambda made: b"\x80\x02" + made + b"."),
    programs.map(lambda made: python2_batch(np.zeros((2, 3072), np.uint8), {"labels": [1, 1]}, pixel_opcodes=made)),
    st.binary(max_size=100),
)


@fuzzed("pickled batches", 3000, data=batches)
def test_a_batch(tmp_path, data):
    with only_clear_errors():
        pixels, labels = read_batch(data, "labels", "data_batch_1")
        assert pixels.shape == (len(labels), 3072)


def test_pickles_that_only_grow():
    """A memo of 2^32 places, a million tuples in each other as a key, lists of lists that are all the same."""
    memo = b"\x80\x02Nr\xf0\xff\xff\xff."
    tuples = b"\x80\x02}N" + b"\x85" * 1_000_000 + b"Ns."
    laughs = b"]q\x00(K\x01K\x01e"
    for n in range(40):
        laughs += b"]q" + bytes([n + 1]) + b"(h" + bytes([n]) + b"h" + bytes([n]) + b"e"
    grown = b"\x80\x02}(" + short_text(b"labels") + laughs + short_text(b"data") + b"Nu."
    for data in (memo, tuples, grown):
        with pytest.raises(ValueError, match="is not an original CIFAR batch"):
            read_batch(data, "labels", "data_batch_1")


def made() -> Arrays:
    return Arrays(PIXELS, np.array(LABELS, np.int64))


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


kinds = st.sampled_from(("u1", "i8", "f8", "<U3", "?", "c16", "M8[s]", "V4", "u1,i8"))
shapes = st.sampled_from(((), (0,), (3,), (4,), (3, 1), (3, 3, 4, 4), (0, 3, 4, 4)))
HUGE = "{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000000, 3, 4, 4)}"
headers = st.one_of(st.text(max_size=60), st.sampled_from(["-" * 9000 + "1", "(" * 9000, HUGE])).map(str.encode)
arrays = st.one_of(
    torn(npy(PIXELS)),
    torn(npy(np.array(LABELS))),
    st.tuples(kinds, shapes).map(lambda it: npy(np.zeros(it[1], it[0]))),
    headers.map(lambda text: b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text),
    st.binary(max_size=60),
    st.just(b"PK\x05\x06" + b"\0" * 18),
    st.just(BATCH),
)


@fuzzed("decoded caches", 1500, which=st.sampled_from(("images", "labels")), data=arrays)
def test_a_cache(tmp_path, which, data):
    cached(made, tmp_path, "x-train")
    (tmp_path / f"x-train-{which}.npy").write_bytes(data)
    with only_clear_errors():
        found = cached(made, tmp_path, "x-train")
        assert (found.images.dtype, found.labels.dtype, found.images.ndim) == (np.uint8, np.int64, 4)
        checked(found, IMAGE, 3, "it")


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/x", "../../x"])
def test_a_cache_lies_in_its_folder(tmp_path, name):
    with pytest.raises(ValueError, match=r"cannot be the name of a file .*edited"):
        cached(made, tmp_path / "cache", name)
    assert list(tmp_path.iterdir()) == []


def test_a_small_file_that_declares_a_picture_of_many_megapixels_is_not_unpacked(tmp_path, monkeypatch):
    file = io.BytesIO()
    Picture.new("1", (9000, 9000)).save(file, "PNG")
    (tmp_path / "train.parquet").write_bytes(parquet([file.getvalue()], [0]))
    monkeypatch.setattr(Picture.Image, "convert", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(ValueError, match=r"row 0: 9000 x 9000 pixels, data\.size=4 declared"):
        read_parquet(tmp_path / "train.parquet", "image", "label", IMAGE, 1)


def test_more_rows_than_declared_are_not_read(tmp_path, monkeypatch):
    (tmp_path / "train.parquet").write_bytes(parquet([b""] * 100_000, [0] * 100_000))
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_: pytest.fail("read"))
    with pytest.raises(ValueError, match=r"holds 100000 rows, the data config declares 3; set data\.rows"):
        read_parquet(tmp_path / "train.parquet", "image", "label", IMAGE, 3)


def test_postscript_is_not_handed_to_an_interpreter(tmp_path):
    assert Picture.open(io.BytesIO(SCRIPT)).format == "EPS"
    (tmp_path / "train.parquet").write_bytes(parquet([SCRIPT], [0]))
    with pytest.raises(ValueError, match="row 0: the image cannot be decoded"):
        read_parquet(tmp_path / "train.parquet", "image", "label", IMAGE, 1)


@fuzzed("labels in Parquet", 300, label=st.one_of(st.sampled_from(NUMBERS), st.sampled_from(WORDS)))
def test_labels(tmp_path, label):
    try:
        data = parquet(PICTURES[:1], [label])
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return
    (tmp_path / "train.parquet").write_bytes(data)
    with only_clear_errors():
        read_parquet(tmp_path / "train.parquet", "image", "label", IMAGE, 1)


def test_a_zip_of_arrays_is_no_cache(tmp_path):
    cached(made, tmp_path, "x-train")
    with zipfile.ZipFile(tmp_path / "x-train-images.npy", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy(np.zeros(10_000_000, np.uint8)))
    assert np.array_equal(cached(made, tmp_path, "x-train").images, PIXELS)
