"""CIFAR in its three layouts, made up and small: the same pixels from each, and no file is trusted unchecked."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.fakes import archive, md5, python2_batch, write_parquet
from reslab.data.cifar import Cifar
from reslab.specs import Image

NAMES = {
    "10": {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]},
    "100": {"train": ["train"], "test": ["test"]},
}
FOLDERS = {"10": "cifar-10-batches-py", "100": "cifar-100-python"}
EACH = 3  # images per file


class Fake:
    """Made-up CIFAR-10 or -100: its images, labels, files and the constructor's arguments."""

    def __init__(self, kind: str) -> None:
        rng = np.random.default_rng(int(kind))
        self.kind, self.folder = kind, FOLDERS[kind]
        self.pixels: dict[str, np.ndarray] = {}
        self.labels: dict[str, list[int]] = {}
        self.files: dict[str, bytes] = {}
        for part, names in NAMES[kind].items():
            n = EACH * len(names)
            self.pixels[part] = rng.integers(0, 256, (n, 3072)).astype(np.uint8)
            self.labels[part] = rng.integers(0, int(kind), n).tolist()
            for at, name in enumerate(names):
                rows = slice(at * EACH, (at + 1) * EACH)
                fine = self.labels[part][rows]
                labels = {"labels": fine} if kind == "10" else {"coarse_labels": [0] * EACH, "fine_labels": fine}
                self.files[name] = python2_batch(self.pixels[part][rows], labels)

    def source(self, root: Path, **changes: Any) -> Cifar:
        known: dict[str, Any] = {
            "root": root,
            "download": False,
            "archive": {"url": "http://127.0.0.1:9/none.tar.gz", "file": f"{self.kind}.tar.gz", "md5": "0" * 32},
            "folder": self.folder,
            "batches": {part: {name: md5(self.files[name]) for name in n} for part, n in NAMES[self.kind].items()},
            "label": "labels" if self.kind == "10" else "fine_labels",
            "image": Image(channels=3, size=32, classes=int(self.kind)),
            "rows": {part: len(labels) for part, labels in self.labels.items()},
        }
        return Cifar(**known | changes)

    def as_batches(self, root: Path, *, inside: bool = True) -> Cifar:
        folder = root / self.folder if inside else root
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        return self.source(root)

    def as_archive(self, root: Path) -> Cifar:
        root.mkdir(parents=True, exist_ok=True)
        file = f"{self.kind}.tar.gz"
        known = archive(root / file, self.folder, self.files)
        return self.source(root, archive={"url": "http://127.0.0.1:9/x", "file": file, "md5": known})

    def as_parquet(self, root: Path) -> Cifar:
        inner = root / "plain_text"
        inner.mkdir(parents=True, exist_ok=True)
        column = "label" if self.kind == "10" else "fine_label"
        for part, pixels in self.pixels.items():
            file = inner / f"{part}-00000-of-00001.parquet"
            images = list(pixels.reshape(-1, 3, 32, 32))
            write_parquet(file, images, self.labels[part], image="img", label=column, as_struct=True)
        return self.source(root)


@pytest.fixture(params=["10", "100"])
def fake(request) -> Fake:
    return Fake(request.param)


@pytest.fixture
def ten() -> Fake:
    return Fake("10")


@pytest.mark.parametrize("layout", ["batches", "batches without folder", "archive", "parquet"])
def test_the_same_pixels_through_all_layouts(fake, tmp_path, layout):
    make = {
        "batches": fake.as_batches,
        "batches without folder": partial(fake.as_batches, inside=False),
        "archive": fake.as_archive,
        "parquet": fake.as_parquet,
    }[layout]
    source = make(tmp_path)
    assert len(source.fingerprint()) == 64
    for part in ("train", "test"):
        arrays = source.read(part)
        assert np.array_equal(arrays.images.reshape(-1, 3072), fake.pixels[part])
        assert arrays.images.shape[1:] == (3, 32, 32)
        assert arrays.labels.tolist() == fake.labels[part]


def test_one_fingerprint_for_batches_and_archive(fake, tmp_path):
    found = [
        fake.as_batches(tmp_path / "a").fingerprint(),
        fake.as_batches(tmp_path / "b", inside=False).fingerprint(),
        fake.as_archive(tmp_path / "c").fingerprint(),
    ]
    assert len(set(found)) == 1


def test_fingerprints_of_ten_and_hundred_differ(tmp_path):
    assert len({Fake(kind).as_batches(tmp_path / kind).fingerprint() for kind in ("10", "100")}) == 2


def test_the_parquet_fingerprint_follows_both_files(ten, tmp_path):
    before = ten.as_parquet(tmp_path).fingerprint()
    for part in ("train", "test"):
        file = next(tmp_path.glob(f"**/{part}*.parquet"))
        kept = file.read_bytes()
        write_parquet(file, [np.zeros((3, 32, 32), np.uint8)], [0], image="img")
        assert ten.source(tmp_path).fingerprint() != before
        file.write_bytes(kept)


def test_nothing_there(fake, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"no data in {tmp_path}: .*{fake.folder}.*data\.download=true"):
        fake.source(tmp_path).fingerprint()
    with pytest.raises(FileNotFoundError, match=r"data=digits"):
        fake.source(tmp_path / "not there").fingerprint()


def test_half_of_the_parquet_files_is_not_a_layout(ten, tmp_path):
    ten.as_parquet(tmp_path)
    next(tmp_path.glob("**/test*.parquet")).unlink()
    with pytest.raises(FileNotFoundError, match=r"no data in"):
        ten.source(tmp_path).fingerprint()


@pytest.mark.parametrize("name", ["data_batch_2", "data_batch_5", "test_batch"])
def test_a_missing_batch_is_named(ten, tmp_path, name):
    source = ten.as_batches(tmp_path)
    (tmp_path / ten.folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name} is missing; set data\.root"):
        source.fingerprint()


@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_4", "test_batch"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "empty"])
def test_a_damaged_batch_is_named(ten, tmp_path, name, damage):
    source = ten.as_batches(tmp_path)
    data = bytearray(ten.files[name])
    if damage == "altered":
        data[2000] ^= 1
    else:
        data = data[: 0 if damage == "empty" else -100]
    (tmp_path / ten.folder / name).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{name} \([\d,]+ bytes\) has MD5 \w+, expected \w+: it is truncated or alt"):
        source.fingerprint()


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_archive_is_named_before_it_is_opened(ten, tmp_path, damage):
    source = ten.as_archive(tmp_path)
    file = tmp_path / "10.tar.gz"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data if damage == "altered" else data[:-100])
    for use in (source.fingerprint, lambda: source.read("train")):
        with pytest.raises(ValueError, match=r"10\.tar\.gz \([\d,]+ bytes\) has MD5"):
            use()


def test_an_archive_without_the_file(ten, tmp_path):
    known = archive(tmp_path / "10.tar.gz", ten.folder, {"readme": b"x"})
    source = ten.source(tmp_path, archive={"url": "", "file": "10.tar.gz", "md5": known})
    with pytest.raises(ValueError, match=r"10\.tar\.gz does not hold cifar-10-batches-py/data_batch_1"):
        source.read("train")


def test_rows_and_labels_are_held_against_the_declaration(ten, tmp_path):
    ten.as_batches(tmp_path)
    with pytest.raises(ValueError, match=r"cifar-10-batches-py \(train\) holds 15 labels.*\(16, 3, 32, 32\)"):
        ten.source(tmp_path, rows={"train": 16, "test": 3}).read("train")
    with pytest.raises(ValueError, match=r"cifar-10-batches-py \(train\): label \d in row \d+ is out of range"):
        ten.source(tmp_path, image=Image(channels=3, size=32, classes=5)).read("train")


def test_a_parquet_file_of_other_size_is_named(ten, tmp_path):
    ten.as_parquet(tmp_path)
    with pytest.raises(ValueError, match=r"train-00000-of-00001\.parquet holds 15 rows, the data config declares 16"):
        ten.source(tmp_path, rows={"train": 16, "test": 3}).read("train")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it can be downloaded."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_download(fake, tmp_path, served):
    folder, address = served
    known = archive(folder / "x.tar.gz", fake.folder, fake.files)
    wanted = {"url": f"{address}/x.tar.gz", "file": "kept.tar.gz", "md5": known}
    root = tmp_path / "new" / "root"
    source = fake.source(root, download=True, archive=wanted)
    found = source.fingerprint()
    assert [path.name for path in root.iterdir()] == ["kept.tar.gz"]
    (folder / "x.tar.gz").unlink()  # what is there is not fetched again
    assert np.array_equal(source.read("train").images.reshape(-1, 3072), fake.pixels["train"])
    assert found == source.fingerprint() == fake.as_batches(tmp_path / "b").fingerprint()


def test_no_download_unless_asked_for(ten, tmp_path, served):
    folder, address = served
    known = archive(folder / "x.tar.gz", ten.folder, ten.files)
    wanted = {"url": f"{address}/x.tar.gz", "file": "kept.tar.gz", "md5": known}
    with pytest.raises(FileNotFoundError, match=r"data\.download=true"):
        ten.source(tmp_path / "root", archive=wanted).fingerprint()
    assert not (tmp_path / "root").exists()


def test_a_download_with_another_checksum_is_not_kept(ten, tmp_path, served):
    folder, address = served
    archive(folder / "x.tar.gz", ten.folder, ten.files)
    wanted = {"url": f"{address}/x.tar.gz", "file": "kept.tar.gz", "md5": "0" * 32}
    source = ten.source(tmp_path / "root", download=True, archive=wanted)
    with pytest.raises(ValueError, match=r"(?i)md5|hash"):
        source.fingerprint()
    assert not list((tmp_path / "root").glob("*"))


def test_a_download_of_an_error_page(ten, tmp_path, served):
    _, address = served
    wanted = {"url": f"{address}/nothing.tar.gz", "file": "kept.tar.gz", "md5": "0" * 32}
    with pytest.raises(OSError, match=r"404"):
        ten.source(tmp_path / "root", download=True, archive=wanted).fingerprint()
    assert not list((tmp_path / "root").glob("*"))
