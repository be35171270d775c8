"""A net that Inductor has compiled is measured as the net it holds, and trains on to the same bits."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import torch
from torch.nn import functional as F
from reslab import api
from reslab.probes.branches import branch_ratio
from reslab.probes.reading import ProbeBatch
from reslab.probes.signal import signal_propagation

torch.set_num_threads(1)
draw = torch.Generator().manual_seed(0)
images = torch.randn(16, 1, 8, 8, generator=draw)
labels = torch.randint(0, 10, (16,), generator=draw)
shown = ProbeBatch(images, labels, 8)


def trained(probed):
    net = api.net("depth=8", "width=4", "shortcut=identity", seed=1)
    compiled = torch.compile(net)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for step in range(3):
        if probed:
            for probe in (signal_propagation, branch_ratio):
                for bn in ("train", "eval", "frozen"):
                    assert probe(compiled, shown, bn=bn) == probe(net, shown, bn=bn), (probe, bn)
        loss = F.cross_entropy(compiled(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.state_dict()


from torch._dynamo.utils import counters
off, on = trained(False), trained(True)
assert counters["inductor"], "Inductor has compiled"
assert all(torch.equal(off[name], on[name]) for name in off)
print("same")
"""


@pytest.mark.real("torch.compile with Inductor and a C++ compiler")
def test_probes_of_a_net_compiled_by_inductor(tmp_path):
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert said.stdout == "same\n", said.stderr[-2000:]
