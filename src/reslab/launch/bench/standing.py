"""The standing after races of training steps: tables of all contestants, figures with their targets; no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reslab.launch.bench.figures import Figure, Measured, Sheet
from reslab.launch.bench.race import Spread, faster, share, spread

LABELS = {
    "usual fp32": "a usual trainer, fp32",
    "naive fp32": "b naive loop, fp32",
    "strong fp32": "c strong loop, fp32",
    "strong bf16": "c strong loop, bf16",
    "ours fp32": "d ours, fp32",
    "ours bf16": "d ours, bf16",
    "alone fp32": "  its step function alone, fp32",
    "alone bf16": "  its step function alone, bf16",
    "ours bf16 nchw": "e ours, bf16, without channels_last",
    "ours bf16 loader": "e ours, bf16, without resident data (the usual loader)",
    "ours bf16 slices": "e ours, bf16, slices of one step",
    "ours bf16 compiled": "d ours, bf16, trainer.compile=true",
    "ours fp32 compiled": "d ours, fp32, trainer.compile=true",
    "ours bf16 uncaptured": "e ours, bf16, without the step recorded as a CUDA graph",
    "strong bf16 graphs": "c strong loop, bf16, compiled and recorded by torch as CUDA graphs",
    "strong bf16 compiled": "c strong loop, bf16, compiled",
    "strong fp32 compiled": "c strong loop, fp32, compiled",
    "strong bf16 blocks": "c strong loop, bf16, each block compiled",
    "strong bf16 foreach": "c strong loop, bf16, SGD not fused",
    "strong fp32 rounded": "c strong loop, fp32, oneDNN may round to bf16",
    "convolutions fp32": "  its convolutions alone, fp32",
    "convolutions bf16": "  its convolutions alone, bf16",
}
PASSES, BYTES = 22, {"fp32": 4, "bf16": 2}
"""How often a step reads or writes each output of a convolution where nothing is fused, and the size of a number."""
AGAINST_USUAL = {20: 2.8, 56: 3.0}
AGAINST_USUAL_FP32, AGAINST_STRONG = 1.4, 0.97
SHARE, SHARE_SMALL = 0.03, 0.05
RATES, RATED = {20: 150_000.0, 110: 30_000.0}, 128
"""Images per second on one H200 by depth, in batches of so many."""
COLUMNS = ("contestant", "ms/step", "quartiles", "img/s", "x a", "x c", "over c", "arithmetic", "traffic", "MiB")
GPU_COLUMNS = (*COLUMNS, "syncs", "kernels + graphs")


@dataclass(frozen=True, kw_only=True)
class Heat:
    """What one race has found: seconds per step by contestant and repeat, and the sizes that make sense of them."""

    title: str
    depth: int
    seconds: Mapping[str, list[float]]
    batch: int
    macs: int
    elements: int
    first: Mapping[str, float]
    gates: Sequence[Mapping[str, Any]]
    workers: Mapping[str, float]
    memory: Mapping[str, float]
    limits: Mapping[str, Any]
    """What the machine can do at most with the threads of this race."""
    gpu: bool = False
    looks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Per step what only a GPU has: waits of the host, launches of kernels and of graphs."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Who could not take part, and why."""

    def best(self, kind: str) -> str:
        """The faster precision of a kind; what else is different about a contestant does not count."""
        return self._fastest(f"{kind} fp32", f"{kind} bf16")

    def ours(self) -> str:
        """The fastest of ours with nothing off, in either precision, compiled or not."""
        return self._fastest(self.best("ours"), self.ours_fp32(), "ours bf16 compiled")

    def ours_fp32(self) -> str:
        """The same in fp32."""
        return self._fastest("ours fp32", "ours fp32 compiled")

    def strong(self) -> str:
        """The strong loop that all are compared with: the fastest of all its forms."""
        return self._fastest(*(name for name in self.seconds if name.startswith("strong")))

    def strong_fp32(self) -> str:
        """The same in fp32, where nothing may be rounded."""
        forms = (name for name in self.seconds if name.startswith("strong fp32"))
        return self._fastest(*(name for name in forms if "rounded" not in name))

    def _fastest(self, *names: str) -> str:
        """Of those that have raced."""
        return min((name for name in names if name in self.seconds), key=lambda name: spread(self.seconds[name]).middle)

    def ratio(self, ours: str, theirs: str) -> Spread:
        """How many times as fast `ours` is, paired."""
        return faster(self.seconds[ours], self.seconds[theirs])


def found(heats: Sequence[Heat], small: Sequence[Heat]) -> Measured:
    """The figures with their targets, and the tables that they come from; at least one race."""
    races = [*heats, *small]
    figures = [figure for heat in heats for figure in (_on_gpu(heat) if heat.gpu else _against(heat))]
    figures += [_lightning(heat, heat.best("alone").replace("alone ", ""), SHARE) for heat in heats]
    for heat in small:
        figures.append(_lightning(heat, "fp32", SHARE_SMALL))
        figures.append(_ratio(heat, heat.ours_fp32(), heat.strong_fp32()))
    limits = races[0].limits
    figures.append(Figure("this machine's fastest convolution, bf16 over fp32", limits["bf16"] / limits["fp32"], "x"))
    turns = {race.title: race.seconds for race in races}
    return Measured(figures, [*(_sheet(race) for race in races), _gates(races), _limits(races)], turns)


def _against(heat: Heat) -> list[Figure]:
    ours, strong, exact = heat.ours(), heat.strong(), heat.ours_fp32()
    forms = [name for name in heat.seconds if name.startswith("strong bf16") and name != strong]
    pairs: list[tuple[str, str, float | None]] = [
        (ours, "usual fp32", AGAINST_USUAL.get(heat.depth)),
        (exact, "usual fp32", AGAINST_USUAL_FP32),
        (ours, strong, AGAINST_STRONG),
        (exact, heat.strong_fp32(), None),
        *((ours, name, None) for name in forms),
        *((f"convolutions {name}", "usual fp32", None) for name in BYTES),
    ]
    return [_ratio(heat, *pair) for pair in pairs if {*pair[:2]} <= {*heat.seconds}]  # others were left out


def _on_gpu(heat: Heat) -> list[Figure]:
    ours, strong = heat.ours(), heat.strong()
    rate, least = heat.batch / spread(heat.seconds[ours]).middle, RATES.get(heat.depth)
    names = ("usual fp32", "strong bf16", "ours bf16", "ours bf16 uncaptured")
    others = [name for name in names if name in heat.seconds and name not in (ours, strong)]
    return [
        Figure(f"{heat.title}: {LABELS[ours]}", rate, "img/s", least=least if heat.batch == RATED else None),
        _ratio(heat, ours, strong, AGAINST_STRONG),
        *(_ratio(heat, ours, name) for name in others),
    ]


def _ratio(heat: Heat, ours: str, theirs: str, least: float | None = None) -> Figure:
    name = f"{heat.title}: {LABELS[ours].strip()}, over {LABELS[theirs]}"
    return Figure(name, heat.ratio(ours, theirs).middle, "x", least=least)


def _lightning(heat: Heat, precision: str, most: float) -> Figure:
    part = share(heat.seconds[f"ours {precision}"], heat.seconds[f"alone {precision}"])
    quartiles = f"quartiles {100 * part.low:.1f} to {100 * part.high:.1f} %"
    name = f"{heat.title}: Lightning's share of a step ({quartiles})"
    return Figure(name, 100 * part.middle, "%", most=100 * most)


def _sheet(heat: Heat) -> Sheet:
    rows = [_row(heat, name) for name in heat.seconds]
    compiled = [
        f"{LABELS[name]}: first steps {heat.first[name]:.0f} s"
        for name in heat.first
        if any(word in name for word in ("compiled", "blocks", "graphs"))
    ]
    missing = [f"{LABELS[name]}: left out, {reason}" for name, reason in heat.left_out.items()]
    loader = ", ".join(f"{number}: {1000 * seconds:.0f} ms" for number, seconds in heat.workers.items() if seconds)
    notes = ([f"the usual loader's workers, {loader} a step: the best is used"] if loader else []) + compiled
    return Sheet("; ".join([heat.title, *notes, *missing]), GPU_COLUMNS if heat.gpu else COLUMNS, rows)


def _row(heat: Heat, name: str) -> tuple[str, ...]:
    taken, precision, limits = spread(heat.seconds[name]), name.split(" ")[1], heat.limits
    strong = heat.strong()
    usual = f"{heat.ratio(name, 'usual fp32').middle:.2f}" if "usual fp32" in heat.seconds else ""
    over = faster(heat.seconds[strong], heat.seconds[name]).middle - 1
    arithmetic = 6 * heat.macs * heat.batch / taken.middle / limits[precision]
    traffic = PASSES * BYTES[precision] * heat.elements * heat.batch / taken.middle / limits["copy"]
    whole = not name.startswith("convolutions")  # which pass over their outputs less often
    cells = (
        LABELS[name],
        f"{1000 * taken.middle:.2f}",
        f"{1000 * taken.low:.2f} to {1000 * taken.high:.2f}",
        f"{heat.batch / taken.middle:,.0f}",
        usual,
        f"{heat.ratio(name, strong).middle:.3f}",
        f"{over:+.1%}",
        f"{arithmetic:.0%}",
        f"{traffic:.0%}" if whole else "",
        f"{heat.memory[name]:,.0f}" if name in heat.memory else "",
    )
    return (*cells, *_looked(heat.looks.get(name, {}))) if heat.gpu else cells


def _looked(found: Mapping[str, float]) -> tuple[str, str]:
    """Waits of the host, and launches, of one step."""
    if not found:
        return "", ""
    return f"{found['syncs']:,.3g}", f"{found['kernels']:,.6g} + {found['graphs']:,.3g}"


def _gates(heats: Sequence[Heat]) -> Sheet:
    rows: list[tuple[str, ...]] = [
        (f"{heat.title}: {gate['name']}", f"{gate['found']:.2g}", f"{gate['most']:g}")
        for heat in heats
        for gate in heat.gates
    ]
    return Sheet("gates, all passed before the race", ("gate", "found", "allowed"), rows)


def _limits(races: Sequence[Heat]) -> Sheet:
    by_threads = {race.limits["threads"]: race.limits for race in races}
    rows: list[tuple[str, ...]] = []
    for threads, limits in by_threads.items():
        by = "" if races[0].gpu else f", threads: {threads}"
        rows += [(f"fastest 3 x 3 convolution in {name}{by}", f"{limits[name] / 1e9:,.0f} GFLOP/s") for name in BYTES]
        size = limits["copied"] >> 20
        rows.append((f"copy of {size:,} MiB, read and written{by}", f"{limits['copy'] / 1e9:,.1f} GB/s"))
    title = (
        f"limits of this machine ({races[0].limits['capability']}), measured in the same call; above, arithmetic is "
        f"6 x multiply-adds over the first two, traffic {PASSES} passes over all outputs of convolutions over the last"
    )
    return Sheet(title, ("limit", "measured"), rows)
