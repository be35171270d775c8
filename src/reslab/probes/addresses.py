"""Where a net is measured, by the names that its builder gives: stem, trunk.<stage>.<unit>, and every convolution."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


def stages(net: nn.Module) -> dict[str, dict[str, nn.Module]]:
    """Units by address, by stage; ValueError for a net that has no trunk of stages of units."""
    trunk = net._modules.get("trunk")
    if trunk is None:
        raise ValueError(f"{type(net).__name__} has no trunk of stages of units; probes measure nets built by reslab")
    return {
        f"trunk.{s}": {f"trunk.{s}.{u}": unit for u, unit in stage.named_children()}
        for s, stage in trunk.named_children()
    }


def units(net: nn.Module) -> dict[str, nn.Module]:
    """All units by address, first to last."""
    return {address: unit for stage in stages(net).values() for address, unit in stage.items()}


def convolutions(net: nn.Module) -> dict[str, Tensor]:
    """The weight of every convolution, by the module's name."""
    return {name: module.weight for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}


def responses(net: nn.Module) -> dict[str, nn.Module]:
    """Per convolution, the module whose output is its response: the norm that follows, else itself (He 2015, Fig. 7).

    So the response is taken before any activation or addition.
    """
    found = {}
    for chain_name, chain in net.named_modules():
        if isinstance(chain, nn.Sequential):
            children = list(chain.named_children())
            for at, (name, child) in enumerate(children):
                if isinstance(child, nn.Conv2d):
                    following = children[at + 1][1] if at + 1 < len(children) else None
                    normed = isinstance(following, _NormBase | nn.GroupNorm)
                    found[f"{chain_name}.{name}"] = following if normed and following is not None else child
    return found


@contextmanager
def watched(modules: dict[str, nn.Module], see: Callable[[str, Float[Tensor, "n c h w"]], object]) -> Iterator[None]:
    """Within the block, `see(name, output)` is called when one of the modules has run."""

    def hook(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def seen(module: nn.Module, inputs: object, output: Tensor) -> None:
            see(name, output)

        return seen

    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
