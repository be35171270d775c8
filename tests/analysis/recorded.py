"""Readings as the probes would leave them, of laws that can be computed by hand."""

from analysis.records import write
from reslab.runs.folder import RunFolder
from reslab.runs.readings import Readings

STEPS = (0, 1, 2, 5)
CONVS = ("stem.conv1", "trunk.0.0.branch.conv1", "trunk.0.1.branch.conv1", "trunk.1.0.branch.conv1")
UNITS = ("trunk.0.0", "trunk.0.1", "trunk.1.0")


def experiment(outputs, cells=None, *, silent=()):
    """An experiment `toy` with readings in every run but the `silent` ones (shortcut, depth, seed)."""
    cells = cells or {(s, d): [0.1, 0.2] for s in ("none", "identity") for d in (20, 56)}
    write(outputs, cells)
    for (shortcut, depth), values in cells.items():
        for seed, value in enumerate(values):
            if value != "planned" and (shortcut, depth, seed) not in silent:
                record(RunFolder(outputs / "runs" / f"{shortcut}{depth}" / f"seed={seed}"), depth, seed)
    return outputs


def record(folder, depth, seed):
    """Gradients fall by `depth` a unit; the stem freezes after step 2; the branch is 1 / l of the shortcut."""
    rows = Readings(folder, "run", until=10**9)
    for step in STEPS:
        norms = [("stem", "gradient_norm", 7.0, 0.1)]
        norms += [(unit, "gradient_norm", (1 + seed) * float(depth) ** -at, 0.1) for at, unit in enumerate(UNITS)]
        scalars = [("trunk.0", "backward_growth", 1.5, None), ("trunk", "gradient_ratio", depth**2.0, None)]
        scalars += [("trunk", "depth_scale", float("inf"), None)]
        rows.add(step, "signal_propagation/train", norms + scalars)
        ratios = [(unit, "variance_ratio", 1 / at, None) for at, unit in enumerate(UNITS, 1)]
        rows.add(step, "branch_ratio/train", ratios)
        angles = [
            (conv, "angle_over_equilibrium", 0.01 if at == 0 and step > 2 else 2.0) for at, conv in enumerate(CONVS)
        ]
        grown = [(conv, "norm_growth", 1.0 + step * (at == 0), None) for at, conv in enumerate(CONVS)]
        frozen = [("trunk", "freeze_index", 0.25 * (step > 2), None)]
        rows.add(
            step, "update_geometry/train", [*((*a, None) for a in angles if step), *grown, *(frozen if step else [])]
        )
    rows.write()
