"""All laws, by topic; a new probe brings its laws by an entry here."""

import sys
import time
import traceback
from collections.abc import Callable, Sequence

from reslab.launch.verify import (
    counts,
    landscape,
    linear,
    nets,
    propagation,
    representation,
    shattering,
    turning,
    undisturbed,
)
from reslab.launch.verify.fact import EXACT, Fact, Topic

TOPICS: tuple[Topic, ...] = (
    Topic("parameters and multiply-adds", counts.facts),
    Topic("update geometry and scale invariance", turning.facts),
    Topic("signals in plain nets", propagation.plain_facts),
    Topic("signals in residual nets", propagation.residual_facts),
    Topic("real nets at initialisation", nets.facts),
    Topic("shattered gradients", shattering.facts),
    Topic("dead units and rank", representation.facts),
    Topic("linear probes", linear.facts),
    Topic("loss landscape", landscape.facts),
    Topic("non-interference", undisturbed.facts),
)


def measured(tell: Callable[[str], object], topics: Sequence[Topic] = TOPICS) -> list[tuple[str, Fact]]:
    """Every fact with its topic, in order; `tell` hears what is being measured, and how it went.

    A topic that raises is a fact that does not hold; its traceback goes to standard error.
    """
    found: list[tuple[str, Fact]] = []
    for at, topic in enumerate(topics, 1):
        tell(f"{at} of {len(topics)}: {topic.name} ...")
        began = time.monotonic()
        own: list[Fact] = []
        try:
            own.extend(topic.facts())
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            said = (str(error).splitlines() or [""])[0]
            own.append(Fact(f"{topic.name}: {type(error).__name__}: {said}", "measurable", 1, float("nan"), EXACT))
        hold = sum(fact.passed for fact in own)
        tell(f"{at} of {len(topics)}: {topic.name}: {hold} of {len(own)} hold, {time.monotonic() - began:.1f} s")
        found += [(topic.name, fact) for fact in own]
    return found
