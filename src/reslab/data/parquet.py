"""Image classification in Parquet: one column of encoded images, one of integer labels."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reslab.data.source import combined, file_hash
from reslab.specs import Image

if TYPE_CHECKING:
    from reslab.data.arrays import Arrays


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
        arrays = read_parquet(file, self.image_column, self.label_column, self.image)
        return checked(arrays, self.image, self.rows[part], str(file))


def read_parquet(file: Path, image_column: str, label_column: str, image: Image) -> "Arrays":
    """All rows of a file whose images are encoded bytes or struct(bytes, path)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from reslab.data.arrays import Arrays

    try:
        known = pq.read_schema(file).names
        for column in (image_column, label_column):
            if column not in known:
                raise ValueError(f"{file} has no column {column!r}; it has {', '.join(known)}")
        table = pq.read_table(file, columns=[image_column, label_column])
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file} cannot be read as Parquet: {error}") from error
    pixels = np.empty((table.num_rows, image.channels, image.size, image.size), np.uint8)
    for row, value in enumerate(table[image_column].to_pylist()):
        pixels[row] = _decode(value, image, f"{file} row {row}")
    labels = table[label_column].to_pylist()
    for row, label in enumerate(labels):
        if isinstance(label, bool) or not isinstance(label, int):
            raise ValueError(f"{file} row {row}: label {label!r} is not an integer")
    return Arrays(pixels, np.array(labels, np.int64))


def _decode(value: object, image: Image, where: str) -> object:
    import numpy as np
    from PIL import Image as Picture
    from PIL import UnidentifiedImageError

    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise ValueError(f"{where}: no encoded image (found {type(data).__name__}); set data.image_column")
    try:
        picture: Picture.Image = Picture.open(io.BytesIO(data))
        if picture.mode[0] in "IF":
            raise ValueError(f"{where}: pixels of mode {picture.mode} have more than 8 bits; convert them first")
        picture = picture.convert({1: "L", 3: "RGB"}[image.channels])
    except KeyError:
        raise ValueError(f"data.channels={image.channels} is neither 1 nor 3") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{where}: the image cannot be decoded: {error}") from error
    if picture.size != (image.size, image.size):
        raise ValueError(f"{where}: {picture.size[0]} x {picture.size[1]} pixels, data.size={image.size} declared")
    return np.asarray(picture, np.uint8).reshape(image.size, image.size, image.channels).transpose(2, 0, 1)
