"""The pool: which run starts when."""

import random
from dataclasses import replace

import pytest

from reslab.launch import pool as pool_module
from reslab.launch import resources
from reslab.launch.bench import fake, grid
from reslab.launch.compose import composer
from reslab.launch.listing import Listing, Planned
from reslab.launch.local import freeze_all
from reslab.launch.one import Silent
from reslab.launch.pool import Pool
from reslab.launch.sharing import share_of, slots_of
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


def test_what_ran_is_interrupted_even_if_its_end_is_interrupted(tmp_path, monkeypatch):
    """A second Ctrl-C while the first is obeyed: nothing is forgotten that was said to be running or waiting."""
    outcomes = {}
    pool = Pool(grid.jobs(3, tmp_path)[:3], 1, Silent(), outcomes, work=fake.Training(60.0))

    def interrupted(running):
        raise KeyboardInterrupt

    def soon():
        monkeypatch.setattr(pool_module.Ranks, "end", interrupted)
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "_wait", soon)
    with pytest.raises(KeyboardInterrupt):
        pool.run()
    monkeypatch.undo()
    for running in pool._running:
        running.ranks.stop()
        running.held.close()
    assert sorted(outcomes.values()) == ["interrupted", "not started", "not started"]


@pytest.mark.parametrize(
    ("devices", "cores", "slots", "share"), [((1, 2), 4, 2, (2, 1)), ((1, 1), 2, 2, (1, 1)), ((2, 2), 8, 4, (1, 1))]
)
def test_a_plan_and_the_pool_share_the_machine_alike(jobs, monkeypatch, devices, cores, slots, share):
    monkeypatch.setattr(resources, "cores", lambda: cores)
    ranked = [replace(job, config={**job.config, "devices": n}) for job, n in zip(jobs[:2], devices, strict=True)]
    assert slots_of(ranked, 10) == slots
    assert tuple(share_of(job, slots) for job in ranked) == share
    assert share_of(ranked[0], 1, cores=6) == 6 // devices[0]


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


def test_what_another_command_ended_in_the_meantime_is_not_run_again(tmp_path):
    """It was pending when the list was made, and has ended before its turn: its records stay as they are."""
    ours, theirs = grid.jobs(2, tmp_path)[:2]
    Pool([theirs], 1, Silent(), {}, work=fake.Training(0.001)).run()
    files = {path: path.read_bytes() for path in theirs.folder.path.rglob("*") if path.is_file()}
    outcomes, order = {}, Order()
    Pool([ours, theirs], 1, order, outcomes, work=fake.Training(0.001)).run()
    assert outcomes == {(ours.cell, ours.seed): "trained", (theirs.cell, theirs.seed): "ended"}
    assert order.names == [ours.name]
    assert files == {path: path.read_bytes() for path in theirs.folder.path.rglob("*") if path.is_file()}
