"""Run folders with bare results, as an experiment of a few numbers would leave them."""

import json

import yaml

from reslab.analysis.table import AXES
from reslab.runs.identity import cell_hash

BASE = {name: "x" for name in AXES} | {"depth": 20, "width": 16, "lr": 0.1, "steps": 230, "batch": 64}
BASE |= {"classes": 10, "params": 5, "norm_params": 1, "macs": 7, "overrides": []}


def write(outputs, cells, *, experiment="toy", study=None, images=1000, first_seed=0, **axes):
    """`cells`: {(shortcut, depth): [error as share, or diverged, at_chance, failed, planned, by seed]}; adds up."""
    plan = outputs / "experiments" / experiment / "plan.jsonl"
    plan.parent.mkdir(parents=True, exist_ok=True)
    if study is not None:
        (plan.parent / "study.json").write_text(json.dumps({"schema": 1} | study))
    words = "".join(f"-{key}{value}" for key, value in axes.items())
    with plan.open("a") as file:
        for (shortcut, depth), values in cells.items():
            config = {"choices": {"shortcut": shortcut}, "depth": depth, "recipe": axes}
            cell, label = cell_hash(config), f"{shortcut}{depth}{words}"
            for seed, value in enumerate(values, first_seed):
                folder = outputs / "runs" / label / f"seed={seed}"
                folder.mkdir(parents=True)
                entry = BASE | {"cell": cell, "seed": seed, "label": label, "folder": str(folder.relative_to(outputs))}
                file.write(json.dumps(entry | {"shortcut": shortcut, "depth": depth} | axes) + "\n")
                (folder / "config.yaml").write_text(yaml.dump(config | {"seed": seed}))
                if value != "planned":
                    (folder / "result.json").write_text(json.dumps(_result(value, cell, seed, images)))
    return outputs


def _result(value, cell, seed, images):
    outcome = value if isinstance(value, str) else "trained"
    result = {"schema": 1, "outcome": outcome, "cell": cell, "seed": seed, "hardware": {"threads": 1}}
    if outcome in ("trained", "at_chance"):
        error = value if outcome == "trained" else 0.89
        errors = round(error * images)
        score = {"error": errors / images, "cross_entropy": 2 * error, "errors": errors, "n": images}
        result |= {"train": score, "test": score | {"error": errors / images + 0.01, "errors": errors + images // 100}}
    return result
