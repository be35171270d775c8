"""Parquet of encoded images: both usual layouts of the image column, a sentence for everything that can be wrong."""

import numpy as np
import pytest

from data.fakes import png, write_parquet
from reslab.data.parquet import Parquet
from reslab.specs import Image

ROWS = {"train": 6, "test": 3}


def pictures(n: int, channels: int = 3, size: int = 8) -> list[np.ndarray]:
    return list(np.random.default_rng(n).integers(0, 256, (n, channels, size, size)).astype(np.uint8))


def source(folder, *, channels=3, size=8, classes=4, **changes) -> Parquet:
    image = Image(channels=channels, size=size, classes=classes)
    known = {"train": folder / "train.parquet", "test": folder / "test.parquet", "image": image, "rows": ROWS}
    return Parquet(**known | {"image_column": "image", "label_column": "label"} | changes)


@pytest.fixture
def folder(tmp_path):
    write_parquet(tmp_path / "train.parquet", pictures(6), [0, 1, 2, 3, 0, 1])
    write_parquet(tmp_path / "test.parquet", pictures(3), [3, 2, 1])
    return tmp_path


@pytest.mark.parametrize("as_struct", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_both_layouts_give_the_pixels_that_were_written(tmp_path, channels, as_struct):
    for part, n in ROWS.items():
        file = tmp_path / f"{part}.parquet"
        write_parquet(file, pictures(n, channels), [i % 4 for i in range(n)], as_struct=as_struct)
    for part, n in ROWS.items():
        arrays = source(tmp_path, channels=channels).read(part)
        assert np.array_equal(arrays.images, np.stack(pictures(n, channels)))
        assert arrays.labels.tolist() == [i % 4 for i in range(n)]


def test_columns_by_name(tmp_path):
    for part, n in ROWS.items():
        write_parquet(tmp_path / f"{part}.parquet", pictures(n), [1] * n, image="img", label="fine")
    arrays = source(tmp_path, image_column="img", label_column="fine").read("test")
    assert np.array_equal(arrays.images, np.stack(pictures(3)))


def test_colour_is_made_grey_where_one_channel_is_declared(folder):
    assert source(folder, channels=1).read("train").images.shape == (6, 1, 8, 8)


def test_paths_may_be_text_as_a_config_gives_them(folder):
    made = source(folder, train=str(folder / "train.parquet"), test=str(folder / "test.parquet"))
    assert made.fingerprint() == source(folder).fingerprint()
    assert len(made.read("test").labels) == 3


def test_fingerprint_follows_files_and_columns(folder):
    before = source(folder).fingerprint()
    assert source(folder).fingerprint() == before
    assert source(folder, label_column="other").fingerprint() != before
    assert source(folder, image_column="other").fingerprint() != before
    for part, n in ROWS.items():
        kept = (folder / f"{part}.parquet").read_bytes()
        write_parquet(folder / f"{part}.parquet", pictures(n), [0] * n)
        assert source(folder).fingerprint() != before
        (folder / f"{part}.parquet").write_bytes(kept)
    assert source(folder).fingerprint() == before


@pytest.mark.parametrize("part", ["train", "test"])
def test_missing_file(folder, part):
    (folder / f"{part}.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=rf"{folder}/{part}\.parquet does not exist; set data\.train"):
        source(folder).fingerprint()


def test_missing_file_while_reading_is_named(folder):
    (folder / "test.parquet").unlink()
    with pytest.raises((FileNotFoundError, ValueError), match=r"test\.parquet"):
        source(folder).read("test")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_truncated_file(folder, share):
    file = folder / "train.parquet"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=r"train\.parquet cannot be read as Parquet"):
        source(folder).read("train")


def test_html_page_instead_of_a_file(folder):
    (folder / "train.parquet").write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"train\.parquet cannot be read as Parquet"):
        source(folder).read("train")


@pytest.mark.parametrize("column", ["image_column", "label_column"])
def test_missing_column(folder, column):
    with pytest.raises(ValueError, match=r"train\.parquet has no column 'nothing'; it has image, label, other"):
        source(folder, **{column: "nothing"}).read("train")


GOOD = png(pictures(1)[0])
GREY_4X4 = png(np.zeros((1, 4, 4), np.uint8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no picture at all", r"row 4: the image cannot be decoded"),
        (b"", r"row 4: the image cannot be decoded"),
        (GOOD[: len(GOOD) // 2], r"row 4: the image cannot be decoded"),
        (GOOD[:60] + b"\xff\xff" + GOOD[62:], r"row 4: the image cannot be decoded"),
        (png(np.zeros((3, 9, 9), np.uint8)), r"row 4: 9 x 9 pixels, data\.size=8 declared"),
        (png(np.zeros((3, 8, 9), np.uint8)), r"row 4: 9 x 8 pixels, data\.size=8 declared"),
        (GREY_4X4, r"row 4: 4 x 4 pixels, data\.size=8 declared"),
        (None, r"row 4: no encoded image \(found NoneType\); set data\.image_column"),
    ],
)
@pytest.mark.parametrize("as_struct", [False, True])
def test_an_image_that_cannot_be_used(folder, as_struct, data, message):
    images = pictures(6)
    images[4] = data
    write_parquet(folder / "train.parquet", images, [0] * 6, as_struct=as_struct)
    with pytest.raises(ValueError, match=r"train\.parquet " + message):
        source(folder).read("train")


def test_a_column_that_holds_no_images(folder):
    with pytest.raises(
        ValueError, match=r"train\.parquet row 0: no encoded image \(found int\); set data\.image_column"
    ):
        source(folder, image_column="other").read("train")


def test_neither_one_nor_three_channels(folder):
    with pytest.raises(ValueError, match=r"data\.channels=4 is neither 1 nor 3"):
        source(folder, channels=4).read("train")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2, 4, 0, 1], r"label 4 in row 3 is out of range; data\.classes=4 allows 0 to 3 \(1 such rows\)"),
        ([0, -1, 2, 3, 0, -2], r"label -1 in row 1 is out of range; data\.classes=4 allows 0 to 3 \(2 such rows\)"),
        ([0.0, 1.0, 2.0, 3.0, 0.0, 1.0], r"row 0: label 0\.0 is not an integer"),
        (["a"] * 6, r"row 0: label 'a' is not an integer"),
        ([0, 1, None, 3, 0, 1], r"row 2: label None is not an integer"),
        ([b"0"] * 6, r"row 0: label b'0' is not an integer"),
    ],
)
def test_a_label_that_cannot_be_used(folder, labels, message):
    write_parquet(folder / "train.parquet", pictures(6), labels)
    with pytest.raises(ValueError, match=r"train\.parquet.*" + message):
        source(folder).read("train")


@pytest.mark.parametrize("n", [0, 5, 7])
def test_wrong_row_count(folder, n):
    write_parquet(folder / "train.parquet", pictures(6)[:1] * n, [0] * n)
    with pytest.raises(ValueError, match=rf"train\.parquet holds {n} rows, the data config declares 6; set data\.rows"):
        source(folder).read("train")
