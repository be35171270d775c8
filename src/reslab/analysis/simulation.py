"""Whole verdicts on simulated errors: how often a verdict is false, and how often an interval misses.

`python -m reslab.analysis.simulation` draws all worlds, prints the table and writes `simulated.csv`, which the page
reads to say where the methods fall short. Nothing is assumed about the methods: truth comes from the generator.
"""

import csv
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from reslab.analysis.calibration import TABLE
from reslab.analysis.gaps import DEGRADES, FINE, family, judge
from reslab.analysis.study import POINTS, Study
from reslab.analysis.verdict import Key, Sample

SHORTCUTS, DEPTHS = ("none", "identity"), (20, 32, 44, 56)
STUDY = Study(shortcuts=SHORTCUTS, depths=DEPTHS)
IMAGES, CHANCE = 45_000, 0.9
SEEDS = (3, 5, 8)
SHARES = ("coverage", "false", "degrades", "fine")

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SHAPES: dict[str, Draw] = {  # standard deviation 1, mean 0 or as in OFFSETS
    "normal": lambda rng, size: rng.standard_normal(size),
    "skewed": lambda rng, size: rng.exponential(1.0, size) - 1.0,
    "bimodal": lambda rng, size: (
        np.where(rng.random(size) < 0.3, 1.0, -3 / 7) / (0.3 / 0.7) ** 0.5 + 0.1 * rng.standard_normal(size)
    ),
    "zero-inflated": lambda rng, size: np.where(rng.random(size) < 0.5, 0.0, rng.exponential(1.0, size)) / 0.75**0.5,
}
OFFSETS = {"zero-inflated": 0.5 / 0.75**0.5}  # means of the shapes that cannot be below 0
GAPS = {"none": 0.0, "at the margin": STUDY.delta, "as in He 2015": None}
HE_2015 = {"none": (1.4, 1.3, 2.6, 5.7), "identity": (0.7, 0.3, 0.2, 0.14)}  # clean training error in percent, Fig. 6


@dataclass(frozen=True)
class World:
    """How errors come about: gap of all deeper cells, shape, spread in points, its ratio, correlation, failures."""

    gap: str
    shape: str = "normal"
    spread: float = 0.15
    ratio: float = 1.0
    """Spread of the deepest cells over that of the others."""
    correlation: float = 0.0
    """Share of the variance that cells of one seed have in common."""
    failures: float = 0.0
    """Probability that a run of the deepest cells is at chance."""

    def draw(self, rng: np.random.Generator, draws: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Errors (draws, cells, n) as shares in whole images, and which of them failed; cells in order of `KEYS`."""
        shape = SHAPES[self.shape]
        own, common = shape(rng, (draws, len(KEYS), n)), shape(rng, (draws, 1, n))
        noise = (1 - self.correlation) ** 0.5 * own + self.correlation**0.5 * common
        deepest = np.array([depth == DEPTHS[-1] for _, depth in KEYS])
        spread = self.spread * np.where(deepest, self.ratio, 1.0)
        points = self._means()[:, None] + spread[:, None] * noise
        errors = np.round(np.clip(points / POINTS, 0.0, 1.0) * IMAGES) / IMAGES
        failed = deepest[:, None] & (rng.random(errors.shape) < self.failures)
        return np.where(failed, CHANCE, errors), failed

    def expected(self) -> np.ndarray:
        """The true mean error of each cell, as a share, in closed form."""
        bias = OFFSETS.get(self.shape, 0.0) * ((1 - self.correlation) ** 0.5 + self.correlation**0.5)
        deepest = np.array([depth == DEPTHS[-1] for _, depth in KEYS])
        healthy = (self._means() + self.spread * np.where(deepest, self.ratio, 1.0) * bias) / POINTS
        return np.where(deepest, (1 - self.failures) * healthy + self.failures * CHANCE, healthy)

    def _means(self) -> np.ndarray:
        gap = GAPS[self.gap]
        if gap is None:
            return np.array([dict(zip(DEPTHS, HE_2015[shortcut], strict=True))[depth] for shortcut, depth in KEYS])
        base = 0.0 if self.shape in OFFSETS else 20.0  # so high that no draw is cut off at 0
        return np.array([base + gap * (depth > DEPTHS[0]) for _, depth in KEYS])


KEYS: tuple[Key, ...] = tuple((shortcut, depth) for shortcut in SHORTCUTS for depth in DEPTHS)

CELLS = family(KEYS, STUDY)


@dataclass(frozen=True)
class Measured:
    """What came out: shares of simulated experiments (false), of gaps (coverage, degrades, fine)."""

    gap: str
    shape: str
    ratio: float
    correlation: float
    failures: float
    n: int
    draws: int
    coverage: float
    false: float
    """Experiments with at least one false verdict."""
    degrades: float
    fine: float


def measure(world: World, n: int, draws: int) -> Measured:
    """Judge `draws` experiments of `n` seeds, every look up to n included."""
    rng = np.random.Generator(np.random.Philox(zlib.crc32(f"{world} {n}".encode())))
    truth = _truth(world)
    errors, failed = world.draw(rng, draws, n)
    seeds = tuple(range(n))
    covered = false = degrades = fine = total = 0
    for values, flags in zip(errors, failed, strict=True):
        samples = {
            key: Sample(seeds, seeds, tuple(values[at].tolist()), tuple(flags[at].tolist()), 1 / IMAGES)
            for at, key in enumerate(KEYS)
        }
        wrong = False
        for gap in judge(samples, STUDY, CELLS):
            true = truth[gap.shortcut, gap.depth]
            low, high = (
                bound / POINTS if bound is not None else None for bound in (gap.lower_points, gap.upper_points)
            )
            covered += (low is None or low <= true + 1e-9) and (high is None or true - 1e-9 <= high)
            degrades, fine, total = degrades + (gap.verdict == DEGRADES), fine + (gap.verdict == FINE), total + 1
            margin = STUDY.delta / POINTS
            wrong |= (gap.verdict == DEGRADES and true <= margin + 1e-6) or (
                gap.verdict == FINE and true >= margin - 1e-6
            )
        false += wrong
    settings = {key: value for key, value in asdict(world).items() if key != "spread"}
    return Measured(
        **settings,
        n=n,
        draws=draws,
        coverage=covered / total,
        false=false / draws,
        degrades=degrades / total,
        fine=fine / total,
    )


def _truth(world: World) -> dict[Key, float]:
    """The true largest gap of each cell, as a share."""
    means = dict(zip(KEYS, world.expected(), strict=True))
    return {
        (s, d): float(max(means[s, d] - means[s, low] for low in depths if low < d))
        for s, depths in CELLS.items()
        for d in depths[1:]
    }


def worlds() -> Iterable[World]:
    """Every shape with equal and 1:10 spreads and correlated arms, without a gap and at the margin; then the rest."""
    for gap in ("none", "at the margin"):
        for shape in SHAPES:
            yield World(gap, shape)
            yield World(gap, shape, ratio=10.0)
            yield World(gap, shape, correlation=0.8)
        yield World(gap, failures=0.2)
    yield World("as in He 2015", spread=0.1)
    yield World("as in He 2015", spread=0.1, failures=0.2)


def main(draws: int, target: Path = TABLE) -> None:
    """Measure all worlds, print a line each, write the table."""
    rows = []
    for world in worlds():
        for n in SEEDS:
            rows.append(asdict(measure(world, n, draws)))
            print(
                *(f"{key}={round(value, 4)}" if key in SHARES else f"{key}={value}" for key, value in rows[-1].items())
            )
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
