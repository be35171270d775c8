"""Activation checkpointing: the same bits, less memory, and a net that nobody can tell has been trained with it."""

import copy
import math
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

import cells
from reslab.launch.build import build_forward
from reslab.probes.copies import copy_of
from reslab.runs.folder import read_json
from reslab.runs.identity import declared
from reslab.training import recompute
from reslab.training.recompute import recomputing
from reslab.training.segments import segments
from reslab.training.steps import directly, train_steps
from settings import SMALL

NETS = [
    ("shortcut=none",),
    ("shortcut=identity",),
    ("shortcut=projection", "order=pre"),
    ("shortcut=projection_all", "norm=group"),
    ("shortcut=none", "norm=absent"),
    ("shortcut=identity", "order=pre", "act=leaky"),
]
PRECISIONS = {
    "fp32": nullcontext,
    "bf16": partial(torch.autocast, "cpu", torch.bfloat16, cache_enabled=False),  # as Lightning does
    "bf16 with cached casts": partial(torch.autocast, "cpu", torch.bfloat16),
}


def batches(steps):
    for step in range(steps):
        draw = torch.Generator().manual_seed(step)
        yield step, torch.randn(6, 1, 8, 8, generator=draw), torch.randint(0, 10, (6,), generator=draw)


def trained(net, forward, *, steps=4, precision=nullcontext, seed=0):
    """State of the net and its momentum after so many steps on a copy, and the totals of the steps."""
    net = copy.deepcopy(net).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=99.0, momentum=0.9, weight_decay=1e-4)
    with precision():
        totals = train_steps(
            net,
            optimiser,
            batches(steps),
            lr=lambda step: 0.05,
            seed=seed,
            first_bad=torch.tensor(-1),
            forward=forward,
        )
    momenta = {f"momentum {at}": state["momentum_buffer"] for at, state in enumerate(optimiser.state.values())}
    return {**net.state_dict(), **momenta, "totals": totals, "generator": torch.get_rng_state()}


def assert_same(one, other):
    assert list(one) == list(other)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("choices", NETS, ids=" ".join)
def test_weights_statistics_and_momentum_are_the_same_bits(choices, precision):
    net = cells.net(*choices, depth=26, width=8)
    ways = [trained(net, forward, precision=PRECISIONS[precision]) for forward in (directly, recomputing)]
    assert_same(*ways)
    assert not torch.equal(ways[0]["stem.conv1.weight"], net.state_dict()["stem.conv1.weight"])


def test_bottlenecks_too():
    net = cells.net("block=bottleneck", depth=29, width=4)
    assert_same(trained(net, directly), trained(net, recomputing))


def test_batch_norm_counts_every_batch_once():
    net = cells.net(depth=26, width=4)
    found = trained(net, recomputing, steps=3)
    counts = [int(value) for name, value in found.items() if name.endswith("num_batches_tracked")]
    assert set(counts) == {3}
    assert len(counts) == 25


def test_dropout_draws_the_same_again():
    net = cells.net(depth=20, width=4)
    for unit in recompute.stages(net)[1]:
        unit.branch.add_module("drop", nn.Dropout(0.5))
    assert_same(trained(net, directly), trained(net, recomputing))
    one, other = trained(net, recomputing), trained(net, recomputing, seed=1)
    assert not torch.equal(one["head.linear.weight"], other["head.linear.weight"])


class Counting(nn.Module):
    """A layer whose buffer moves at every call and is part of what it computes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.tensor(1.0))

    def forward(self, x):
        self.calls += 1
        return x * torch.log(self.calls) * torch.sigmoid(x)


def test_buffers_that_count_are_the_first_computations():
    net = cells.net(depth=20, width=4)
    for unit in recompute.stages(net)[0]:
        unit.after = Counting()
    assert_same(trained(net, directly), trained(net, recomputing))


def test_norms_that_are_not_trained_keep_their_statistics():
    net = cells.net(depth=20, width=4)

    def frozen(forward):
        def computed(model, images):
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
            return forward(model, images)

        return trained(net, computed)

    assert_same(frozen(directly), frozen(recomputing))


def test_outside_a_call_the_net_is_as_it_was():
    net = cells.net(depth=20, width=4)
    before = [(module, sorted(vars(module))) for module in net.modules()]
    addresses = [name for name, _ in net.named_modules()]
    identities = [id(tensor) for tensor in (*net.parameters(), *net.buffers())]
    loss = recomputing(net, torch.randn(4, 1, 8, 8)).sum()

    def same():
        assert [(module, sorted(vars(module))) for module in net.modules()] == before
        assert [name for name, _ in net.named_modules()] == addresses
        assert [id(tensor) for tensor in (*net.parameters(), *net.buffers())] == identities

    same()  # also between forward and backward, where a copy may be taken
    copied = copy_of(net, bn="eval")
    loss.backward()
    same()
    assert list(copied.state_dict()) == list(net.state_dict())
    images = torch.randn(4, 1, 8, 8)
    assert torch.equal(copied(images), net.eval()(images))


def test_also_after_an_error():
    net = cells.net(depth=20, width=4)
    with pytest.raises(RuntimeError):
        recomputing(net, torch.randn(4, 3, 8, 8))
    assert all("forward" not in vars(module) for module in net.modules())
    net.head = nn.Linear(3, 3)
    with pytest.raises(RuntimeError):
        recomputing(net, torch.randn(4, 1, 8, 8))
    assert all("forward" not in vars(module) for module in net.modules())


@pytest.mark.parametrize("units", [*range(0, 30), 200, 1001])
def test_segments_hold_every_unit_once_and_are_about_its_root(units):
    parts = segments(units)
    assert [at for part in parts for at in part] == list(range(units))
    assert len(parts) == math.ceil(math.sqrt(units))
    lengths = {len(part) for part in parts}
    assert not lengths or max(lengths) - min(lengths) <= 1


def kept(forward, net, images):
    """Bytes that the graph holds after a forward pass, each tensor once; parameters not counted."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers())}
    found = {}

    def note(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        loss = F.cross_entropy(forward(net, images), torch.zeros(len(images), dtype=torch.int64))
    del loss
    return sum(found.values())


def test_a_deep_net_keeps_little_of_its_activations():
    net, images = cells.net(depth=152, width=4), torch.randn(8, 1, 8, 8)
    whole, little = kept(directly, net, images), kept(recomputing, net, images)
    one = 8 * 4 * 8 * 8 * 4  # bytes of an activation of the first stage
    assert whole > 25 * 4 * one
    assert little < whole / 10
    assert little > 5 * one  # what enters a segment is kept


class Theirs(nn.Module):
    """A user's net: anything around a trunk of stages of units."""

    def __init__(self, trunk):
        super().__init__()
        self.trunk, self.first, self.last = trunk, nn.Conv2d(1, 4, 3), nn.Linear(4, 10)

    def forward(self, images):
        x = self.first(images)
        for stage in self.trunk:
            x = stage(x)
        return self.last(x.mean((2, 3)))


def chain():
    return nn.Sequential(*(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)) for _ in range(5)))


class Odd(nn.Sequential):
    """Runs otherwise than torch's."""

    def forward(self, x):
        return super().forward(x) + x


def test_a_users_net_with_such_a_trunk_works():
    net, images = Theirs(nn.Sequential(chain(), chain())), torch.randn(4, 1, 8, 8)
    assert_same(trained(net, directly), trained(net, recomputing))
    assert kept(recomputing, net, images) < 0.6 * kept(directly, net, images)


@pytest.mark.parametrize(
    "net",
    [
        nn.Linear(2, 2),
        Theirs(nn.Sequential()),
        Theirs(nn.Sequential(nn.Conv2d(4, 4, 1))),
        Theirs(nn.ModuleList([chain()])),
        Theirs(nn.Sequential(chain(), Odd(nn.Conv2d(4, 4, 1)))),
        Theirs(Odd(chain())),
    ],
)
def test_other_nets_are_refused_before_the_first_step(net):
    config = cells.cell(start=("trainer.activation_checkpointing=true",))
    with pytest.raises(ValueError, match=rf"{type(net).__name__} has no `trunk` of stages of units.*net=cifar"):
        build_forward(config, net)
    assert build_forward(cells.cell(), net) is directly


def test_it_names_no_cell():
    assert declared("trainer.activation_checkpointing") == "recorded"


def test_a_config_from_before_the_choice_trains_directly():
    config = copy.deepcopy(cells.cell())
    del config["trainer"]["activation_checkpointing"]
    assert build_forward(config, nn.Linear(2, 2)) is directly


def both(train, tmp_path, *words):
    """Results and folders of the same run without and with it."""
    for name in ("false", "true"):
        asked = (*SMALL, "shortcut=identity", *words, f"outputs={tmp_path / name}")
        assert train(*asked, f"trainer.activation_checkpointing={name}") == 0
    folders = [next((tmp_path / name / "runs").glob("*/seed=0")) for name in ("false", "true")]
    return folders, [read_json(folder / "result.json") for folder in folders]


def test_a_run_is_the_same_run_with_it(train, tmp_path):
    """The same cell, weights, scores and readings of probes; the same names in its checkpoint."""
    words = ("depth=20", "probes=full", "checkpoints=log", "recipe.precision=bf16-mixed")
    folders, results = both(train, tmp_path, *words)
    assert folders[0].relative_to(tmp_path / "false") == folders[1].relative_to(tmp_path / "true")
    for key in ("weights", "cell", "outcome", "train", "train_fresh_norm", "test"):
        assert results[0][key] == results[1][key], key
    for file in sorted(folders[0].glob("probes/*.parquet")):
        assert file.read_bytes() == (folders[1] / "probes" / file.name).read_bytes()
    assert list(folders[0].glob("probes/*.parquet"))
    for file in folders[0].glob("checkpoints/*.ckpt"):
        states = [torch.load(f / "checkpoints" / file.name, weights_only=True)["state_dict"] for f in folders]
        assert_same(*states)


@pytest.mark.real("two ranks, gloo, activation checkpointing")
def test_ranks_with_synchronised_norms_are_the_same_too(train, tmp_path):
    """Norms ask the other rank again while a segment is computed again, among the sums of gradients."""
    _, results = both(train, tmp_path, "depth=14", "trainer=ddp", "devices=2")
    assert results[0]["weights"] == results[1]["weights"]
