"""A separable data set made on the spot, for smoke runs and tests."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reslab.data.source import combined
from reslab.specs import Image

if TYPE_CHECKING:
    from reslab.data.arrays import Arrays


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """One random picture per class plus noise; `noise` in grey levels of 255, `rows` per part."""

    image: Image
    rows: dict[str, int]
    noise: int

    def fingerprint(self) -> str:
        """Hash of the parameters: they determine every pixel."""
        return combined(["synthetic", repr(self.image), repr(sorted(self.rows.items())), str(self.noise)])

    def read(self, part: str) -> "Arrays":
        """Labels in turn; each image its class's picture plus uniform noise."""
        import numpy as np

        from reslab import streams
        from reslab.data.arrays import Arrays

        n, (c, h) = self.rows[part], (self.image.channels, self.image.size)
        labels = np.arange(n) % self.image.classes
        pictures = streams.below(256 - self.noise, streams.bits(self.image.classes * c * h * h, "synthetic", "classes"))
        noise = streams.below(max(self.noise, 1), streams.bits(n * c * h * h, "synthetic", part))
        images = pictures.reshape(-1, c, h, h)[labels] + noise.reshape(n, c, h, h)
        return Arrays(images.astype(np.uint8), labels.astype(np.int64))
