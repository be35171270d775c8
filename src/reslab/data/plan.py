"""The data plan: which image at which step, moved and flipped how; a pure function of seed and step."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from reslab import streams


class Epoch(NamedTuple):
    """One pass: position in the training split, vertical and horizontal offset in pixels, flip; in step order."""

    order: Int64[np.ndarray, " n"]
    dy: Int64[np.ndarray, " n"]
    dx: Int64[np.ndarray, " n"]
    flip: Bool[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Counter-based: epoch e needs nothing from epoch e - 1. `pad` in pixels; the incomplete tail is dropped."""

    rows: int
    batch: int
    pad: int
    flip: bool
    order_seed: int
    augment_seed: int

    def __post_init__(self) -> None:
        """ValueError where not one batch can be filled."""
        if not 1 <= self.batch <= self.rows:
            raise ValueError(f"recipe.batch={self.batch} cannot be filled from {self.rows} training images")

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass."""
        return self.rows // self.batch

    def epoch(self, number: int) -> Epoch:
        """The whole plan of one epoch."""
        return _epoch(self, number)

    def locate(self, step: int) -> tuple[int, slice]:
        """The epoch of an optimiser step (counted from 0) and its batch within it."""
        number, at = divmod(step, self.steps_per_epoch)
        return number, slice(at * self.batch, (at + 1) * self.batch)


@lru_cache(maxsize=2)
def _epoch(plan: Plan, number: int) -> Epoch:
    moves = 2 * plan.pad + 1

    def draw(purpose: str) -> np.ndarray:
        return streams.bits(plan.rows, plan.augment_seed, number, purpose)

    return Epoch(
        order=streams.permutation(plan.rows, plan.order_seed, number, "order"),
        dy=streams.below(moves, draw("dy")),
        dx=streams.below(moves, draw("dx")),
        flip=(draw("flip") >> np.uint64(63)).astype(bool) & plan.flip,
    )
