"""The tutorial block and Keras's cifar10_resnet.py against NumPy, written from Keras's definitions alone."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cells import composed
from reslab.launch.build import build_net
from reslab.launch.construct import describe
from reslab.nets.layers import conv
from reslab.specs import ActAt, ConvShape, NormAt

EPSILON, MOMENTUM = 1e-3, 0.99  # defaults of keras.layers.BatchNormalization


class Weights:
    """Arrays by address in Keras's layout, and the running statistics that a training pass leaves."""

    def __init__(self, state, training):
        self.state = {name: tensor.detach().double().numpy().copy() for name, tensor in state.items()}
        self.training = training
        self.moved = {}

    def conv(self, x, address, stride):
        """Conv2D(padding="same"): kernel as (height, width, in, out), images as (n, height, width, channels)."""
        kernel = self.state[f"{address}.weight"].transpose(2, 3, 1, 0)
        n, height, width, _ = x.shape
        k = kernel.shape[0]
        tall, wide = (math.ceil(side / stride) for side in (height, width))
        pads = [max((out - 1) * stride + k - side, 0) for out, side in ((tall, height), (wide, width))]
        (top, bottom), (left, right) = ((total // 2, total - total // 2) for total in pads)
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        out = np.zeros((n, tall, wide, kernel.shape[3]))
        for i in range(tall):
            for j in range(wide):
                patch = x[:, i * stride : i * stride + k, j * stride : j * stride + k, :]
                out[:, i, j, :] = np.einsum("nhwc,hwco->no", patch, kernel)
        return out + self.state[f"{address}.bias"]

    def batch_norm(self, x, address):
        """BatchNormalization: batch statistics in training, moving ones otherwise; biased variance."""
        mean, variance = self.state[f"{address}.running_mean"], self.state[f"{address}.running_var"]
        if self.training:
            batch = x.mean((0, 1, 2)), x.var((0, 1, 2))
            pixels = x.size // x.shape[3]
            # TensorFlow's fused kernel kept the unbiased variance; Keras 3 keeps the biased one. Both are recorded.
            self.moved[address] = (
                MOMENTUM * mean + (1 - MOMENTUM) * batch[0],
                MOMENTUM * variance + (1 - MOMENTUM) * batch[1] * pixels / (pixels - 1),
            )
            mean, variance = batch
        gamma, beta = self.state[f"{address}.weight"], self.state[f"{address}.bias"]
        return gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta


def relu(x):
    return np.maximum(x, 0)


def tutorial_net(weights, images, units):
    """Stem, three stages, GlobalAveragePooling2D, Dense; `units` a stage."""
    x = relu(weights.batch_norm(weights.conv(images.transpose(0, 2, 3, 1), "stem.conv1", 1), "stem.norm1"))
    for stage in range(3):
        for unit in range(units):
            address, stride = f"trunk.{stage}.{unit}", 2 if stage and not unit else 1
            y = weights.conv(x, f"{address}.branch.conv1", stride)
            y = relu(weights.batch_norm(y, f"{address}.branch.norm1"))
            y = weights.batch_norm(weights.conv(y, f"{address}.branch.conv2", 1), f"{address}.branch.norm2")
            x = relu(y + weights.conv(x, f"{address}.shortcut.conv1", stride))
    return x.mean((1, 2)) @ weights.state["head.linear.weight"].T + weights.state["head.linear.bias"]


@pytest.fixture
def tutorial():
    """Two units a stage, with random biases and statistics: as initialised they would hide what they do."""
    net = build_net(composed("experiment=tutorial_block") | {"depth": 14, "width": 4}).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point() and ("norm" in name or name.endswith("bias")):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.25)
    return net


def pictures(n=3, channels=1, size=8, width=None):
    shape = n, channels, size, width or size
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("size", [8, 12, 9, 11])
@pytest.mark.parametrize("training", [True, False])
def test_logits_of_the_tutorial_block(tutorial, training, size):
    images = pictures(size=size)
    expected = tutorial_net(Weights(tutorial.state_dict(), training), images.numpy(), units=2)
    found = tutorial.train(training)(images).detach().numpy()
    assert expected.std() > 1e-2
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_moving_statistics_of_the_tutorial_block(tutorial):
    images = pictures()
    weights = Weights(tutorial.state_dict(), training=True)
    tutorial_net(weights, images.numpy(), units=2)
    tutorial.train()(images)
    state = tutorial.state_dict()
    assert len(weights.moved) == 1 + 3 * 2 * 2
    for address, (mean, variance) in weights.moved.items():
        np.testing.assert_allclose(state[f"{address}.running_mean"], mean, rtol=1e-9, err_msg=address)
        np.testing.assert_allclose(state[f"{address}.running_var"], variance, rtol=1e-9, err_msg=address)


@pytest.mark.parametrize("name", ["eps", "padding", "shortcut", "bias"])
def test_the_oracle_notices_other_semantics(tutorial, name, monkeypatch):
    images, weights = pictures(), Weights(tutorial.state_dict(), training=True)
    if name == "eps":
        monkeypatch.setitem(globals(), "EPSILON", 1e-5)
    if name == "padding":  # centred: the odd pixel left and above, as torch pads
        weights.conv = lambda x, address, stride: Weights.conv(weights, x[:, ::-1, ::-1], address, stride)[
            :, ::-1, ::-1
        ]
    if name == "shortcut":
        weights.state["trunk.1.1.shortcut.conv1.weight"] *= 0
    if name == "bias":
        weights.state["trunk.2.0.shortcut.conv1.bias"] *= 0
    expected = tutorial_net(weights, images.numpy(), units=2)
    assert not np.allclose(tutorial.train()(images).detach().numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 7), (8, 7), (7, 10), (1, 2), (13, 4)])
def test_same_padding(kernel, stride, height, width):
    layer = conv(ConvShape(c_in=2, c_out=3, kernel=kernel, stride=stride, bias=True, padding="same")).double()
    images = pictures(n=2, channels=2, size=height, width=width)
    state = {"conv.weight": layer.weight, "conv.bias": layer.bias}
    expected = Weights(state, False).conv(images.numpy().transpose(0, 2, 3, 1), "conv", stride)
    found = layer(images).detach().numpy().transpose(0, 2, 3, 1)
    assert found.shape == (2, math.ceil(height / stride), math.ceil(width / stride), 3)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_same_padding_is_not_torchs_where_the_side_is_even():
    shapes = [ConvShape(c_in=1, c_out=1, kernel=3, stride=2, padding=p) for p in ("same", "centred")]
    same, centred = (conv(shape).double() for shape in shapes)
    centred.load_state_dict(same.state_dict())
    assert not torch.allclose(same(pictures(size=8)), centred(pictures(size=8)))
    assert torch.allclose(same(pictures(size=7)), centred(pictures(size=7)))


def test_tutorial_block_has_a_projection_on_every_shortcut():
    spec = describe(composed("experiment=tutorial_block") | {"depth": 20})
    for stage in spec.stages:
        for unit in stage:
            (projection,) = unit.shortcut
            assert (projection.kernel, projection.bias, projection.padding) == (1, True, "same")
            assert [type(op) for op in unit.branch] == [ConvShape, NormAt, ActAt, ConvShape, NormAt]
            assert all(op.bias and op.kernel == 3 for op in unit.branch if isinstance(op, ConvShape))
            assert [type(op) for op in unit.after] == [ActAt]


@pytest.mark.parametrize("experiment", ["tutorial_block", "keras_v1", "keras_v2"])
def test_layers_of_keras(experiment):
    net = build_net(composed(f"experiment={experiment}") | ({} if experiment == "keras_v2" else {"depth": 8}))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum) == (EPSILON, pytest.approx(1 - MOMENTUM))
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None


# The graphs of keras-team/keras, examples/cifar10_resnet.py, as its loops put them: a convolution is its
# (filters in, filters out, kernel, stride), everywhere biased and padding="same".


def shown(ops):
    names = {NormAt: "bn", ActAt: "relu"}
    return [
        (op.c_in, op.c_out, op.kernel, op.stride) if isinstance(op, ConvShape) else names[type(op)] for op in ops or ()
    ]


def convs(spec):
    return [op for ops, _ in spec.paths() for op in ops if isinstance(op, ConvShape)]


@pytest.mark.parametrize("depth", [8, 20, 32])
def test_graph_of_version_1(depth):
    spec = describe(composed("experiment=keras_v1") | {"depth": depth})
    assert shown(spec.stem) == [(3, 16, 3, 1), "bn", "relu"]
    blocks, filters, before = (depth - 2) // 6, 16, 16
    assert [len(stage) for stage in spec.stages] == [blocks] * 3
    for stack in range(3):
        for block in range(blocks):
            unit, first = spec.stages[stack][block], stack > 0 and block == 0
            strides = 2 if first else 1
            assert shown(unit.before) == []
            assert shown(unit.branch) == [
                (before, filters, 3, strides),
                "bn",
                "relu",
                (filters, filters, 3, 1),
                "bn",
            ]
            assert shown(unit.shortcut) == ([(before, filters, 1, strides)] if first else [])
            assert unit.shortcut is not None
            assert shown(unit.after) == ["relu"]
            before = filters
        filters *= 2
    assert shown(spec.head) == []
    assert spec.features == 64
    assert all(op.bias and op.padding == "same" for op in convs(spec))


@pytest.mark.parametrize("depth", [11, 20, 29])
def test_graph_of_version_2(depth):
    spec = describe(composed("experiment=keras_v2") | {"depth": depth})
    assert shown(spec.stem) == [(3, 16, 3, 1), "bn", "relu"]
    blocks, before = (depth - 2) // 9, 16
    assert [len(stage) for stage in spec.stages] == [blocks] * 3
    for stage, (inner, outer) in enumerate(((16, 64), (64, 128), (128, 256))):
        for block in range(blocks):
            unit, strides = spec.stages[stage][block], 2 if stage > 0 and block == 0 else 1
            assert shown(unit.before) == ([] if stage == block == 0 else ["bn", "relu"])
            assert shown(unit.branch) == [
                (before, inner, 1, strides),
                "bn",
                "relu",
                (inner, inner, 3, 1),
                "bn",
                "relu",
                (inner, outer, 1, 1),
            ]
            assert shown(unit.shortcut) == ([(before, outer, 1, strides)] if block == 0 else [])
            assert unit.shortcut is not None
            assert not unit.shortcut_reads_activated  # x, not what BN and ReLU make of it
            assert shown(unit.after) == []
            before = outer
    assert shown(spec.head) == ["bn", "relu"]
    assert spec.features == 256
    assert all(op.bias and op.padding == "same" for op in convs(spec))


def test_projection_of_version_2_reads_the_raw_input():
    net = build_net(composed("experiment=keras_v2"))
    unit = net.trunk[1][0].eval()
    x = torch.randn(1, 64, 8, 8, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(unit.branch.conv3.weight)
    raw = nn.functional.conv2d(x, unit.shortcut.conv1.weight, unit.shortcut.conv1.bias, stride=2)
    torch.testing.assert_close(unit(x), raw)


def test_glorot_uniform():
    # keras.initializers.GlorotUniform: limit sqrt(6 / (fan_in + fan_out)), fans in weights per output or input
    net = build_net(composed("experiment=tutorial_block"))
    for layer, fan_in, fan_out in (
        (net.trunk[2][0].branch.conv1, 32 * 9, 64 * 9),
        (net.trunk[2][0].branch.conv2, 64 * 9, 64 * 9),
        (net.trunk[2][0].shortcut.conv1, 32, 64),
        (net.head.linear, 64, 10),
    ):
        limit = math.sqrt(6 / (fan_in + fan_out))
        largest = layer.weight.abs().max().item()
        assert 0.97 * limit < largest <= limit * (1 + 1e-6)
        assert (layer.bias == 0).all()
