"""Units at their limits, and where norms, activations and projections stand."""

from itertools import pairwise, product

import pytest
import torch
from torch import nn

from cells import cell, net
from reslab.launch.construct import make_net
from reslab.nets.layers import SubsampleAndPad
from reslab.specs import ActAt, ConvShape, NormAt, Resize

SHORTCUTS = ("none", "identity", "projection", "projection_all")
BLOCKS = {"basic": 14, "bottleneck": 20}  # two units a stage


def small(*choices, **values):
    return net(*choices, width=8, **values)


def pictures(channels=8, size=8, n=3):
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(7))


def silence(unit):
    """Make the branch's last layer with weights give zero."""
    last = [m for m in unit.branch if list(m.parameters())][-1]
    nn.init.zeros_(last.weight)
    return unit


def kinds(ops):
    names = {ConvShape: "conv", NormAt: "norm", ActAt: "act", Resize: "resize"}
    return [names[type(op)] for op in ops]


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("training", [True, False])
def test_silenced_post_identity_unit_is_relu(norm, training):
    unit = silence(small("order=post", f"norm={norm}", depth=14).trunk[0][1]).train(training)
    x = pictures()
    assert x.min() < 0
    assert torch.equal(unit(x), x.relu())


@pytest.mark.parametrize(("norm", "training"), list(product(("batch", "group", "absent"), (True, False))))
def test_silenced_pre_identity_unit_is_the_identity(norm, training):
    unit = silence(small("order=pre", f"norm={norm}", depth=14).trunk[0][1]).train(training)
    x = pictures()
    assert torch.equal(unit(x), x)


def test_a_unit_that_is_not_silenced_is_no_identity():
    x = pictures()
    assert not torch.equal(small("order=pre", depth=14).trunk[0][1](x), x)
    assert not torch.equal(small("order=post", depth=14).trunk[0][1](x), x.relu())


@pytest.mark.parametrize("shortcut", ["projection", "projection_all", "identity"])
def test_silenced_unit_that_changes_shape_is_its_shortcut(shortcut):
    unit = silence(small(f"shortcut={shortcut}", depth=14).trunk[1][0])
    x = pictures()
    assert torch.equal(unit(x), unit.shortcut(x).relu())
    assert unit(x).shape == (3, 16, 4, 4)
    assert unit(x).any()


def test_silenced_pre_projection_reads_the_activated_input():
    unit = silence(small("order=pre", "shortcut=projection", depth=14).trunk[1][0])
    x = pictures()
    assert torch.equal(unit(x), unit.shortcut(unit.before(x)))
    assert not torch.equal(unit(x), unit.shortcut(x))


def test_silenced_pre_option_a_reads_the_raw_input():
    unit = silence(small("order=pre", "shortcut=identity", depth=14).trunk[1][0])
    x = pictures()
    assert torch.equal(unit(x)[:, :8], x[:, :, ::2, ::2])


def test_silenced_plain_unit_lets_nothing_through():
    unit = silence(small("shortcut=none", depth=14).trunk[0][1])
    assert not unit(pictures()).any()


@pytest.mark.parametrize("size", [8, 7])
def test_option_a(size):
    x = pictures(size=size)
    out = SubsampleAndPad(c_in=8, c_out=20, stride=2)(x)
    assert out.shape == (3, 20, 4, 4)
    for row, column in product(range(4), range(4)):
        assert torch.equal(out[:, :8, row, column], x[:, :, 2 * row, 2 * column])
    assert not out[:, 8:].any()


def test_option_a_has_no_weights():
    assert not list(small("shortcut=identity", depth=14).trunk[1][0].shortcut.parameters())


@pytest.mark.parametrize(("block", "order"), list(product(BLOCKS, ("post", "pre"))))
def test_plain_units_hold_no_shortcut_and_no_join(block, order):
    plain = small(f"block={block}", f"order={order}", "shortcut=none", depth=BLOCKS[block])
    for stage in plain.trunk:
        for unit in stage:
            assert [name for name, _ in unit.named_children()] == ["before", "branch", "after"]
            assert unit.shortcut is None
            assert unit.join is None


@pytest.mark.parametrize(("block", "order"), list(product(BLOCKS, ("post", "pre"))))
@pytest.mark.parametrize(
    ("shortcut", "basic", "bottleneck"),  # units as stage.unit; a bottleneck widens in the first unit already
    [
        ("none", "", ""),
        ("identity", "", ""),
        ("projection", "1.0 2.0", "0.0 1.0 2.0"),
        ("projection_all", "0.0 0.1 1.0 1.1 2.0 2.1", "0.0 0.1 1.0 1.1 2.0 2.1"),
    ],
)
def test_which_units_project(block, order, shortcut, basic, bottleneck):
    built = small(f"block={block}", f"order={order}", f"shortcut={shortcut}", depth=BLOCKS[block])
    found, resized, norms = [], [], []
    for s, stage in enumerate(built.trunk):
        for u, unit in enumerate(stage):
            inside = list(unit.shortcut.modules()) if unit.shortcut is not None else []
            if any(isinstance(m, nn.Conv2d) for m in inside):
                found.append(f"{s}.{u}")
            if any(isinstance(m, SubsampleAndPad) for m in inside):
                resized.append(f"{s}.{u}")
            if any(isinstance(m, nn.BatchNorm2d) for m in inside):
                norms.append(f"{s}.{u}")
    assert found == {"basic": basic, "bottleneck": bottleneck}[block].split()
    assert norms == (found if order == "post" else [])
    changing = "1.0 2.0" if block == "basic" else "0.0 1.0 2.0"
    assert resized == (changing.split() if shortcut == "identity" else [])


def test_projections_have_kernel_1_and_the_stride_of_the_branch():
    built = small("shortcut=projection_all", depth=14)
    for s, stage in enumerate(built.trunk):
        for u, unit in enumerate(stage):
            conv = unit.shortcut.conv1
            assert conv.kernel_size == (1, 1)
            assert conv.stride == ((2, 2) if s and not u else (1, 1))
            assert conv.bias is None


@pytest.mark.parametrize(("block", "shortcut"), list(product(BLOCKS, SHORTCUTS)))
def test_order_of_a_post_unit(block, shortcut):
    spec = make_net(cell("order=post", f"block={block}", f"shortcut={shortcut}", depth=BLOCKS[block], width=8))
    convs = {"basic": 2, "bottleneck": 3}[block]
    for unit in (unit for stage in spec.stages for unit in stage):
        assert kinds(unit.before) == []
        assert kinds(unit.branch) == (["conv", "norm", "act"] * convs)[:-1]
        assert kinds(unit.after) == ["act"]
        if unit.shortcut:
            assert kinds(unit.shortcut) in (["conv", "norm"], ["resize"])
    assert kinds(spec.stem) == ["conv", "norm", "act"]
    assert kinds(spec.head) == []


@pytest.mark.parametrize(("block", "shortcut"), list(product(BLOCKS, SHORTCUTS)))
def test_order_of_a_pre_unit(block, shortcut):
    spec = make_net(cell("order=pre", f"block={block}", f"shortcut={shortcut}", depth=BLOCKS[block], width=8))
    convs = {"basic": 2, "bottleneck": 3}[block]
    units = [unit for stage in spec.stages for unit in stage]
    assert kinds(units[0].before) == []
    for unit in units[1:]:
        assert kinds(unit.before) == ["norm", "act"]
    for unit in units:
        assert kinds(unit.branch) == ["conv"] + ["norm", "act", "conv"] * (convs - 1)
        assert kinds(unit.after) == []
        if unit.shortcut:
            assert kinds(unit.shortcut) in (["conv"], ["resize"])
    assert kinds(spec.stem) == ["conv", "norm", "act"]
    assert kinds(spec.head) == ["norm", "act"]


@pytest.mark.parametrize(("block", "order"), list(product(BLOCKS, ("post", "pre"))))
def test_never_two_norms_or_activations_in_a_row(block, order):
    spec = make_net(cell(f"order={order}", f"block={block}", depth=BLOCKS[block], width=8))
    for shortcut_path in (False, True):
        chain = kinds(spec.stem)
        for unit in (unit for stage in spec.stages for unit in stage):
            chain += kinds(unit.before + (unit.shortcut or ()) if shortcut_path else unit.before + unit.branch)
            chain += ["join", *kinds(unit.after)]
        chain += kinds(spec.head)
        assert "norm" in chain
        for one, two in pairwise(chain):
            assert (one, two) not in {("norm", "norm"), ("act", "act"), ("act", "norm")}, chain


@pytest.mark.parametrize("order", ["post", "pre"])
def test_norms_have_the_channels_of_what_they_read(order):
    spec = make_net(cell(f"order={order}", "block=bottleneck", depth=20, width=8))
    channels = 8
    for unit in (unit for stage in spec.stages for unit in stage):
        for op in unit.before + unit.branch + unit.after:
            if isinstance(op, NormAt):
                assert op.channels == channels
            if isinstance(op, ConvShape):
                assert op.c_in == channels
                channels = op.c_out
    assert channels == spec.features == 8 * 4 * 4


@pytest.mark.parametrize(("stride_at", "strides"), [(1, [2, 1, 1]), (2, [1, 2, 1])])
def test_where_a_bottleneck_strides(stride_at, strides):
    made = cell("block=bottleneck", depth=11, width=8)
    spec = make_net(made | {"block": made["block"] | {"stride_at": stride_at}})
    assert [op.stride for op in spec.stages[1][0].branch if isinstance(op, ConvShape)] == strides


def test_addresses():
    names = dict(small("shortcut=projection", "order=post", depth=14).named_modules())
    for address, kind in {
        "stem.conv1": nn.Conv2d,
        "stem.norm1": nn.BatchNorm2d,
        "trunk.0.0.branch.conv1": nn.Conv2d,
        "trunk.1.0.branch.conv1": nn.Conv2d,
        "trunk.1.0.branch.norm2": nn.BatchNorm2d,
        "trunk.1.0.shortcut.conv1": nn.Conv2d,
        "trunk.1.0.shortcut.norm1": nn.BatchNorm2d,
        "trunk.2.1.branch.conv2": nn.Conv2d,
        "trunk.2.1.after.act1": nn.ReLU,
        "head.linear": nn.Linear,
    }.items():
        assert isinstance(names[address], kind), address
    assert "trunk.2.2" not in names
    assert "trunk.3" not in names
    pre = dict(small("order=pre", depth=14).named_modules())
    assert isinstance(pre["trunk.0.1.before.norm1"], nn.BatchNorm2d)
    assert isinstance(pre["head.norm1"], nn.BatchNorm2d)


def test_absent_norms_leave_the_other_names_as_they_are():
    with_norms = {k for k in small(depth=14).state_dict() if ".norm" not in k}
    assert set(small("norm=absent", depth=14).state_dict()) == with_norms
