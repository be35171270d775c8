"""Second, slow and obvious versions: one image chunk, Python loops, autograd by hand."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from reslab import api
from reslab.probes.reading import ProbeBatch

NETS = {
    f"{shortcut}-{order}-{norm}": ("depth=8", "width=4", f"shortcut={shortcut}", f"order={order}", f"norm={norm}")
    for shortcut in ("none", "identity", "projection_all")
    for order in ("post", "pre")
    for norm in ("batch", "absent")
}


def net(name, seed=0):
    return api.net(*NETS[name], seed=seed)


def batch(n=24, chunk=8, seed=3):
    draw = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 1, 8, 8, generator=draw)
    return ProbeBatch(images, torch.randint(0, 10, (n,), generator=draw), chunk)


def walk(model, images):
    """Every stem and unit output, and what each branch and shortcut gave, by running the net's parts by hand."""
    outputs, paths = {"stem": model.stem(images)}, {}
    x = outputs["stem"]
    for s, stage in enumerate(model.trunk):
        for u, unit in enumerate(stage):
            address = f"trunk.{s}.{u}"
            activated = unit.before(x)
            branch = unit.branch(activated)
            if unit.shortcut is None:
                around, joined = x, branch
            else:
                around = unit.shortcut(activated if unit.shortcut_reads_activated else x)
                joined = branch + around
            paths[address] = (branch, around)
            x = outputs[address] = unit.after(joined)
    return outputs, paths, model.head(x)


class Constant(nn.Module):
    """BatchNorm written out, the statistics of its input detached."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        mean = x.detach().mean((0, 2, 3), keepdim=True)
        variance = (x.detach() - mean).square().mean((0, 2, 3), keepdim=True)
        weight, bias = (p[None, :, None, None] for p in (self.norm.weight, self.norm.bias))
        return (x - mean) / (variance + self.norm.eps).sqrt() * weight + bias


def constant(model):
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, Constant(module))


def by_hand(model, shown, bn):
    """Outputs, paths, gradients and loss of each chunk, on a copy that is torn up freely."""
    found = []
    for start in range(0, len(shown.labels), shown.chunk):
        model_ = copy.deepcopy(model).train(bn == "train")
        if bn == "frozen":
            constant(model_)
        outputs, paths, logits = walk(model_, shown.images[start : start + shown.chunk])
        for h in outputs.values():
            h.retain_grad()
        F.cross_entropy(logits, shown.labels[start : start + shown.chunk]).backward()
        weights = {n: m.weight.grad for n, m in model_.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
        found.append((outputs, paths, weights))
    return found


def mean_and_error(values):
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))


def channels(h):
    """Mean over channels of variance, of squared mean; second moment: loops over Python floats."""
    variances, squares, seconds = [], [], []
    for c in range(h.shape[1]):
        values = h[:, c].detach().double().flatten().tolist()
        mean = sum(values) / len(values)
        variances.append(sum((v - mean) ** 2 for v in values) / len(values))
        squares.append(mean**2)
        seconds.append(sum(v * v for v in values) / len(values))
    return tuple(sum(part) / len(part) for part in (variances, squares, seconds))
