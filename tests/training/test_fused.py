"""Fused units compute what units compute, are compiled once for all depths, and leave a net as it was."""

import os
import subprocess
import sys

import pytest
from torch import nn

from reslab import api
from reslab.training.fused import regions

SCRIPT = """
import copy
import torch
from torch._dynamo.utils import counters
from torch.nn import functional as F
from reslab import api
from reslab.training.fused import as_one, fused, regions

torch.set_num_threads(1)
draw = torch.Generator().manual_seed(0)
images = torch.randn(16, 1, 8, 8, generator=draw).contiguous(memory_format=torch.channels_last)
labels = torch.randint(0, 10, (16,), generator=draw)


def graphs(depth):
    plain = api.net(f"depth={depth}", "width=4", "shortcut=identity", seed=1).train()
    other, before = copy.deepcopy(plain), counters["stats"]["unique_graphs"]
    with fused(other):
        for net in (plain, other):
            F.cross_entropy(net(images), labels).backward()
    made = counters["stats"]["unique_graphs"] - before
    for mine, theirs in zip(other.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-5)
    for mine, theirs in zip(other.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs)
    other.load_state_dict(plain.state_dict())
    assert torch.equal(other.eval()(images), plain.eval()(images)), "evaluation is not compiled"
    assert counters["stats"]["unique_graphs"] == before + made
    return made


def whole():
    plain = api.net("depth=14", "width=4", "shortcut=identity", seed=1).train()
    other, before = copy.deepcopy(plain), counters["stats"]["unique_graphs"]
    forward = as_one(other)
    for _ in range(2):
        for net, logits in ((plain, plain(images)), (other, forward(other, images))):
            net.zero_grad()
            F.cross_entropy(logits, labels).backward()
    for mine, theirs in zip(other.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-5)
    other.load_state_dict(plain.state_dict())
    assert torch.equal(other.eval()(images), plain.eval()(images)), "evaluation is not compiled"
    assert counters["stats"]["unique_graphs"] == before + 1


def left_by_an_error():
    net, limit = api.net("depth=8", "width=4"), torch._dynamo.config.recompile_limit
    try:
        with fused(net):
            assert all(part._compiled_call_impl is not None for part in regions(net))
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert all(part._compiled_call_impl is None for part in net.modules())
    assert torch._dynamo.config.recompile_limit == limit


left_by_an_error()
whole()
shallow, deep = graphs(14), graphs(26)
assert counters["inductor"], "Inductor has compiled"
print(shallow, deep)
"""


@pytest.mark.real("torch.compile with Inductor and a C++ compiler")
def test_a_fused_net_learns_the_same_is_left_as_it_was_and_depth_is_compiled_for_nothing(tmp_path):
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert said.returncode == 0, said.stderr[-2000:]
    shallow, deep = map(int, said.stdout.split())
    assert 0 < shallow <= 7  # stem, head, a unit for each stage and for each change of shape
    assert deep in (0, shallow), "twelve units more, and no kind of unit more"


def test_regions_hold_every_weight_once_and_each_unit_is_one():
    net = api.net("depth=20", "width=4", "shortcut=projection", "order=pre")
    parts = regions(net)
    assert len(parts) == 1 + 9 + 1
    weights = [parameter for part in parts for parameter in part.parameters()]
    assert len(weights) == len(set(weights)) == len(list(net.parameters()))


def test_another_net_is_one_region():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert regions(net) == [net]
