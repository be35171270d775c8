"""Estimates: exact where the truth is a line, from the nearest kind of record, and none without a record."""

import json
import os
import platform
import random
from dataclasses import replace
from itertools import permutations

import pytest

from reslab.runs.folder import RunFolder, write_json
from reslab.runs.pace import Pace, clock, distinct, makespan, work
from reslab.runs.plan import add_to_plan, plan_file
from reslab.runs.speeds import Speed, Wanted, recorded
from runs.lines import line as entry

HERE = {"machine": platform.machine(), "system": platform.platform(), "cores": os.cpu_count()}
HERE |= {"threads": 1, "device": "cpu", "capability": "?"}


def result(step=0.5, *, steps=100, measuring=4.0, macs=1000, batch=10, **changes):
    """A run of `step` seconds a step, 1 s to start and stop, and 4 s of measuring at 1,000 multiply-adds."""
    spent = measuring * macs / 1000
    times = {"build": 0.5, "open": 0.25, "close": 0.25, "fit": step * steps + spent / 2, "evaluate": spent / 2}
    made = {"outcome": "trained", "hardware": HERE, "times": times, "step": steps, "images_per_second": batch / step}
    parts = (("train", 60), ("validation", 20), ("test", 20))
    scores = {part: {"n": n, "errors": 0, "error": 0.0, "cross_entropy": None} for part, n in parts}
    return made | {"cell": "a", "seed": 0} | scores | changes


def record(outputs, planned, made, name="mine"):
    add_to_plan(plan_file(outputs, name), [planned])
    folder = RunFolder(outputs / planned["folder"])
    folder.path.mkdir(parents=True)
    write_json(folder.result, made)


def estimate(wanted, speeds):
    return Pace(speeds).estimate(wanted)


def speed(step=0.5, **changes):
    own = {"images": 100, "threads": 1, "gpu": False}
    return Speed(run=replace(Wanted.of(entry(**changes)), **own), step=step, start=1.0, measure=4.0)


def test_a_recorded_run_is_given_back(tmp_path):
    record(tmp_path, entry(), result())
    (found,) = recorded(tmp_path)
    assert (found.step, found.start, found.measure) == pytest.approx((0.5, 1.0, 4.0))
    assert (found.run.images, found.run.threads, found.run.gpu) == (100, 1, False)
    again = estimate(Wanted.of(entry()), [found])
    assert again.seconds == pytest.approx(sum(result()["times"].values()))
    assert again.basis == "the same cell"
    assert again.left(100, 100) == pytest.approx(5.0)
    assert again.left(50, 100) == pytest.approx(30.0)
    assert again.left(0, 100) == again.seconds


def test_the_longest_first_end_earlier():
    """Plain and residual nets of five depths on two cores, in the order of a sweep and from the longest on."""
    swept = [work(macs=depth, batch=128, steps=100) for _ in range(2) for depth in (8, 20, 32, 44, 56)]
    assert makespan(sorted(swept, reverse=True), 2) == sum(swept) / 2 < makespan(swept, 2)
    assert work(macs=None, batch=1, steps=1) > max(swept)


def test_no_record_no_number(tmp_path):
    assert recorded(tmp_path) == []
    assert estimate(Wanted.of(entry()), []) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "diverged"},
        {"outcome": "failed"},
        {"hardware": HERE | {"system": "another"}},
        {"hardware": HERE | {"cores": 999}},
        {"hardware": {}},
        {"images_per_second": 0.0},
        {"images_per_second": None},
        {"times": {}},
        {"train": "edited"},
        {"seed": 1},
    ],
)
def test_a_record_that_tells_nothing_of_this_machine(tmp_path, changes):
    record(tmp_path, entry(), result(**changes))
    assert recorded(tmp_path) == []


def test_a_torn_record_and_a_foreign_plan_are_passed_over(tmp_path):
    record(tmp_path, entry(), result())
    record(tmp_path, entry("b"), {})
    (tmp_path / "runs/b/seed=0/result.json").write_text('{"outcome": "trai')
    foreign = plan_file(tmp_path, "foreign")
    foreign.parent.mkdir()
    foreign.write_text(json.dumps({"schema": 2, **entry("c")}) + "\n")
    assert len(recorded(tmp_path)) == 1


def test_a_run_of_two_experiments_counts_once(tmp_path):
    record(tmp_path, entry(), result())
    add_to_plan(plan_file(tmp_path, "other"), [entry()])
    assert len(recorded(tmp_path)) == 1


def test_the_nearest_kind_of_record_decides():
    wanted = Wanted.of(entry("a"))
    cell, net = speed(1.0, cell="a"), speed(2.0, cell="b", steps=7)
    other = speed(3.0, cell="c", depth=20, macs=3000)
    assert estimate(wanted, [other, net, cell]).basis == "the same cell"
    assert estimate(wanted, [other, net]).basis == "the same net"
    assert estimate(wanted, [other, net]).stepping == pytest.approx(200.0)
    assert estimate(wanted, [other]).basis == "the nearest net, by MACs"
    assert estimate(wanted, [other]).stepping == pytest.approx(100.0)


def test_order_of_records_does_not_matter():
    speeds = [speed(0.1 * n, cell=str(n), macs=1000 * n, depth=n) for n in (1, 2, 5, 9)]
    found = {estimate(Wanted.of(entry("x", macs=3500, depth=3)), order).seconds for order in permutations(speeds)}
    assert len(found) == 1


@pytest.mark.parametrize("macs", [300, 1500, 4000, 9000, 40_000])
def test_a_line_is_followed_exactly(macs):
    """Fixed 0.2 s a step and 1e-4 s per thousand multiply-adds."""
    speeds = [speed(0.2 + 1e-4 * m, cell=str(m), macs=m, depth=m) for m in (1000, 2500, 8000)]
    found = estimate(Wanted.of(entry("x", macs=macs, depth=0)), speeds)
    assert found.basis == "nets of other sizes, by MACs"
    assert found.stepping == pytest.approx(100 * (0.2 + 1e-4 * macs))


@pytest.mark.parametrize("steps", [(0.5, 0.1), (0.1, 5.0)])
def test_noise_makes_no_line(steps):
    """A bigger net that was faster, or a line that would begin below zero: proportional to the nearest."""
    speeds = [speed(step, cell=str(m), macs=m, depth=m) for step, m in zip(steps, (1000, 4000), strict=True)]
    found = estimate(Wanted.of(entry("x", macs=500, depth=0)), speeds)
    assert found.stepping == pytest.approx(100 * steps[0] / 2)
    assert found.seconds > 0


def test_records_too_near_to_each_other_make_no_line():
    speeds = [speed(0.5, cell="b", macs=1000, depth=1), speed(0.6, cell="c", macs=1010, depth=2)]
    assert estimate(Wanted.of(entry("x", macs=4000, depth=0)), speeds).stepping == pytest.approx(
        100 * 0.6 * 4000 / 1010
    )


def test_the_median_run_decides():
    speeds = [speed(step, seed=n) for n, step in enumerate((0.5, 0.5, 50.0))]
    assert estimate(Wanted.of(entry()), speeds).stepping == pytest.approx(50.0)
    assert distinct([estimate(Wanted.of(entry()), speeds)] * 4) == 3


@pytest.mark.parametrize("changes", [{"precision": "bf16-mixed"}])
def test_another_precision_tells_nothing(changes):
    assert estimate(Wanted.of(entry(**changes)), [speed()]) is None


def test_other_threads_and_devices_tell_nothing():
    wanted = Wanted.of(entry())
    assert estimate(replace(wanted, threads=2), [speed()]) is None
    assert estimate(replace(wanted, gpu=True), [speed()]) is None
    assert estimate(replace(wanted, threads=1, gpu=False), [speed()]) is not None


def test_runs_that_share_a_gpu_are_another_speed(tmp_path):
    alone, sharing = ({**HERE, "device": "a GPU", **shared} for shared in ({}, {"runs_per_gpu": 4}))
    record(tmp_path, entry(), result(0.5, hardware=alone))
    record(tmp_path, entry("b"), result(2.0, cell="b", hardware=sharing))
    found, wanted = recorded(tmp_path), Wanted.of(entry("c"))
    assert sorted(speed.run.runs_per_gpu for speed in found) == [1, 4]
    assert estimate(replace(wanted, runs_per_gpu=1), found).stepping == pytest.approx(50.0)
    assert estimate(replace(wanted, runs_per_gpu=4), found).stepping == pytest.approx(200.0)
    assert estimate(replace(wanted, runs_per_gpu=2), found) is None


def test_other_data_need_their_number_of_images():
    wanted = Wanted.of(entry("x", data="cifar10"))
    assert estimate(wanted, [speed()]) is None
    small, large = (estimate(replace(wanted, images=n), [speed()]) for n in (100, 1000))
    assert large.seconds - large.stepping - 1.0 == pytest.approx(10 * (small.seconds - small.stepping - 1.0))


def scanned(wanted, speeds):
    """What an estimate may be taken from, by a look at every record: of the cell, else the net, else by size."""
    alike = [s for s in speeds if s.run.precision == wanted.precision and wanted.threads in (None, s.run.threads)]
    alike = [s for s in alike if wanted.gpu in (None, s.run.gpu)]
    pool = [s for s in alike if s.run.data == wanted.data] or (alike if wanted.images is not None else [])
    for name in ("cell", "net"):
        if chosen := [s for s in pool if getattr(s.run, name) == getattr(wanted, name)]:
            return chosen, []
    works = sorted({s.run.work for s in pool}, key=lambda w: (max(w, wanted.work) / min(w, wanted.work), w))
    far = [work for work in works if max(work, works[0]) / min(work, works[0]) >= 1.5]
    return [s for s in pool if s.run.work == works[0]], [s for s in pool if far and s.run.work == far[0]]


@pytest.mark.parametrize("seed", range(40))
def test_what_is_found_is_what_a_look_at_every_record_finds(seed):
    draw = random.Random(seed)
    few = {"cell": "abcdef", "depth": (8, 14, 20), "macs": (1000, 1400, 2000, 9000), "data": ("digits", "cifar10")}
    few |= {"precision": ("fp32", "bf16-mixed")}

    def drawn():
        return {name: draw.choice(values) for name, values in few.items()}

    speeds = [speed(draw.uniform(0.1, 1.0), **drawn()) for _ in range(draw.randrange(12))]
    speeds = [
        replace(s, run=replace(s.run, threads=draw.choice((1, 2)), gpu=draw.choice((True, False)))) for s in speeds
    ]
    pace = Pace(speeds)
    for _ in range(20):
        wanted = Wanted.of(entry(**drawn()))
        wanted = replace(
            wanted, images=draw.choice((None, 100)), threads=draw.choice((None, 1)), gpu=draw.choice((None, True))
        )
        near, far = ({id(s) for s in group} for group in scanned(wanted, speeds))
        found = pace.estimate(wanted)
        assert (found is None) == (not near)
        if found is not None:
            assert {id(s) for s in found.sources} in (near, near | far)
            assert pace.estimate(replace(wanted)) is found  # seeds of one cell share their answer


def test_a_net_with_uncounted_parts_has_no_estimate():
    assert Wanted.of(entry(macs=None)) is None


def brute_force(seconds, slots):
    """Second by second: a free slot takes the next run."""
    waiting, running, now = list(seconds), [], 0
    while waiting or running:
        while waiting and len(running) < slots:
            running.append(waiting.pop(0))
        now += 1
        running = [left - 1 for left in running if left > 1]
    return now


@pytest.mark.parametrize("slots", [1, 2, 3, 7])
@pytest.mark.parametrize("seconds", [[], [5], [1, 1, 1, 9], [9, 1, 1, 1], [3, 4, 5, 6, 7, 1, 2]])
def test_the_time_of_a_sweep(seconds, slots):
    assert makespan([float(s) for s in seconds], slots) == brute_force(seconds, slots)


def test_what_runs_already_counts():
    assert makespan([10.0], 2, [4.0, 30.0]) == 30
    assert makespan([10.0, 20.0], 2, [4.0, 8.0]) == 28
    assert makespan([], 2, [4.0, 8.0]) == 8


def test_clock():
    assert [clock(s) for s in (0.0, 12.4, 200.0, 3900.0)] == ["0s", "12s", "3m 20s", "1h 05m"]
