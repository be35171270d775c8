"""What outputs on a network file system rely on: files are renamed within their folder, where that is atomic."""

import os

import numpy as np
import pytest

from reslab.callbacks.checkpoint import replace
from reslab.data.arrays import Arrays, cached
from reslab.launch.bench import verbs
from reslab.report import page


@pytest.fixture
def renamed(monkeypatch):
    """(from, to) of every rename."""
    pairs, real = [], os.replace

    def noting(source, target, **settings):
        pairs.append((os.path.abspath(source), os.path.abspath(target)))
        return real(source, target, **settings)

    monkeypatch.setattr(os, "replace", noting)
    monkeypatch.setattr(os, "rename", noting)
    return pairs


def test_whatever_is_renamed_stays_in_its_folder(tmp_path, renamed):
    verbs.fill(1, tmp_path)
    for _ in range(2):
        replace(
            tmp_path / "checkpoints/last.ckpt", lambda path: path.touch(), keep=tmp_path / "checkpoints/previous.ckpt"
        )
    cached(lambda: Arrays(np.zeros((2, 1, 8, 8), np.uint8), np.zeros(2, np.int64)), tmp_path / "cache", "digits")
    page.replace(tmp_path / "reports/report.html", "text")
    names = {os.path.basename(target) for _, target in renamed}
    assert {"config.yaml", "status.json", "result.json", "study.json", "last.ckpt", "previous.ckpt"} <= names
    assert {"digits-images.npy", "digits-labels.npy", "report.html"} <= names
    for source, target in renamed:
        assert os.path.dirname(source) == os.path.dirname(target)
