"""The grid of `probe=init`: composed, checked and costed before anything is measured; no torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from reslab.launch.compose import composer
from reslab.launch.construct import describe
from reslab.launch.freeze import resolve
from reslab.specs import cost

AXES = ("depth", "shortcut", "order", "norm", "seed")
WITH = ("data=cifar10", "tracking=disabled", "trainer=cpu")  # the shape of the images; they are not read


@dataclass(frozen=True)
class Point:
    """One net of the grid: its place, the frozen config that it is built from, its multiply-adds for an image."""

    place: dict[str, Any]
    config: dict[str, Any]
    macs: float


def points(config: Mapping[str, Any]) -> list[Point]:
    """Every net of the grid, shallow ones first. ValueError, or Hydra's own error, names the value that cannot be."""
    for axis in AXES:
        _check(axis, config[axis])
    if config["images"] < 2:
        raise ValueError(f"images={config['images']} is too few for statistics of a batch; use images=128")
    return sorted(_composed(config), key=lambda point: point.place["depth"])


def _check(axis: str, values: list[Any]) -> None:
    if not values:
        raise ValueError(f"{axis}=[] leaves no net to measure; use {axis}=[VALUE,VALUE]")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int if axis in ("depth", "seed") else str):
            kind = "an integer" if axis in ("depth", "seed") else "the name of a choice"
            raise ValueError(f"{axis}={value} is not {kind}; {axis} is a list such as {axis}=[{_LIKE[axis]}]")
    twice = [value for at, value in enumerate(values) if value in values[:at]]
    if twice:
        raise ValueError(f"{axis}={twice[0]} stands twice in {axis}={values}; name it once")


_LIKE = {
    "depth": "20,56",
    "shortcut": "none,identity",
    "order": "post,pre",
    "norm": "batch,absent",
    "seed": "0,1",
}


def _composed(config: Mapping[str, Any]) -> Iterator[Point]:
    with composer("train") as one:
        for values in product(*(config[axis] for axis in AXES)):
            place = dict(zip(AXES, values, strict=True))
            frozen = resolve(*one.point([*WITH, *(f"{axis}={value}" for axis, value in place.items())]))
            spec = describe(frozen)
            counts = cost(spec) if spec is not None else None
            yield Point(place, frozen, float(counts.macs if counts is not None else place["depth"]))
