"""Where the runs of a report come from: commands, versions, commit, hardware; and how to get those that miss."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from reslab.analysis.answer import Answer
from reslab.analysis.wording import net
from reslab.report.names import order, plainly
from reslab.runs.commands import again, with_seeds
from reslab.runs.folder import RunFolder, read_json
from reslab.runs.plan import plan_file, read_plan
from reslab.runs.record import last_line

ENDED = ("ended", "failed")
FEW = 5  # commands that are shown at once
RETRIED = ("new", "interrupted", "failed")


def origins(answered: Answer) -> pl.DataFrame:
    """One row per command, commit, versions and hardware that occur together, with the runs and arms they made."""
    found: dict[tuple[str, ...], list[str]] = {}
    for row in answered.runs.filter(pl.col("state").is_in(ENDED)).iter_rows(named=True):
        result = read_json(RunFolder(Path(row["folder"])).result) or {}
        found.setdefault(_origin(result), []).append(row["shortcut"])
    rows = [
        dict(zip(("command", "commit", "versions", "hardware"), origin, strict=True))
        | {"runs": len(arms), "shortcuts": ", ".join(map(net, order(arms)))}
        for origin, arms in found.items()
    ]
    schema = dict.fromkeys(("command", "commit", "versions", "hardware"), pl.String)
    return pl.DataFrame(rows, schema=schema | {"runs": pl.Int64, "shortcuts": pl.String})


def _origin(result: dict[str, Any]) -> tuple[str, ...]:
    hardware, versions = result.get("hardware") or {}, result.get("versions") or {}
    parts = [hardware.get(name) for name in ("device", "machine", "capability", "system", "stepping")]
    counts = [f"{hardware[name]} {name}" for name in ("cores", "threads", "ranks") if hardware.get(name) is not None]
    return (
        str(result.get("command") or "not recorded"),
        str(result.get("commit") or "not recorded"),
        ", ".join(f"{name} {version}" for name, version in versions.items() if version) or "not recorded",
        ", ".join([str(part) for part in parts if part] + counts) or "not recorded",
    )


def absent(answered: Answer) -> pl.DataFrame:
    """The runs that have not ended, failed or ended without having learned: why, and the command that goes on."""
    unusual = (pl.col("state") != "ended") | (pl.col("outcome") != "trained")
    rows = answered.runs.filter(unusual.fill_null(value=True))
    commands = retries(answered) if not rows.is_empty() else {}
    made = [
        {name: row[name] for name in ("shortcut", "depth", "seed", "context")}
        | {"found": row["outcome"] or row["state"], "reason": _reason(row)}
        | {"folder": row["folder"]}
        | {"command": "" if row["state"] not in RETRIED else commands.get((row["cell"], row["seed"]), "")}
        for row in rows.iter_rows(named=True)
    ]
    schema = {"shortcut": pl.String, "depth": pl.Int64, "seed": pl.Int64}
    schema |= dict.fromkeys(("context", "found", "reason", "folder", "command"), pl.String)
    return pl.DataFrame(made, schema=schema)


def _reason(row: dict[str, Any]) -> str:
    if row.get("problem"):
        return str(row["problem"])
    folder = RunFolder(Path(row["folder"]))
    result = read_json(folder.result) or {}
    if row["state"] == "failed":
        return str(result.get("reason") or last_line(folder.log) or "no message")
    step = result.get("first_bad_step")
    return f"loss not finite at step {step}" if step is not None else ""


def retries(answered: Answer) -> dict[tuple[str, int], str]:
    """The command that runs one planned run alone, by cell and seed."""
    outputs = Path(answered.runs["folder"][0]).parents[2]  # <outputs>/runs/<cell>/seed=<n>
    plan = read_plan(plan_file(outputs, answered.experiment))
    known = {(entry["cell"], entry["seed"]): entry.get("overrides") for entry in plan}
    where = [] if outputs == Path("outputs").absolute() else [f"outputs={outputs}"]
    return {key: shlex.join(["reslab", "train", *words, *where]) for key, words in known.items() if words}


def coverage(answered: Answer) -> str:
    """How much of the plan has ended, and how: "11 of 30 runs, 1 diverged"."""
    runs = answered.runs
    done = runs.filter(pl.col("state").is_in(ENDED))
    odd = done.filter(pl.col("outcome") != "trained").group_by("outcome").len().sort("outcome")
    words = [f"{row['len']} {plainly(str(row['outcome']))}" for row in odd.iter_rows(named=True)]
    left = runs.filter(~pl.col("state").is_in([*ENDED, "new"])).group_by("state").len().sort("state")
    words += [f"{row['len']} {row['state']}" for row in left.iter_rows(named=True)]
    return ", ".join([f"{len(done)} of {len(runs)} runs", *words])


def complete(answered: Answer) -> bool:
    """Whether every planned run has a result, failures included."""
    return bool(answered.runs["state"].is_in(ENDED).all())


@dataclass(frozen=True)
class Next:
    """What to run next, and why."""

    reason: str
    commands: tuple[str, ...]

    @property
    def first(self) -> tuple[str, ...]:
        """The first few of many commands."""
        left = len(self.commands) - FEW
        return (*self.commands[:FEW], *([f"# and {left} more: column command of tables/runs.csv"] if left > 0 else []))


def following(answered: Answer, outputs: Path) -> Next | None:
    """What starts or resumes missing runs, else what reaches the next declared look; None: nothing is left."""
    missing = answered.runs.filter(~pl.col("state").is_in(ENDED))
    if not missing.is_empty():
        found = again(_commands(missing), answered.experiment, outputs)
        return Next("to run or resume what is missing", tuple(found)) if found else None
    study = answered.study
    open_gaps = answered.gaps.filter(pl.col("main") & (pl.col("verdict") == "undecided"))
    if open_gaps.is_empty() or study.tuning_seeds or answered.experiment == "adhoc":
        return None
    n = min(open_gaps["n_now"])
    look = next((look for look in sorted(study.looks) if look > n), None)
    if look is None:
        return None
    reason = f"{len(open_gaps)} verdicts are undecided at n = {n}; the next declared look is at n = {look} seeds"
    known = again(_commands(answered.runs.filter("main")), answered.experiment, outputs)
    return Next(reason, tuple(dict.fromkeys(with_seeds(command, look) for command in known)))


def _commands(runs: pl.DataFrame) -> list[str | None]:
    return runs["command"].unique(maintain_order=True).to_list() if "command" in runs.columns else [None]


def alike(made: pl.DataFrame) -> tuple[dict[str, str], pl.DataFrame]:
    """What all rows of `origins` share, by name; and the rows with what remains."""
    shown = made.with_columns(commit=pl.col("commit").str.replace_all("([0-9a-f]{12})[0-9a-f]+", "$1"))
    common = {name: shown[name][0] for name in ("commit", "versions", "hardware") if shown[name].n_unique() == 1}
    shown = shown.drop(common)
    if "versions" in shown.columns:
        lists = [row.split(", ") for row in shown["versions"]]
        equal = [part for part in lists[0] if all(part in other for other in lists)]
        common |= {"versions": ", ".join(equal)} if equal else {}
        rest = [", ".join(part for part in row if part not in equal) for row in lists]
        shown = shown.with_columns(versions=pl.Series(rest, dtype=pl.String))
    return common, shown
