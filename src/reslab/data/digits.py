"""scikit-learn's 1,797 handwritten digits of 8 x 8 pixels: real images that need no download."""

import gzip
import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reslab.data.arrays import Arrays

TEST_ROWS = 297


class Digits:
    """The UCI optical digits (Alpaydin and Kaynak 1998) as scikit-learn ships them; a fixed stratified test part."""

    def fingerprint(self) -> str:
        """Hash of the file's text."""
        package = find_spec("sklearn")
        if package is None or package.origin is None:
            raise FileNotFoundError("data=digits needs scikit-learn; install it, or use data=synthetic")
        file = Path(package.origin).parent / "datasets/data/digits.csv.gz"
        return hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest()

    def read(self, part: str) -> "Arrays":
        """Grey values 0 to 16, times 15."""
        import numpy as np
        from sklearn.datasets import load_digits

        from reslab.data.arrays import Arrays
        from reslab.data.split import stratified

        bunch = load_digits()
        images = (bunch.images * 15).astype(np.uint8)[:, None]
        labels = bunch.target.astype(np.int64)
        train, test = stratified(labels, TEST_ROWS, "digits", "test")
        rows = test if part == "test" else train
        return Arrays(images[rows], labels[rows])
