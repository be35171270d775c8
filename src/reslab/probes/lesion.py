"""Lesions of a trained net: delete units, or swap them, and see what is left (Veit et al. 2016, section 4)."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from jaxtyping import Float
from torch import Tensor, nn

from reslab import streams
from reslab.probes.addresses import stages, units
from reslab.probes.copies import copy_of


@dataclass(frozen=True)
class Lesion:
    """What is done to a net. `kind` is "intact", "unit" (one deleted), "number" (a random subset) or "order"."""

    kind: str
    gone: tuple[str, ...] = ()
    """Addresses of the units that are deleted."""
    moved: tuple[tuple[str, str], ...] = ()
    """Pairs of a place and the unit that stands there now, where that is another one."""
    draw: int = 0
    swaps: int = 0
    tau: float = 1.0
    """Kendall's tau of the order of units; 1 is the order of the net."""

    def of(self, net: nn.Module) -> nn.Module:
        """The net with this lesion, as an eager fp32 copy in eval mode; the net itself is not touched."""
        return reordered(net, dict(self.moved)) if self.moved else without(net, self.gone)


class Bypassed(nn.Module):
    """A residual unit without its branch: the shortcut, and what follows the sum."""

    def __init__(self, unit: nn.Module) -> None:
        """`unit` has a shortcut; its modules are used as they are."""
        super().__init__()
        self.before, self.shortcut, self.after = (unit.get_submodule(name) for name in ("before", "shortcut", "after"))
        self.shortcut_reads_activated = bool(unit.shortcut_reads_activated)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """(n, c_in, h, w) to (n, c_out, h / stride, w / stride)."""
        return self.after(self.shortcut(self.before(x) if self.shortcut_reads_activated else x))


def without(net: nn.Module, gone: Collection[str]) -> nn.Module:
    """A copy of the net without these units: a residual one keeps its shortcut, a plain one becomes the identity.

    ValueError for a plain unit that changes the shape of its input, and for an address that is no unit.
    """
    made = copy_of(net, bn="eval")
    own = units(made)
    for address in gone:
        if address not in own:
            raise ValueError(f"{address} is no unit of the net; its units are {next(iter(own))} to {list(own)[-1]}")
        unit = own[address]
        if _is_plain(unit) and not keeps_shape(unit):
            raise ValueError(f"{address} is a plain unit that changes the shape; only a residual one can be deleted")
        _put(made, address, nn.Identity() if _is_plain(unit) else Bypassed(unit))
    return made


def reordered(net: nn.Module, places: Mapping[str, str]) -> nn.Module:
    """A copy of the net in which the unit of address `places[a]` stands at address a; the others stay."""
    made = copy_of(net, bn="eval")
    own = units(made)
    for place, unit in places.items():
        _put(made, place, own[unit])
    return made


def removable(net: nn.Module) -> list[str]:
    """Units that can be deleted, first to last: all residual ones, and plain ones that keep the shape."""
    return [address for address, unit in units(net).items() if not _is_plain(unit) or keeps_shape(unit)]


def pool(net: nn.Module) -> list[str]:
    """Units that keep the shape: what random subsets are drawn from, on plain and residual nets alike."""
    return [address for address, unit in units(net).items() if keeps_shape(unit)]


def exchangeable(net: nn.Module) -> list[list[str]]:
    """Groups of units of one stage that are built alike and keep the shape, so that any may stand for any."""
    groups: dict[tuple[str, str], list[str]] = {}
    for stage, members in stages(net).items():
        for address, unit in members.items():
            if keeps_shape(unit):
                groups.setdefault((stage, _form(unit)), []).append(address)
    return [group for group in groups.values() if len(group) > 1]


def keeps_shape(unit: nn.Module) -> bool:
    """Whether the branch's output has the shape of its input."""
    convs = [module for module in unit.get_submodule("branch").modules() if isinstance(module, nn.Conv2d)]
    straight = all(max(conv.stride) == 1 for conv in convs)
    return bool(convs) and straight and convs[0].in_channels == convs[-1].out_channels


def lesions(net: nn.Module, *, draws: int, seed: int) -> list[Lesion]:
    """The study of one net: intact, each unit deleted, random subsets of growing size, orders of growing disorder.

    `draws` subsets per size (all of them where there are fewer) and orders per number of swaps. A size, or a number
    of swaps, is a Fibonacci number or the largest possible. The same `seed` gives the same study.
    """
    places = pool(net)
    found = [Lesion("intact"), *(Lesion("unit", (address,)) for address in removable(net))]
    for size in _sizes(len(places)):
        found += [Lesion("number", gone, draw=at) for at, gone in enumerate(_subsets(places, size, draws, seed))]
    groups = exchangeable(net)
    for swaps in _sizes(sum(len(group) for group in groups)):
        found += [_order(net, groups, swaps, draw, seed) for draw in range(draws)]
    return found


def kendall_tau(order: Sequence[int]) -> float:
    """Concordant less discordant pairs of a permutation of 0 .. n - 1 over all pairs; 1 for fewer than two."""
    pairs = list(combinations(order, 2))
    return sum(1 if one < other else -1 for one, other in pairs) / len(pairs) if pairs else 1.0


def _order(net: nn.Module, groups: Sequence[Sequence[str]], swaps: int, draw: int, seed: int) -> Lesion:
    """Random pairs within a group, swapped one after another; a group is chosen in proportion to its members."""
    own = list(units(net))
    at = {address: address for address in own}
    members = [(group, address) for group in groups for address in group]
    words = streams.bits(2 * swaps, seed, "lesion", "order", swaps, draw)
    for first, second in zip(words[::2], words[1::2], strict=True):
        group, one = members[int(streams.below(len(members), first.reshape(1))[0])]
        others = [address for address in group if address != one]
        other = others[int(streams.below(len(others), second.reshape(1))[0])]
        at[one], at[other] = at[other], at[one]
    moved = tuple((place, unit) for place, unit in at.items() if place != unit)
    tau = kendall_tau([own.index(at[place]) for place in own])
    return Lesion("order", moved=moved, draw=draw, swaps=swaps, tau=tau)


def _subsets(places: Sequence[str], size: int, draws: int, seed: int) -> Iterator[tuple[str, ...]]:
    if math.comb(len(places), size) <= draws:
        yield from combinations(places, size)
        return
    for draw in range(draws):
        chosen = streams.permutation(len(places), seed, "lesion", "number", size, draw)[:size]
        yield tuple(places[at] for at in sorted(chosen.tolist()))


def _sizes(most: int) -> list[int]:
    found, after = [], (1, 2)
    while after[0] < most:
        found.append(after[0])
        after = after[1], sum(after)
    return [*found, most] if most else []


def _is_plain(unit: nn.Module) -> bool:
    return unit._modules.get("shortcut") is None


def _form(unit: nn.Module) -> str:
    return str(unit)


def _put(net: nn.Module, address: str, unit: nn.Module) -> None:
    stage, _, name = address.rpartition(".")
    net.get_submodule(stage)._modules[name] = unit
