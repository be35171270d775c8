"""Published errors on CIFAR-10 that stand beside ours, with the band in which a faithful repetition should fall.

Sources: He et al. 2015, "Deep Residual Learning", Table 6 and Fig. 6 (read off the curves); He et al. 2016, "Identity
Mappings", Tables 1 to 3. A band spans the paper's value and independent repetitions of its recipe; it is not the
paper's own. Whether the final nets of 2015 saw 45,000 or 50,000 training images is not said there.
"""

from dataclasses import asdict, dataclass, replace

import polars as pl

from reslab.analysis.intervals import interval_of_mean

UNSAID = "45k or 50k, not said"
RECIPES = ("he2015", "he2016")
THEIRS = {"steps": 64_000, "lr": 0.1, "batch": 128, "width": 16, "net": "cifar", "data": "cifar10", "norm": "batch"}


@dataclass(frozen=True)
class Value:
    """One published error in percent; `band` is None where the paper gives no number to fall into."""

    source: str
    net: str
    block: str
    order: str
    shortcut: str
    depth: int
    part: str
    published: float | None
    band: tuple[float, float] | None
    split: str = UNSAID
    note: str = ""


def _table6(depth: int, published: float, band: tuple[float, float], note: str = "one run") -> Value:
    return Value(
        "He 2015, Table 6", f"ResNet-{depth}", "basic", "post", "identity", depth, "test", published, band, note=note
    )


def _he2016(table: int, net: str, block: str, order: str, depth: int, published: float, note: str = "") -> Value:
    return Value(f"He 2016, Table {table}", net, block, order, "identity", depth, "test", published, None, note=note)


def _figure6(shortcut: str, depth: int, part: str, published: float, band: tuple[float, float]) -> Value:
    net = f"{'plain' if shortcut == 'none' else 'ResNet'}-{depth}"
    note = "read off the curve"
    return Value("He 2015, Fig. 6", net, "basic", "post", shortcut, depth, part, published, band, note=note)


VALUES: dict[str, tuple[Value, ...]] = {
    "he2015": (
        _table6(20, 8.75, (7.8, 8.9)),
        _table6(32, 7.51, (7.0, 7.7)),
        _table6(44, 7.17, (6.6, 7.4)),
        _table6(56, 6.97, (6.3, 7.6)),
        _table6(110, 6.43, (5.9, 6.9), "best of 5; 6.61 ± 0.16"),
        _figure6("none", 20, "test", 9.65, (9.1, 9.9)),
        _figure6("none", 32, "test", 10.1, (9.2, 10.4)),
        _figure6("none", 44, "test", 11.35, (10.6, 11.7)),
        _figure6("none", 56, "test", 13.3, (12.7, 14.2)),
        _figure6("none", 20, "train", 1.4, (1.0, 1.7)),
        _figure6("none", 56, "train", 5.7, (4.5, 6.3)),
        _figure6("identity", 20, "train", 0.7, (0.5, 1.1)),
        _figure6("identity", 56, "train", 0.14, (0.0, 0.4)),
        Value(
            *("He 2015, Fig. 6", "plain-110", "basic", "post", "none", 110, "test"),
            published=None,
            band=(20.0, 100.0),
            note="above 60 and not displayed",
        ),
    ),
    "he2016": (
        replace(_he2016(1, "ResNet-110", "basic", "post", 110, 6.61, "median of 5"), band=(5.9, 6.9)),
        Value(
            *("He 2016, Table 1", "ResNet-110, 1x1 on every shortcut", "basic", "post", "projection_all", 110, "test"),
            published=12.22,
            band=(11.0, 14.0),
            note="median of 5",
        ),
        Value(
            *("He 2016, Table 1", "plain-110", "basic", "post", "none", 110, "test"),
            published=None,
            band=(20.0, 100.0),
            note="fails: above 20",
        ),
        _he2016(2, "pre-activation ResNet-110", "basic", "pre", 110, 6.37, "median of 5"),
        _he2016(2, "pre-activation ResNet-164", "bottleneck", "pre", 164, 5.46, "median of 5"),
        _he2016(3, "ResNet-164", "bottleneck", "post", 164, 5.93),
        _he2016(3, "pre-activation ResNet-1001", "bottleneck", "pre", 1001, 4.92, "4.89 ± 0.14"),
    ),
}

SCHEMA = {
    **dict.fromkeys(("source", "net", "quantity"), pl.String),
    **dict.fromkeys(("published", "band_low", "band_high", "ours"), pl.Float64),
    "n": pl.Int64,
    **dict.fromkeys(("lower", "upper"), pl.Float64),
    **dict.fromkeys(("split", "verdict", "note"), pl.String),
}


def beside(runs: pl.DataFrame, name: str) -> pl.DataFrame:
    """Each published value with the mean of our runs of that net and recipe, in percent.

    `runs` are those of one context. ValueError for an unknown set.
    """
    if not name:
        return pl.DataFrame(schema=SCHEMA)
    if name not in VALUES:
        raise ValueError(f"study.published={name} is unknown; it is {' or '.join(VALUES)}, or empty")
    return pl.DataFrame([_row(value, runs) for value in VALUES[name]], schema=SCHEMA)


def _row(value: Value, runs: pl.DataFrame) -> dict[str, object]:
    kept = {key: found for key, found in asdict(value).items() if key in ("block", "order", "shortcut", "depth")}
    same = [pl.col(key) == found for key, found in (kept | THEIRS).items()]
    own = runs.filter(*same, pl.col("recipe").is_in(RECIPES))
    measured = own.drop_nulls(f"{value.part}_error")
    ours = [100 * float(error) for error in measured[f"{value.part}_error"]]
    mean = sum(ours) / len(ours) if ours else None
    images = measured["images"].drop_nulls()
    floor = 100 / float(images[0]) / 12**0.5 if len(images) else 1e-9
    lower, upper = interval_of_mean(ours, floor=floor) if len(ours) > 1 else (None, None)
    lower = None if lower is None else max(lower, 0.0)
    low, high = value.band or (None, None)
    if mean is None:
        verdict = "no run of ours"
    elif low is None or high is None:
        verdict = "no band"
    else:
        verdict = "inside" if low <= mean <= high else "outside"
    return {
        "source": value.source,
        "net": value.net,
        "quantity": f"{value.part} error %",
        "published": value.published,
        "band_low": low,
        "band_high": high,
        "ours": mean,
        "n": len(ours),
        "lower": lower,
        "upper": upper,
        "split": value.split,
        "verdict": verdict,
        "note": value.note,
    }
