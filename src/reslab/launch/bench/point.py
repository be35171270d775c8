"""One point of a benchmark of growth, in a process of its own: steps of one net, their time and memory. Needs Linux."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from reslab.launch.bench import limits
from reslab.launch.build import build_classifier, build_net
from reslab.runs.folder import write_json

SHORT, LONG = 1.0, 10.0  # seconds of timed steps: at least so long, and no further step after so long


def step(config: Mapping[str, Any], steps: int, path: str) -> None:
    """Write to `path` the seconds of about `steps` steps after a first one, and the bytes at the peak of all.

    More steps where they are short, fewer where they are long; they are those of a run of this config, on one random
    batch that is in memory already. `peak` is that of the resident set, which Linux can start to note anew; `added` is
    the peak less the resident set before the first step: by then the weights and the batch are there, gradients and
    momenta are not.
    """
    module = build_classifier(config, build_net(config))
    module.net.train()
    optimiser, batch = module.configure_optimizers(), _batch(config)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    module.steps(optimiser, [(0, *batch)])
    seconds: list[float] = []
    while sum(seconds) < SHORT or (len(seconds) < steps and sum(seconds) < LONG):
        began = time.perf_counter()
        module.steps(optimiser, [(1 + len(seconds), *batch)])
        seconds.append(time.perf_counter() - began)
    peak = _status("VmHWM")
    write_json(Path(path), {"seconds": seconds, "added": peak - before, "peak": peak})


def rate(path: str) -> None:
    """Write to `path` the FLOP/s of the fastest convolution in fp32, the limit of a step."""
    write_json(Path(path), {"flops": limits.convolution(torch.float32, torch.device("cpu"))})


def _batch(config: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    data, n = config["data"], config["recipe"]["batch"]
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n, data["channels"], data["size"], data["size"], generator=generator)
    labels = torch.randint(0, data["classes"], (n,), generator=generator)
    return images.contiguous(memory_format=torch.channels_last), labels


def _status(name: str) -> int:
    """Bytes of this process that the kernel counts under this name."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found, "Linux"
    return 1024 * int(found[1])
