"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in three layouts: Parquet, the original batches, the original archive."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reslab.data.source import combined, file_hash
from reslab.specs import Image

if TYPE_CHECKING:
    from reslab.data.arrays import Arrays


@dataclass(frozen=True, kw_only=True)
class Cifar:
    """The first layout found below `root`; with `download` the archive is fetched where there is none.

    `batches` maps part to file name to MD5, as published with the data; `archive` has url, file name and MD5.
    """

    root: Path | str
    download: bool
    archive: dict[str, str]
    folder: str
    batches: dict[str, dict[str, str]]
    label: str
    image: Image
    rows: dict[str, int]

    def fingerprint(self) -> str:
        """Hash of the content, after every checksum was compared; one for batches and archive alike."""
        parquet = self._parquet()
        if parquet:
            return combined(file_hash(parquet[part]) for part in ("train", "test"))
        known = {name: md5 for files in self.batches.values() for name, md5 in files.items()}
        folder = self._folder()
        if folder is None:
            self._archive()
        else:
            for name, md5 in known.items():
                _compare(folder / name, md5)
        return combined(known.values())

    def read(self, part: str) -> "Arrays":
        """Decode a part; ValueError names the file that is not what it should be."""
        import numpy as np

        from reslab.data.arrays import Arrays, checked
        from reslab.data.parquet import read_parquet
        from reslab.data.pickled import read_batch

        parquet = self._parquet()
        if parquet:
            column = "label" if self.label == "labels" else self.label.removesuffix("s")
            arrays = read_parquet(parquet[part], "img", column, self.image, self.rows[part])
            return checked(arrays, self.image, self.rows[part], str(parquet[part]))
        read = [read_batch(data, self.label, name) for name, data in self._files(part)]
        pixels = np.concatenate([images for images, _ in read])
        arrays = Arrays(pixels.reshape(-1, self.image.channels, 32, 32), np.concatenate([y for _, y in read]))
        return checked(arrays, self.image, self.rows[part], f"{self.folder} ({part})")

    def _parquet(self) -> dict[str, Path] | None:
        found = {part: sorted(Path(self.root).glob(f"**/{part}*.parquet")) for part in ("train", "test")}
        return {part: files[0] for part, files in found.items()} if all(found.values()) else None

    def _folder(self) -> Path | None:
        first = next(iter(self.batches["train"]))
        for folder in (Path(self.root), Path(self.root) / self.folder):
            if (folder / first).exists():
                return folder
        return None

    def _archive(self) -> Path:
        file = Path(self.root) / self.archive["file"]
        if file.name != self.archive["file"]:
            raise ValueError(f"data.source.archive.file={self.archive['file']} is not the name of a file")
        if not file.exists() and self.download:
            import pooch

            pooch.retrieve(
                self.archive["url"],
                known_hash=f"md5:{self.archive['md5']}",
                fname=file.name,
                path=file.parent,
                progressbar=False,
            )
        if not file.exists():
            raise FileNotFoundError(
                f"no data in {Path(self.root).resolve()}: neither train*.parquet and test*.parquet, nor "
                f"{self.folder}/, nor {file.name}; set data.root=FOLDER or data.download=true, or try data=digits"
            )
        _compare(file, self.archive["md5"])
        return file

    def _files(self, part: str) -> Iterator[tuple[str, bytes]]:
        folder = self._folder()
        if folder is not None:
            yield from ((name, (folder / name).read_bytes()) for name in self.batches[part])
            return
        file = self._archive()
        for name in self.batches[part]:
            try:
                with tarfile.open(file) as archive:
                    member = archive.extractfile(f"{self.folder}/{name}")
                    data = member.read() if member is not None else b""
            except (KeyError, tarfile.TarError, OSError, EOFError) as error:
                raise ValueError(f"{file} does not hold {self.folder}/{name}: {error}") from error
            yield name, data


def _compare(file: Path, md5: str) -> None:
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; set data.root to a complete folder or data.download=true")
    found = file_hash(file, "md5")
    if found != md5:
        raise ValueError(
            f"{file} ({file.stat().st_size:,} bytes) has MD5 {found}, expected {md5}: it is truncated or altered; "
            f"delete it and set data.download=true"
        )
