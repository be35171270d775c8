"""An experiment that never ran: an Answer of given columns, and run folders in any number."""

import json
import math
import re
from dataclasses import dataclass, replace

import polars as pl

from reslab.analysis.rows import CAUSES, EVIDENCE, frame
from reslab.runs.folder import write_json
from reslab.runs.identity import cell_hash

HTML = "</script><script>window.pwned=1</script>"
BASE = {"block": "basic", "order": "post", "norm": "batch", "net": "cifar", "data": "digits", "recipe": "digits"}
BASE |= {"intervention": "none", "width": 16, "batch": 64, "precision": "fp32"}
N = 1200
RECIPE = {"weight_decay": 0.0001, "decay": ["conv"], "warmup": {"steps": 20, "factor": 0.1, "from_depth": 0}}
RECIPE |= {"optimiser": {"_target_": "reslab.training.optimise.sgd", "_partial_": True, "momentum": 0.9}}
RECIPE |= {"schedule": {"_target_": "reslab.training.schedule.constant"}, "augment": {"pad": 4, "flip": False}}
STEPS = (0, *range(23, 231, 23))


@dataclass(frozen=True)
class Grid:
    """What was planned; `fate(shortcut, depth, seed)` says how a run ended (None: not begun)."""

    shortcuts: tuple[str, ...] = ("none", "identity")
    depths: tuple[int, ...] = (8, 20, 56)
    seeds: int = 3
    steps: tuple[int, ...] = (230,)
    fates: tuple[tuple[str, int, int, str | None], ...] = ()
    question: str = "does depth degrade plain nets?"
    command: str = ""

    def fate(self, shortcut, depth, seed):
        """trained unless said otherwise."""
        return {(a, b, c): d for a, b, c, d in self.fates}.get((shortcut, depth, seed), "trained")


def error(shortcut, depth, seed, steps=230):
    """A share that rises with depth for plain nets, and falls with the budget; a multiple of one image."""
    slope = {"none": 0.06, "identity": 0.0005}.get(shortcut, 0.002)
    made = slope * math.log2(depth / 4) * (1 + 0.2 * seed) * (230 / steps)
    return round(min(made, 0.9) * N) / N


def points(grid):
    """Every planned run."""
    for steps in grid.steps:
        for shortcut in grid.shortcuts:
            for depth in grid.depths:
                for seed in range(grid.seeds):
                    yield steps, shortcut, depth, seed


def write_records(outputs, experiment="toy", grid=None):
    """plan.jsonl, study.json and a folder per run, with the files that a run leaves behind."""
    grid = grid or Grid()
    folder = outputs / "experiments" / experiment
    folder.mkdir(parents=True)
    write_json(folder / "study.json", {"question": grid.question, "prediction": "plain nets degrade"})
    plan = []
    for steps, shortcut, depth, seed in points(grid):
        config = _config(shortcut, depth, steps)
        cell = cell_hash(config)
        label = f"basic-post-{re.sub('[^a-z_]+', '_', shortcut)}-d{depth}-w16-digits-digits"
        where = f"runs/{label}-{cell[:8]}/seed={seed}"
        entry = BASE | {"schema": 1, "experiment": experiment, "cell": cell, "seed": seed, "label": label}
        entry |= {"folder": where, "overrides": [f"shortcut={shortcut}", f"depth={depth}", f"seed={seed}"]}
        if grid.command:
            entry["command"] = grid.command
        entry |= {"shortcut": shortcut, "depth": depth, "lr": 0.1, "steps": steps, "classes": 10}
        plan.append(json.dumps(entry | {"params": 4000 * depth, "norm_params": 60 * depth, "macs": 10**5 * depth}))
        fate = grid.fate(shortcut, depth, seed)
        if fate is not None:
            _write_run(outputs / where, entry, fate, config | {"seed": seed})
    (folder / "plan.jsonl").write_text("\n".join(plan) + "\n")
    return outputs


def _config(shortcut, depth, steps):
    choices = {key: BASE[key] for key in ("block", "order", "norm", "net", "intervention")}
    return {
        "choices": choices | {"shortcut": shortcut},
        "depth": depth,
        "width": 16,
        "recipe": RECIPE | {"steps": steps},
    }


def _write_run(folder, entry, fate, config):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in config.items()))
    value = error(entry["shortcut"], entry["depth"], entry["seed"], entry["steps"])
    rows = []
    for step in STEPS:
        scaled = step * entry["steps"] // 230
        now = 0.9 * math.exp(-step / 60) + value
        row = {"schema": 1, "attempt": 1, "step": scaled, "samples": 64 * scaled, "train/error": min(now, 0.9)}
        row |= {"train/cross_entropy": 2.6 * now, "validation/error": min(now + 0.01, 0.9)}
        rows.append(json.dumps(row | ({"lr": 0.1 if step < 150 else 0.01, "running/error": now} if step else {})))
    (folder / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    write_json(folder / "status.json", {"state": "ended", "attempt": 1, "origin": 1, "reason": fate})
    result = {"outcome": fate, "reason": None, "cell": entry["cell"], "seed": entry["seed"], "step": entry["steps"]}
    if fate == "at_chance":
        value = 0.9
    if fate in ("trained", "at_chance"):
        for part, more in (("train", 0.0), ("validation", 0.01), ("test", 0.02)):
            count = round(min(value + more, 0.9) * N)
            score = {"error": count / N, "errors": count, "n": N, "cross_entropy": 0.01 + 2 * value}
            result |= {part: score}
    result |= {"command": "reslab train experiment=toy", "commit": "0123456789abcdef" * 2, "weights": "f" * 64}
    result |= {"versions": {"reslab": "0.1.0", "torch": "2.13.0"}, "images_per_second": 2809.0}
    result |= {"hardware": {"device": "cpu", "capability": "AVX512", "threads": 1, "cores": 2, "machine": "x86_64"}}
    write_json(folder / "result.json", result | {"times": {"build": 0.1, "fit": 6.0, "evaluate": 0.4}})


def extended(answered):
    """The same answer with published values, gaps at best rates and causes, which no synthetic record has."""
    rates = answered.gaps.filter("main").select(
        *("context", "shortcut", "depth", "against", "lr", "n", "look", "gap_points", "lower_points", "upper_points"),
        *("lower_level", "upper_level", "verdict", "method", "sentence"),
        lr_against="lr",
    )
    row = {"source": "He 2015, Table 6", "net": "plain-20", "quantity": "test error %", "published": 9.0}
    row |= {"band_low": 8.5, "band_high": 9.5, "ours": 9.2, "n": 3, "lower": 9.0, "upper": 9.4, "split": "50k/10k"}
    rows = [row | {"verdict": "inside", "note": ""}, row | {"ours": None, "verdict": "no run of ours", "note": HTML}]
    causes, evidence = frame(CAUSES, made_causes()), frame(EVIDENCE, made_evidence())
    return replace(answered, rates=rates, published=pl.DataFrame(rows), causes=causes, evidence=evidence)


def made_causes():
    """A cure, an open interval, a share that cannot be given, and one with an evil name, at two depths."""
    base = {"context": "c", "shortcut": "none", "against": 8, "n": 5, "look": 5, "gap_points": 60.0, "method": "m"}
    base |= {"removed_points": 50.0, "lower_level": 0.001, "upper_level": 0.001, "reason": "", "hypotheses": "H2"}
    base |= {"failed_with": 1, "failed_without": 0, "failed_shallow": 0, "shallow_n": 5, "shallow_points": -0.4}
    base |= {"shallow_own_lower": -0.6, "shallow_own_upper": -0.2, "shallow_lower": -0.8, "shallow_upper": 0.1}
    base |= {"shallow_method": "m", "shallow_verdict": "undecided", "left_points": 3.0, "sentence": "said"}
    share = {"share": 0.8, "own_lower": 0.7, "own_upper": 0.9, "lower": 0.6, "upper": 1.0, "verdict": "removes"}
    none = dict.fromkeys(share) | {"look": None, "verdict": "undecided", "reason": "not established"}
    open_end = share | {"upper": None, "share": 0.3, "lower": 0.1, "own_lower": 0.2, "own_upper": 0.4}
    kinds = {"norm_projection": share, "leaky": open_end | {"verdict": "undecided"}, HTML: none}
    return [base | {"intervention": name, "depth": d} | kind for d in (20, 56) for name, kind in kinds.items()]


def made_evidence():
    """A hypothesis that is supported and one that nobody tested, at two depths."""
    base = {"by": "someone", "against": 8, "reason": "1 of 1 say so", "reading": HTML}
    said = {"verdict": "supports", "interventions": "norm_projection: removes, 80 %", "n": 5, "share": 0.8}
    rows = [
        {"hypothesis": "H2", "claim": "freezing"} | said,
        {"hypothesis": "H3", "claim": "shattering", "verdict": "not tested here", "interventions": "", "reading": ""},
    ]
    return [base | row | {"depth": depth} for depth in (20, 56) for row in rows]


if __name__ == "__main__":  # how long does a page of 1,000 runs take? python tests/report/synthetic.py FOLDER
    import sys
    from pathlib import Path

    wide = Grid(("none", "identity", "projection", "projection_all"), tuple(range(8, 8 + 6 * 25, 6)), seeds=10)
    write_records(Path(sys.argv[1]), "thousand", wide)
