"""The pool: which run starts when."""

import random
from dataclasses import replace

import pytest

from reslab.launch.bench import fake
from reslab.launch.compose import composer
from reslab.launch.listing import Listing, Planned
from reslab.launch.local import freeze_all
from reslab.launch.one import Silent
from reslab.launch.pool import Pool
from reslab.runs.pace import Estimate

SLOTS = 2


class Order(Silent):
    """Remembers in which order runs ended: with one slot, that in which they began."""

    def __init__(self):
        super().__init__()
        self.names = []

    def finished(self, job, outcome, reason, seconds):
        assert outcome == "trained", reason
        self.names.append(job.name)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Of a sweep: depths 8, 20, 14 and three seeds of each, the last of which has a layer that nobody can count."""
    fixed = ("width=4", "trainer=cpu", "tracking=disabled", f"outputs={tmp_path_factory.mktemp('pool')}")
    points = [(*fixed, f"depth={depth}", f"seed={seed}") for seed in range(3) for depth in (8, 20, 14)]
    points += [(*fixed, "depth=8", "seed=3"), (*fixed, "depth=8", "seed=4", "recipe.steps=1000000")]
    with composer("train") as one:
        made = freeze_all(one, points)
    return [*made[:-2], replace(made[-2], cost=None), made[-1]]


def test_the_longest_run_starts_first_and_equals_in_the_order_of_the_sweep(jobs):
    order = Order()
    Pool(jobs, 1, order, {}, work=fake.Training(0.001)).run()
    by_depth = {depth: [job.name for job in jobs[:-2] if job.config["depth"] == depth] for depth in (20, 14, 8)}
    assert order.names == [jobs[-2].name, jobs[-1].name, *by_depth[20], *by_depth[14], *by_depth[8]]


def test_a_plan_lists_the_sweep_and_times_it_as_it_starts(jobs):
    """Against every run in turn, the longest of the rest to the slot that is free first."""
    draw = random.Random(0)
    planned = tuple(Planned(job, "new", Estimate(draw.uniform(1, 9), 1.0, (), "")) for job in jobs)
    found, free = Listing(planned, SLOTS), [0.0] * SLOTS
    for run in sorted(planned, key=lambda run: -run.job.work):
        at = free.index(min(free))
        free[at] += run.estimate.seconds
    assert [run.job for run in found.runs] == jobs
    assert found.seconds == pytest.approx(max(free))
