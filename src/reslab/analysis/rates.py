"""The gap at each depth's best learning rate, chosen on seeds that the comparison never sees (no winner's curse)."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from reslab.analysis import wording
from reslab.analysis.contexts import Context
from reslab.analysis.gaps import family, judge
from reslab.analysis.study import Study
from reslab.analysis.verdict import Key, Sample


def best_rates(contexts: Sequence[Context], study: Study) -> list[dict[str, Any]]:
    """One row per shortcut and depth; empty unless several rates were run and tuning seeds declared.

    Rates are compared within the main context's other settings, by mean counted error over the tuning seeds.
    """
    main = next((context for context in contexts if context.main), None)
    if main is None or not study.tuning_seeds:
        return []
    swept = [c for c in contexts if all(c.axes[k] == v for k, v in main.axes.items() if k != "lr")]
    if len(swept) < 2:
        return []
    chosen = {key: min(scores) for key, scores in _scores(swept, study).items()}
    tried = [float(str(context.axes["lr"])) for context in swept]
    samples: dict[Key, Sample] = {}
    for (_, _, at), key in ((best, key) for key, best in chosen.items()):
        own = swept[at].samples(study)
        samples |= {key: own[key]} if key in own else {}
    rows = []
    for gap in judge(samples, study, family(samples, study)):
        lr, against = (chosen[gap.shortcut, depth][1] for depth in (gap.depth, gap.against))
        edges = [f"{rate:g}" for rate in sorted({lr, against} & {min(tried), max(tried)})]
        edge = f"; {', '.join(edges)} {'is' if len(edges) == 1 else 'are'} at the edge of those tried" if edges else ""
        words = wording.budget(main.axes["steps"], f"the best rate of each depth ({lr:g} against {against:g}{edge})")
        fields = {name: getattr(gap, name) for name in gap.__dataclass_fields__}
        said = {"context": main.words, "lr": lr, "lr_against": against, "sentence": wording.of_gap(gap, words)}
        rows.append(fields | said)
    return rows


def _scores(swept: Sequence[Context], study: Study) -> dict[Key, list[tuple[float, float, int]]]:
    """Mean error on the tuning seeds, rate and index of the context, for every cell and rate that has them all."""
    found: dict[Key, list[tuple[float, float, int]]] = {}
    for at, context in enumerate(swept):
        tuning = context.runs.filter(pl.col("seed").is_in(study.tuning_seeds)).drop_nulls("counted_error")
        for (shortcut, depth), group in tuning.group_by("shortcut", "depth"):
            if group["seed"].n_unique() == len(study.tuning_seeds):
                score = float(group["counted_error"].sum()) / len(group)
                found.setdefault((str(shortcut), int(str(depth))), []).append(
                    (score, float(str(context.axes["lr"])), at)
                )
    return found
