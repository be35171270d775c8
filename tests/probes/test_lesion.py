"""Lesions against a net that is built without the unit; the law that an empty branch can go; nothing else changes."""

from itertools import pairwise

import pytest
import torch
from scipy.stats import kendalltau
from torch import nn

from reslab import api
from reslab.probes import lesion
from reslab.probes.addresses import units


@pytest.fixture
def images():
    return torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def made(shortcut, depth=20, *more):
    """A net whose statistics are those of no fresh one."""
    net = api.net("data=digits", f"shortcut={shortcut}", f"depth={depth}", *more)
    draw = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                values.add_(0.3 * torch.rand(values.shape, generator=draw))
    return net.eval()


def by_hand(net, x, gone):
    """Unit by unit, from the definition."""
    h = net.stem(x)
    for address, unit in units(net).items():
        if address not in gone:
            h = unit(h)
        elif unit.shortcut is not None:
            a = unit.before(h)
            h = unit.after(unit.shortcut(a if unit.shortcut_reads_activated else h))
    return net.head(h)


@pytest.mark.parametrize("order", ["post", "pre"])
@pytest.mark.parametrize("shortcut", ["identity", "projection", "projection_all"])
def test_any_units_of_a_residual_net_leave_their_shortcuts(images, shortcut, order):
    net = made(shortcut, 20, f"order={order}")
    for gone in [("trunk.0.0",), ("trunk.1.0", "trunk.2.2"), tuple(units(net))]:
        torch.testing.assert_close(lesion.without(net, gone)(images), by_hand(net, images, gone), rtol=0, atol=0)


@pytest.mark.parametrize("order", ["post", "pre"])
def test_a_plain_net_without_a_unit_is_the_net_built_without_it(images, order):
    net, gone = made("none", 20, f"order={order}"), ["trunk.0.1", "trunk.1.1", "trunk.2.2"]
    smaller = made("none", 14, f"order={order}")
    kept = [address for address in units(net) if address not in gone]
    for address, target in zip(kept, units(smaller).values(), strict=True):
        target.load_state_dict(units(net)[address].state_dict())
    for part in ("stem", "head"):
        smaller.get_submodule(part).load_state_dict(net.get_submodule(part).state_dict())
    torch.testing.assert_close(lesion.without(net, gone)(images), smaller(images), rtol=0, atol=0)


@pytest.mark.parametrize("order", ["post", "pre"])
@pytest.mark.parametrize("shortcut", ["identity", "projection"])
def test_law_v2t_a_unit_whose_last_norm_is_zero_can_go_exactly(images, shortcut, order):
    net = made(shortcut, 20, f"order={order}")
    for address, unit in units(net).items():
        norms = [module for module in unit.branch.modules() if isinstance(module, nn.BatchNorm2d)]
        nn.init.zeros_(norms[-1].weight)
        nn.init.zeros_(norms[-1].bias)
        assert torch.equal(lesion.without(net, [address])(images), net(images))


def test_no_lesion_touches_the_net(images):
    net = made("identity")
    before, state = net(images), {name: value.clone() for name, value in net.state_dict().items()}
    names = [name for name, _ in net.named_modules()]
    for chosen in lesion.lesions(net, draws=2, seed=0):
        cut = chosen.of(net)
        cut.train()(images)
    assert [name for name, _ in net.named_modules()] == names
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert torch.equal(net(images), before)
    assert not net.training


def test_an_intact_net_computes_the_same(images):
    net = made("none")
    assert torch.equal(lesion.Lesion("intact").of(net)(images), net(images))


def test_swapped_units_compute_as_if_their_weights_were_swapped(images):
    net = made("none")
    other, a, b = made("none"), "trunk.1.1", "trunk.1.2"
    other.load_state_dict(net.state_dict())
    units(other)[a].load_state_dict(units(net)[b].state_dict())
    units(other)[b].load_state_dict(units(net)[a].state_dict())
    swapped = lesion.reordered(net, {a: b, b: a})
    torch.testing.assert_close(swapped(images), other(images), rtol=0, atol=0)


def test_plain_units_that_change_the_shape_stay():
    plain, residual = made("none"), made("identity")
    assert lesion.pool(plain) == lesion.pool(residual) == lesion.removable(plain)
    assert set(lesion.removable(residual)) - set(lesion.removable(plain)) == {"trunk.1.0", "trunk.2.0"}
    with pytest.raises(ValueError, match=r"trunk\.1\.0 is a plain unit that changes the shape"):
        lesion.without(plain, ["trunk.1.0"])
    with pytest.raises(ValueError, match=r"trunk\.9\.0 is no unit of the net"):
        lesion.without(plain, ["trunk.9.0"])


def test_only_units_that_are_built_alike_change_places():
    assert [len(group) for group in lesion.exchangeable(made("none"))] == [3, 2, 2]
    pre = lesion.exchangeable(made("identity", 20, "order=pre"))
    assert [len(group) for group in pre] == [2, 2, 2]  # the first unit of all begins activated


def test_a_study_is_the_same_for_a_seed_and_covers_all_sizes():
    net = made("none")
    study = lesion.lesions(net, draws=5, seed=3)
    assert study == lesion.lesions(net, draws=5, seed=3)
    assert study != lesion.lesions(net, draws=5, seed=4)
    sizes = {len(one.gone) for one in study if one.kind == "number"}
    assert sizes == {1, 2, 3, 5, 7}
    assert sum(one.kind == "number" and len(one.gone) == 7 for one in study) == 1  # there is one such subset
    assert all(set(one.gone) <= set(lesion.pool(net)) for one in study if one.kind == "number")
    for one in study:
        if one.kind == "order":
            assert sorted(place for place, _ in one.moved) == sorted(unit for _, unit in one.moved)
            assert all(place.rpartition(".")[0] == unit.rpartition(".")[0] for place, unit in one.moved)


def test_kendall_tau():
    assert lesion.kendall_tau([0, 1, 2, 3]) == 1.0
    assert lesion.kendall_tau([3, 2, 1, 0]) == -1.0
    assert lesion.kendall_tau([1, 0, 2, 3]) == pytest.approx(1 - 2 / 6)
    assert lesion.kendall_tau([0]) == 1.0
    order = [4, 0, 3, 1, 2]
    assert lesion.kendall_tau(order) == pytest.approx(kendalltau(range(5), order).statistic)


def test_sizes_grow_and_end_with_all():
    assert lesion._sizes(0) == []
    assert lesion._sizes(25) == [1, 2, 3, 5, 8, 13, 21, 25]
    assert all(one < other for one, other in pairwise(lesion._sizes(100)))
