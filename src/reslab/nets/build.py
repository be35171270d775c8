"""The one builder: a net's description in, its modules out, at fixed addresses.

Addresses: `stem.conv1`, `trunk.<stage>.<unit>.branch.conv1`, `.shortcut.conv1`, `.before`, `.after`, `head.linear`.
"""

from collections import Counter

from jaxtyping import Float
from torch import Tensor, nn

from reslab.nets.layers import MeanPool, SubsampleAndPad, conv
from reslab.specs import ActAt, Choices, ConvShape, MaxPool, NetSpec, NormAt, Op, Ops, Resize, Unit


class ResidualUnit(nn.Module):
    """A branch and, unless the net is plain, a shortcut around it."""

    def __init__(self, spec: Unit, choices: Choices) -> None:
        """Build exactly what the description has; a plain unit holds no shortcut and no join."""
        super().__init__()
        self.before = chain(spec.before, choices)
        self.branch = chain(spec.branch, choices)
        self.shortcut = None if spec.shortcut is None else chain(spec.shortcut, choices)
        self.join = None if spec.shortcut is None else choices.join()
        self.after = chain(spec.after, choices)
        self.shortcut_reads_activated = spec.shortcut_reads_activated

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """(n, c_in, h, w) to (n, c_out, h / stride, w / stride)."""
        activated = self.before(x)
        out = self.branch(activated)
        if self.shortcut is not None and self.join is not None:  # the question of the project
            out = self.join(out, self.shortcut(activated if self.shortcut_reads_activated else x))
        return self.after(out)


class Net(nn.Module):
    """Stem, trunk of stages of units, head."""

    def __init__(self, spec: NetSpec) -> None:
        """Build the description; weights are torch's until `nets.initialise` draws them."""
        super().__init__()
        self.spec = spec
        self.stem = chain(spec.stem, spec.choices)
        self.trunk = nn.Sequential(
            *(nn.Sequential(*(ResidualUnit(unit, spec.choices) for unit in stage)) for stage in spec.stages)
        )
        self.head = chain(spec.head, spec.choices)
        self.head.add_module("pool", MeanPool())
        self.head.add_module("linear", nn.Linear(spec.features, spec.image.classes))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Normalised images to logits."""
        return self.head(self.trunk(self.stem(images)))


def chain(ops: Ops, choices: Choices) -> nn.Sequential:
    """Modules in sequence, named by kind and count: conv1, norm1, act1, conv2, ...; absent norms leave no trace."""
    names: Counter[str] = Counter()
    modules = nn.Sequential()
    for op in ops:
        name, module = _module(op, choices)
        if module is not None:
            names[name] += 1
            modules.add_module(f"{name}{names[name]}", module)
    return modules


def _module(op: Op, choices: Choices) -> tuple[str, nn.Module | None]:
    match op:
        case ConvShape():
            return "conv", conv(op)
        case NormAt():
            return "norm", choices.norm.layer(op.channels)
        case ActAt():
            return "act", choices.act()
        case MaxPool():
            return "pool", nn.MaxPool2d(op.kernel, stride=op.stride, padding=op.kernel // 2)
        case Resize():
            return "resize", SubsampleAndPad(c_in=op.c_in, c_out=op.c_out, stride=op.stride)
        case _:
            return "layer", op.make()
