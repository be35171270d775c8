"""`reslab bench part=growth`: theory against autograd's graph, points that are real steps, files that are whole."""

import csv
import json
from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

import cells
from reslab.commands.bench import main
from reslab.launch.bench import grown, growth, point, runs, stored
from reslab.launch.bench.growth import BASE, Planned, Point, Step, Swept
from reslab.launch.construct import describe
from reslab.report.charts_growth import AXES, WAYS
from reslab.report.charts_growth import figures as charts
from reslab.runs.folder import read_json
from reslab.specs import cost
from reslab.training.recompute import recomputing
from reslab.training.segments import segments

CHOICES = [
    ("shortcut=none",),
    ("shortcut=identity",),
    ("shortcut=projection",),
    ("shortcut=projection_all", "order=pre"),
    ("shortcut=identity", "order=pre"),
    ("shortcut=identity", "norm=absent"),
    ("shortcut=identity", "norm=group"),
]


class Peak:
    """Bytes that graphs hold now and held at most, each storage once; parameters and buffers not counted."""

    def __init__(self, net):
        self.own = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers())}
        self.sizes, self.users, self.most = {}, {}, 0

    def pack(self, tensor):
        return Held(self, tensor)

    def of(self, forward, net, images):
        with saved_tensors_hooks(self.pack, lambda held: held.tensor):
            F.cross_entropy(forward(net, images), torch.zeros(len(images), dtype=torch.int64)).backward()
        return self.most


class Held:
    """A saved tensor; it is let go of with the graph."""

    def __init__(self, peak, tensor):
        storage = tensor.untyped_storage()
        self.peak, self.tensor, self.at = peak, tensor, storage.data_ptr()
        if self.at not in peak.own:
            peak.users[self.at] = peak.users.get(self.at, 0) + 1
            peak.sizes[self.at] = storage.nbytes()
            peak.most = max(peak.most, sum(peak.sizes.values()))

    def __del__(self):
        if self.at in self.peak.users:
            self.peak.users[self.at] -= 1
            if not self.peak.users[self.at]:
                del self.peak.users[self.at], self.peak.sizes[self.at]


@pytest.mark.parametrize("choices", CHOICES, ids=" ".join)
def test_what_a_graph_keeps_is_what_theory_says(choices):
    config = cells.cell(*choices, depth=26, width=8, image=(3, 16, 10))
    net, images = cells.net(*choices, depth=26, width=8, image=(3, 16, 10)).train(), torch.randn(8, 3, 16, 16)
    found = Peak(net).of(lambda model, x: model(x), net, images)
    assert found == pytest.approx(4 * 8 * stored.activations(describe(config)), rel=0.01)  # norms' few numbers aside


def test_with_segments_less_is_kept_in_order():
    """Theory by hand: one stage of four units and two of one, each of 4 activations; two segments in the first."""
    spec = describe(cells.cell("shortcut=identity", depth=26, width=8, image=(3, 16, 10)))
    whole, cut, units = (stored.activations(spec, how) for how in (None, segments, lambda n: [range(n)]))
    assert cut < units < whole
    one = 8 * 16 * 16
    graph = stored.graph(spec)
    stem = sum(kept.numbers for kept in graph.stem)
    assert stem == 3 * 16 * 16 + 2 * one  # the image, the convolution's output, the activation
    assert cut == stem + one + 2 * 4 * one  # in the last segment of the first stage


def test_the_deepest_net_by_theory():
    spec = describe(BASE_CONFIG | {"depth": 1202})
    whole, cut = (stored.step_bytes(spec, 128, how) for how in (None, segments))
    assert cost(spec).params == pytest.approx(19.4e6, rel=0.01)  # He 2015, Table 6
    assert whole > 10 * 2**30
    assert cut < 1 * 2**30
    assert whole - cut > 4 * 128 * 200 * 4 * 16 * 32 * 32  # 200 units of the first stage, 4 activations each, at least


BASE_CONFIG = cells.cell("shortcut=identity", image=(3, 32, 10))


def test_a_users_layer_is_not_guessed_at():
    spec = describe(cells.cell("net=imagenet", depth=18, image=(3, 32, 10)))
    with pytest.raises(ValueError, match=r"what MaxPool.* keeps is not known; net=cifar"):
        stored.activations(spec)


AXES_OF = {"depths": [8, 20], "batches": [4, 128], "widths": [16], "sizes": [8]}


def test_points_change_one_number_each_and_none_comes_twice():
    found = growth.points(**AXES_OF)
    assert len(found) == len(set(found)) == 6
    for one in found:
        changed = [axis for axis in AXES if getattr(one, axis) != getattr(BASE, axis)]
        assert len(changed) <= 1
        assert not one.checkpointing or changed in ([], ["depth"])


def test_a_plan_counts_operations_and_bytes():
    plain, again = growth.plan([replace(BASE, depth=8), replace(BASE, depth=8, checkpointing=True)])
    spec = describe(plain.config)
    assert plain.operations == 6 * 128 * cost(spec).macs
    assert again.operations * 6 == plain.operations * 8
    assert again.stored < plain.stored
    assert (plain.config["recipe"]["batch"], plain.config["data"]["size"]) == (128, 32)
    assert plain.config["trainer"]["activation_checkpointing"] is False
    assert again.config["trainer"]["activation_checkpointing"] is True


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_point_is_steps_of_the_real_thing(tmp_path, checkpointing):
    """In a worker, as in the benchmark: this process may hold free memory, into which a step would fit unseen."""
    (one,) = growth.plan([Point(depth=8, batch=64, width=16, size=32, checkpointing=checkpointing)])
    (found,) = growth.measure([one], 3, tmp_path)
    assert found.seconds > 0
    assert one.stored < found.added < found.peak


def test_long_points_have_fewer_steps_and_short_ones_more(tmp_path, monkeypatch):
    (one,) = growth.plan([Point(depth=8, batch=4, width=4, size=8)])

    def steps(short, long):
        monkeypatch.setattr(point, "SHORT", short)
        monkeypatch.setattr(point, "LONG", long)
        point.step(one.config, 3, str(tmp_path / "answer.json"))
        return len(read_json(tmp_path / "answer.json")["seconds"])

    assert steps(1e-9, 1e-9) == 1
    assert steps(1e-9, 1e9) == 3
    assert steps(0.2, 0.2) > 3


def test_nothing_is_run_that_would_keep_too_much(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(growth, "SHARE", 0.0)
    (step,) = growth.measure(growth.plan([replace(BASE, depth=1202)]), 1, tmp_path)
    assert (step.seconds, step.added, step.peak) == (None, None, None)
    assert "would keep 11.1 GiB, not run" in capsys.readouterr().out


def test_a_worker_that_dies_is_no_measurement(tmp_path):
    planned = Planned(BASE, {}, 1, 1)
    with pytest.raises(RuntimeError, match=r"exit code 1:[\s\S]*KeyError"):
        growth.measure([planned], 1, tmp_path)


def test_sweeps_take_turns_after_one_that_does_not_count(tmp_path, monkeypatch):
    """The first of all is slow, and does not become the base; a disturbed one does not become the median."""
    asked, cold = [], iter([9.0])

    def sweep(axes, slots, outputs, *settings):
        assert axes is growth.SWEPT
        asked.append((slots, outputs))
        return runs.Swept([], runs.Ends(), next(cold, (7.0 if len(asked) == 4 else 1.0) / slots))

    monkeypatch.setattr(growth, "sweep", sweep)
    found = growth.sweeps([1, 2], 5, tmp_path)
    assert [slots for slots, _ in asked] == [2, 1, 2, 1, 2, 1, 2]
    assert len({outputs for _, outputs in asked}) == 7
    assert [(one.jobs, one.runs, one.seconds) for one in found] == [(1, 8, [1.0, 7.0, 1.0]), (2, 8, [0.5, 0.5, 0.5])]
    rows = grown.swept_table(found, 2)
    assert rows["seconds"].to_list() == [1.0, 0.5]
    assert rows["per_hour"].to_list() == rows["limit"].to_list() == [28800.0, 57600.0]
    assert rows.row(0, named=True)["high"] == 4.0


def of(steps=(), **values):
    """Steps by hand: a GiB and a second for every ten layers, a tenth of that with checkpointing."""
    found = []
    for one in growth.points(depths=[10, 20, 40], batches=[128], widths=[16], sizes=[32]):
        layers = one.depth / 10
        share = 0.1 if one.checkpointing else 1.0
        planned = Planned(one, {}, round(1e9 * layers), round(2**30 * layers * share / 2))
        run = one.depth < 40 or one.checkpointing
        added = round(2**30 * layers * share) if run else None
        found.append(Step(planned, layers / share if run else None, added, added))
    return found


def test_the_table_has_the_base_on_every_axis():
    steps = grown.table(of(), 2e9)
    assert steps.filter(way=WAYS[0])["axis"].to_list() == ["depth"] * 3 + ["batch", "width", "size"]
    assert steps.filter(way=WAYS[1])["axis"].to_list() == ["depth"] * 3
    row = steps.row(1, named=True)
    assert (row["value"], row["seconds"], row["seconds_limit"], row["gib"], row["gib_limit"]) == (
        20,
        2.0,
        1.0,
        2.0,
        1.0,
    )
    assert steps.row(2, named=True)["seconds"] is None


def test_figures_by_hand():
    steps, sweeps = grown.table(of(), 2e9), grown.swept_table([Swept(1, 8, [36.0]), Swept(4, 8, [12.0])], 2)
    assert sweeps["per_hour"].to_list() == [800.0, 2400.0]
    assert sweeps["limit"].to_list() == [800.0, 1600.0]
    found = {figure.name: figure.value for figure in grown.conclude(steps, sweeps, 2e9).figures}
    assert found["depth 40 without activation checkpointing would add, from depths 10 and 20"] == pytest.approx(4.0)
    assert found["depth 40 without activation checkpointing would add, by theory"] == pytest.approx(2.0)
    assert found["depth 20, activation checkpointing over none: time (8/6 in theory)"] == pytest.approx(10.0)
    assert found["depth 20, activation checkpointing over none: memory added by a step"] == pytest.approx(0.1)
    assert found["4 runs at a time over 1"] == pytest.approx(3.0)


@pytest.mark.parametrize(("gib", "met"), [(3.0, True), (25.0, False)])
def test_the_deepest_net_has_a_target(gib, met):
    (one,) = [step for step in of() if step.planned.point == replace(BASE, depth=40, checkpointing=True)]
    deepest = replace(one, planned=replace(one.planned, point=replace(BASE, depth=1202, checkpointing=True)))
    steps = grown.table([*of(), replace(deepest, peak=round(gib * 2**30))], 2e9)
    sweeps = grown.swept_table([Swept(1, 8, [36.0])], 2)
    (figure,) = [figure for figure in grown.conclude(steps, sweeps, 2e9).figures if figure.most is not None]
    assert figure.name == "ResNet-1202 at batch 128 with activation checkpointing: peak memory of its process"
    assert figure.met is met


def test_the_charts_hold_every_measured_point_and_every_limit():
    steps, sweeps = grown.table(of(), 2e9), grown.swept_table([Swept(1, 8, [36.0]), Swept(2, 8, [20.0])], 2)
    for panel, drawing in charts(steps, sweeps):
        rows = [row for rows in drawing.chart.to_dict()["datasets"].values() for row in rows if "line" in row]
        lines = Counter(row["line"] for row in rows)
        expected = {"growth-cost": (8, 9), "growth-memory": (5, 6), "growth-sweeps": (2, 2)}[panel.key]
        assert (lines["measured"], lines["limit"]) == expected, panel.key


@pytest.mark.real("bench of growth, points in workers, a sweep through the engine")
def test_the_command_writes_what_it_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(growth, "BASE", Point(depth=8, batch=4, width=4, size=8))
    monkeypatch.setattr(grown, "BASE", growth.BASE)
    monkeypatch.setattr(growth, "SWEPT", {"shortcut": ("none",), "depth": (8,), "seed": (0, 1)})
    words = ["depths=[8,14]", "batches=[4,8]", "widths=[4]", "sizes=[8]", "steps=1", "jobs=[1,2]", "run_steps=2"]
    assert main(["part=growth", *(f"growth.{word}" for word in words)]) == 0
    folder = tmp_path / "experiments/speed"
    made = json.loads((folder / "growth.json").read_text())
    assert made["growth"]["depths"] == [8, 14]
    names = {f"growth-{name}.{kind}" for name in ("cost", "memory", "sweeps") for kind in ("svg", "png")}
    names |= {"growth-steps.csv", "growth-sweeps.csv", "growth.json", "growth.md"}
    assert {file.name for file in folder.iterdir()} == names
    with (folder / "growth-steps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 + 2 + 2 + 1 + 1
    assert all(float(row["seconds"]) > 0 and float(row["seconds_limit"]) > 0 for row in rows)
    said = capsys.readouterr().out
    for figure in made["figures"]:
        assert figure["name"] in said
    assert list((tmp_path / "outputs").iterdir()) == []
    assert not [text for text in (json.dumps(made), (folder / "growth.md").read_text()) if str(tmp_path) in text]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("growth.depths=[]", r"growth\.depths=\[\] are not positive whole numbers"),
        ("growth.jobs=[0]", r"growth\.jobs=\[0\] are not positive"),
        ("growth.batches=[x]", r"growth\.batches=\['x'\] are not positive"),
        ("growth.steps=0", r"growth\.steps=0 measures nothing"),
        ("growth.depths=[9]", r"depth"),
        ("growth.sizes=[30]", r"30 x 30 pixels cannot be divided"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(tmp_path, monkeypatch, word, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        main(["part=growth", word])
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_with_segments_is_what_theory_says():
    """The graph holds what enters segments, and while one is computed again the whole of it: both are saved tensors."""
    choices = {"depth": 56, "width": 8, "image": (3, 16, 10)}
    net, images = cells.net("shortcut=identity", **choices).train(), torch.randn(8, 3, 16, 16)
    config = cells.cell("shortcut=identity", **choices)
    outside = stored.graph(describe(config))
    held = sum(kept.numbers for kept in outside.stem | outside.head)
    held += sum(stage[part.start][0].numbers for stage in outside.stages for part in segments(len(stage)))
    shared = outside.stages[0][0][0].numbers  # what enters the first segment is what the stem's activation keeps
    found = Peak(net).of(recomputing, net, images)
    assert found == pytest.approx(4 * 8 * (held - shared + 32 + 10), rel=0.01)
