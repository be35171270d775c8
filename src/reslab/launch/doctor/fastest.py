"""Images per second of a small convolutional net by precision and memory format. Imports torch: for a worker."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

SECONDS = 0.5  # for each way, in turns, so that a busy moment does not hit one way alone
TURNS = 3
WAYS = tuple((precision, layout) for precision in ("fp32", "bf16-mixed") for layout in ("contiguous", "channels_last"))


def measure() -> dict[str, Any]:
    """What torch sees here, and images per second of every way."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    steps = {f"{precision} {layout}": _step(precision, layout, device) for precision, layout in WAYS}
    best = dict.fromkeys(steps, 0.0)
    for _ in range(TURNS):
        for way, step in steps.items():
            best[way] = max(best[way], _rate(step, device))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    facts = {"torch": str(torch.__version__), "gpus": torch.cuda.device_count(), "threads": torch.get_num_threads()}
    return {**facts, "device": name, "rates": {way: round(rate, 1) for way, rate in best.items()}}


BATCH = 64


def _step(precision: str, layout: str, device: torch.device) -> Callable[[], None]:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for c_in, c_out, stride in ((3, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)):
        layers += [nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).to(device)
    images = torch.randn(BATCH, 3, 32, 32, device=device)
    labels = torch.randint(10, (BATCH,), device=device)
    if layout == "channels_last":
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from its stubs
        images = images.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        mixed = torch.autocast(device.type, torch.bfloat16) if precision == "bf16-mixed" else nullcontext()
        with mixed:
            loss = nn.functional.cross_entropy(net(images), labels)
        net.zero_grad(set_to_none=True)
        loss.backward()

    step()
    return step


def _rate(step: Callable[[], None], device: torch.device) -> float:
    """Images per second over a few steps; at least two."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    wait()
    began, done = time.perf_counter(), 0
    while done < 2 or time.perf_counter() - began < SECONDS / TURNS:
        step()
        wait()
        done += 1
    return BATCH * done / (time.perf_counter() - began)
