"""Cells of one seed differ in nothing but what their shortcuts add."""

import hashlib
from itertools import combinations, product

import pytest
import torch
from cells import cell, net

from reslab import api

SHORTCUTS = ("none", "identity", "projection", "projection_all")
DEPTH = {"basic": 8, "bottleneck": 11}

# SHA-256 over names and values of the default net's initial parameters (depth 20, digits, seed 0). It must hold on
# any machine: computed once on Linux x86-64, Python 3.11.
DEFAULT_STATE = "@@@"


def state(*choices, **values):
    return dict(net(*choices, width=8, **values).named_parameters())


def digest(state):
    whole = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        whole.update(name.encode())
        whole.update(tensor.detach().contiguous(memory_format=torch.contiguous_format).numpy().tobytes())
    return whole.hexdigest()


@pytest.mark.parametrize(("block", "order"), list(product(("basic", "bottleneck"), ("post", "pre"))))
def test_every_shared_tensor_is_bitwise_equal(block, order):
    words = f"block={block}", f"order={order}"
    states = {s: state(*words, f"shortcut={s}", depth=DEPTH[block]) for s in SHORTCUTS}
    for a, b in combinations(SHORTCUTS, 2):
        shared = states[a].keys() & states[b].keys()
        assert shared >= states["none"].keys(), (a, b)
        for name in shared:
            assert states[a][name].shape == states[b][name].shape, name
            assert torch.equal(states[a][name], states[b][name]), (a, b, name)


@pytest.mark.parametrize(("block", "order"), list(product(("basic", "bottleneck"), ("post", "pre"))))
def test_only_shortcuts_add_parameters(block, order):
    words = f"block={block}", f"order={order}"
    names = {s: list(state(*words, f"shortcut={s}", depth=DEPTH[block])) for s in SHORTCUTS}
    assert names["none"] == names["identity"]
    for shortcut in ("projection", "projection_all"):
        extra = set(names[shortcut]) - set(names["none"])
        assert extra
        assert all(".shortcut." in name for name in extra)
        assert set(names["none"]) <= set(names[shortcut])
    assert set(names["projection"]) < set(names["projection_all"])


@pytest.mark.parametrize("group", ["norm", "order"])
def test_convolutions_of_branches_are_shared_by_norms_and_orders(group):
    choices = {"norm": ("batch", "group", "absent"), "order": ("post", "pre")}[group]
    states = [state(f"{group}={choice}", depth=8) for choice in choices]
    weights = [{k: v for k, v in s.items() if "conv" in k or "linear" in k} for s in states]
    for other in weights[1:]:
        assert other.keys() == weights[0].keys()
        assert all(torch.equal(other[k], weights[0][k]) for k in other)


def test_deeper_nets_begin_with_the_weights_of_shallow_ones():
    shallow, deep = state(depth=8), state(depth=14)
    assert all(torch.equal(shallow[name], deep[name]) for name in shallow)


def test_another_seed_gives_other_weights():
    one, two = state(depth=8, seed=0), state(depth=8, seed=1)
    for name in one:
        constant = "norm" in name or name.endswith("bias")
        assert torch.equal(one[name], two[name]) == constant, name


def test_no_two_tensors_of_one_net_are_alike():
    tensors = [t for name, t in state(depth=14).items() if name.endswith("weight") and "norm" not in name]
    for a, b in combinations(tensors, 2):
        assert not torch.equal(a.flatten()[:64], b.flatten()[:64])


def test_torchs_global_seed_does_not_matter():
    torch.manual_seed(1)
    one = digest(state(depth=8))
    torch.manual_seed(2)
    torch.rand(3)
    assert digest(state(depth=8)) == one


def test_building_leaves_the_draws_of_the_same_net_alone():
    config = cell(depth=8)
    first = digest(state(depth=8))
    assert digest(state(depth=8)) == first
    assert config == cell(depth=8)


def test_default_net_is_the_same_everywhere():
    assert digest(dict(api.net("depth=20", "data=digits", seed=0).named_parameters())) == DEFAULT_STATE


def test_the_seed_of_initialisation_is_what_counts():
    moved = api.net("depth=8", "seeds.init=3", "data=digits", seed=0)
    plain = api.net("depth=8", "data=digits", seed=3)
    assert digest(dict(moved.named_parameters())) == digest(dict(plain.named_parameters()))
