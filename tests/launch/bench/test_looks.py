"""What a look at a turn counts, on events by hand; the watch itself on a CPU."""

import warnings

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from reslab.launch.bench import limits, looks, rivals
from reslab.launch.bench.looks import Lens, Stopwatch, launches, look, waits

CPU = torch.device("cpu")


def call(name, kind="cuda_runtime"):
    return {"ph": "X", "cat": kind, "name": name, "dur": 3}


def test_launches_are_calls_of_the_host():
    """Kernels of torch, of Triton, of cooperative groups; the same kernels on the device are no launches."""
    events = [call("cudaLaunchKernel"), call("cudaLaunchKernelExC"), call("cuLaunchKernelEx", "cuda_driver")]
    events += [call("cudaLaunchCooperativeKernel"), call("cuLaunchKernel", "cuda_driver")]
    events += [call("cudaMemcpyAsync"), call("cudaStreamSynchronize"), call("cudaMemsetAsync"), call("cudaGraphUpload")]
    events += [call("void at::native::cudaLaunchKernel_like", "kernel"), call("aten::conv2d", "cpu_op")]
    events += [{"ph": "M", "name": "cudaLaunchKernel"}, {"ph": "s", "cat": "ac2g", "name": "cudaLaunchKernel"}]
    assert launches(events) == {"kernels": 5, "graphs": 0}


def test_a_replay_is_one_launch_of_a_graph():
    assert launches([call("cudaGraphLaunch")] * 3 + [call("cuGraphLaunch", "cuda_driver")]) == {
        "kernels": 0,
        "graphs": 4,
    }
    assert launches([]) == {"kernels": 0, "graphs": 0}


def test_waits_are_told_by_torchs_own_words():
    said = ["called a synchronizing CUDA operation (Triggered internally at CUDAFunctions.cpp:231.)"] * 2
    said += ["Synchronization debug mode is a prototype feature and does not yet detect all synchronizing operations"]
    assert waits([*said, "something else"]) == 2


def test_a_watch_times_each_of_the_steps(monkeypatch):
    now = iter((10.0, 16.0))
    monkeypatch.setattr(looks.time, "perf_counter", lambda: next(now))
    watch = Stopwatch(CPU)
    assert watch.steps(400) == 400
    watch.start()
    assert watch.stop(3) == 2.0


def test_a_look_takes_few_steps_and_counts_by_step():
    """On a CPU, with warnings as a GPU's would be; before and after the timed steps nothing counts."""
    watch, taken = Stopwatch(CPU), []

    def turn():
        _warn()
        steps = watch.steps(400)
        watch.start()
        for _ in range(steps):
            taken.append(torch.ones(2) + 1)
            _warn()
            _warn()
        seconds = watch.stop(steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _warn()
        return seconds

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert look(watch, turn) == {"syncs": 2.0, "kernels": 0.0, "graphs": 0.0, "memory": 0.0}
    assert len(taken) == looks.LOOKED
    assert watch.lens is None


def _warn():
    warnings.warn("called a synchronizing CUDA operation", stacklevel=1)


def test_a_turn_that_fails_leaves_no_lens_behind():
    watch = Stopwatch(CPU)

    def turn():
        assert isinstance(watch.lens, Lens)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        look(watch, turn)
    assert watch.lens is None


def test_limits_are_positive(monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", 0.001)
    monkeypatch.setattr(limits, "SHAPES", ((4, 4),))
    monkeypatch.setitem(limits.COPIED, "cpu", 2**16)
    assert limits.convolution(torch.float32, CPU) > 0
    assert limits.copy(CPU) > 0
    assert limits.capability(CPU) == torch.backends.cpu.get_cpu_capability()
    assert torch.backends.cudnn.benchmark is False


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_convolutions_alone_compute_what_a_step_of_the_net_asks_of_them(dtype):
    """By torch's own count, forward and backward, each convolution of each step."""
    net = rivals.CifarNet(14, width=4, channels=3, classes=10)
    images = torch.randn(2, 3, 32, 32)
    with FlopCounterMode(display=False) as whole:
        net(images).sum().backward()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    turn = limits.convolutions(net, images, dtype, Stopwatch(CPU), warm=1, steps=2)
    with FlopCounterMode(display=False) as alone:
        assert turn() > 0
    counted = {str(operator): flops for operator, flops in alone.get_flop_counts()["Global"].items()}
    asked = {str(operator): flops for operator, flops in whole.get_flop_counts()["Global"].items()}
    assert sorted(counted) == ["aten.convolution", "aten.convolution_backward"]
    assert counted == {operator: 3 * asked[operator] for operator in counted}
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
