"""Our ResNet-18 against one written plainly, with the weights of ours."""

import pytest
import torch
from torch import nn

from cells import net


class Basic(nn.Module):
    """He 2015, Fig. 5 left, with option B."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.downsample = None
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """He 2015, Table 1, column 18-layer."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        blocks = []
        for c_in, c_out, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
            blocks += [Basic(c_in, c_out, stride), Basic(c_out, c_out, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        return self.fc(self.blocks(x).mean((2, 3)))


@pytest.fixture(scope="module")
def pair():
    """Ours with every tensor random, and the reference with the same tensors in the same order."""
    ours = net("net=imagenet", "shortcut=projection", depth=18, width=64, image=(3, 64, 7))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in ours.state_dict().items():
            if "norm" in name and tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    theirs = ResNet18(7)
    source, target = ours.state_dict(), theirs.state_dict()
    assert [t.shape for t in source.values()] == [t.shape for t in target.values()]
    theirs.load_state_dict(dict(zip(target, source.values(), strict=True)))
    return ours, theirs


def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [False, True])
def test_logits(pair, training):
    ours, theirs = (module.train(training) for module in pair)
    with torch.no_grad():
        expected, found = theirs(images()), ours(images())
    assert expected.std() > 1e-2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_running_statistics(pair):
    ours, theirs = (module.train() for module in pair)
    with torch.no_grad():
        ours(images())
        theirs(images())
    for found, expected in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
