"""Image classification in Parquet: one column of encoded images, one of integer labels."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reslab.data.source import combined, file_hash
from reslab.specs import Image

if TYPE_CHECKING:
    from reslab.data.arrays import Arrays

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # Pillow has others, one of which starts a program


@dataclass(frozen=True, kw_only=True)
class Parquet:
    """Two files; image and label columns by name; `rows` and `image` as declared, verified on reading."""

    train: Path | str
    test: Path | str
    image_column: str
    label_column: str
    image: Image
    rows: dict[str, int]

    def fingerprint(self) -> str:
        """Hash of both files and the columns read."""
        files = [Path(self.train), Path(self.test)]
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(f"{file} does not exist; set data.train and data.test to Parquet files")
        return combined([*(file_hash(file) for file in files), self.image_column, self.label_column])

    def read(self, part: str) -> "Arrays":
        """Decode every image; ValueError names the file and the row that cannot be read."""
        from reslab.data.arrays import checked

        file = Path({"train": self.train, "test": self.test}[part])
        arrays = read_parquet(file, self.image_column, self.label_column, self.image, self.rows[part])
        return checked(arrays, self.image, self.rows[part], str(file))


def read_parquet(file: Path, image_column: str, label_column: str, image: Image, rows: int) -> "Arrays":
    """All rows of a file whose images are encoded bytes or struct(bytes, path); ValueError for other than `rows`."""
    import numpy as np

    from reslab.data.arrays import Arrays

    if image.channels not in (1, 3):
        raise ValueError(f"data.channels={image.channels} is neither 1 nor 3")
    encoded, labels = _columns(file, image_column, label_column, rows)
    pixels = np.empty((rows, image.channels, image.size, image.size), np.uint8)
    for row, value in enumerate(encoded):
        pixels[row] = _decode(value, image, f"{file} row {row}")
    for row, label in enumerate(labels):
        if isinstance(label, bool) or not isinstance(label, int) or not -(2**63) <= label < 2**63:
            raise ValueError(f"{file} row {row}: label {repr(label)[:40]} is not an integer of 64 bits")
    return Arrays(pixels, np.array(labels, np.int64))


def _columns(file: Path, image_column: str, label_column: str, rows: int) -> tuple[list[object], list[object]]:
    import pyarrow.parquet as pq

    if not file.is_file():
        raise ValueError(f"{file} is not a file")
    try:
        with pq.ParquetFile(file) as opened:
            known, found = opened.schema_arrow.names, opened.metadata.num_rows
            if known.count(image_column) == known.count(label_column) == 1 and found == rows:
                table = opened.read(columns=[image_column, label_column])
                found = table.num_rows
                if found == rows:
                    return table[image_column].to_pylist(), table[label_column].to_pylist()
    except Exception as error:  # Arrow's own kinds, and Python's where a text or a number does not fit
        raise ValueError(f"{file} cannot be read as Parquet: {error}") from error
    for column in (image_column, label_column):
        if known.count(column) != 1:
            raise ValueError(f"{file} has {known.count(column) or 'no'} column {column!r}; it has {', '.join(known)}")
    raise ValueError(f"{file} holds {found} rows, the data config declares {rows}; set data.rows")


def _decode(value: object, image: Image, where: str) -> Any:
    import numpy as np
    from PIL import Image as Picture

    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise ValueError(f"{where}: no encoded image (found {type(data).__name__}); set data.image_column")
    try:
        picture: Picture.Image = Picture.open(io.BytesIO(data), formats=FORMATS)
        fits = picture.size == (image.size, image.size) and picture.mode[0] not in "IF"
        decoded = picture.convert({1: "L", 3: "RGB"}[image.channels]) if fits else None
    except Exception as error:  # a decoder raises anything
        raise ValueError(f"{where}: the image cannot be decoded: {error}") from error
    if decoded is not None:
        return np.asarray(decoded, np.uint8).reshape(image.size, image.size, image.channels).transpose(2, 0, 1)
    if picture.size != (image.size, image.size):  # seen before a single pixel of it is unpacked
        raise ValueError(f"{where}: {picture.size[0]} x {picture.size[1]} pixels, data.size={image.size} declared")
    raise ValueError(f"{where}: pixels of mode {picture.mode} have more than 8 bits; convert them first")
