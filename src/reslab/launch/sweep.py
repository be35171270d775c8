"""A sweep: what was asked for, what of it is left to do, what became of it."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from reslab.analysis.study import Study, declare, study_file
from reslab.launch import server
from reslab.launch.console import Console
from reslab.launch.engines import Engine
from reslab.launch.freeze import Job
from reslab.launch.nodes import only_lends
from reslab.launch.prepare import prepare_data
from reslab.runs.folder import RunFolder
from reslab.runs.plan import add_to_plan, plan_file, read_plan
from reslab.runs.status import state


@dataclass
class Sweep:
    """The state that outlives Hydra: what was asked for and what became of it."""

    plan_only: bool = False
    console: Console = field(default_factory=Console)
    jobs: dict[tuple[str, int], Job] = field(default_factory=dict)
    outcomes: dict[tuple[str, int], str] = field(default_factory=dict)
    sampled: Path | None = None
    """Where a sweeper such as Optuna leaves what it found, until the command ends."""

    def run(self, jobs: list[Job], engine: Engine) -> None:
        """Plan, skip what is done, let the engine run the rest. ValueError, before any work, where it cannot."""
        unique = {(job.cell, job.seed): job for job in jobs}
        engine.check(list(unique.values()))
        if self.plan_only:
            self.jobs |= unique
            return
        states = {key: state(job.folder) for key, job in unique.items()}
        left = (
            ("ended", "other schema")
            if only_lends(jobs[0].config["num_nodes"])
            else ("ended", "running", "other schema")
        )
        pending = [job for key, job in unique.items() if states[key] not in left]
        for said in write_plan(list(unique.values())):
            self.console.out.print(f"note: {said}", markup=False)
        self.console.header(list(unique.values()), pending)
        outcomes = {key: "elsewhere" if found == "running" else found for key, found in states.items()}
        outcomes |= {(job.cell, job.seed): "not started" for job in pending}
        try:
            if pending:
                server.warm()
                prepare(pending)
        except Exception:
            unique, outcomes = {}, {}  # as for bad data: an error, and nothing that the same command could go on with
            raise
        finally:  # who stops it at this point is told what is left
            self.jobs |= unique
            self.outcomes |= outcomes
        if pending:
            engine.run(pending, self.console, self.outcomes)

    def count(self, *outcomes: str) -> int:
        """How many jobs came to one of these outcomes."""
        return sum(outcome in outcomes for outcome in self.outcomes.values())


def write_plan(jobs: list[Job]) -> list[str]:
    """The declaration, then one line per run, before the first one starts; returns what the user should know.

    ValueError where outputs cannot be written.
    """
    outputs, experiment = Path(jobs[0].config["outputs"]), jobs[0].config["run"]["experiment"]
    path = plan_file(outputs, experiment)
    undeclared = path.is_file() and not study_file(outputs, experiment).exists()
    entries = read_plan(path) if undeclared else []
    ended = sum(state(RunFolder(outputs / entry["folder"])) == "ended" for entry in entries)
    asked = replace(Study.of(jobs[0].config["study"]), ended=ended)
    try:
        standing = declare(outputs, experiment, asked)
        add_to_plan(path, [job.entry() for job in jobs])
    except OSError as error:
        raise ValueError(
            f"outputs={outputs} cannot be written ({error.strerror}); use outputs=FOLDER with another folder"
        ) from error
    differing = [name for name in jobs[0].config["study"] if getattr(asked, name) != getattr(standing, name)]
    if not differing:
        return []
    return [
        f"study.{', study.'.join(differing)}: not what {experiment} declared before its first run; the declaration in "
        f"{study_file(outputs, experiment)} holds"
    ]


def prepare(jobs: list[Job]) -> None:
    """Decode and check each data set once, in a process of its own; ValueError with its complaint."""
    different = {json.dumps(job.config["data"], sort_keys=True, default=str): job.config for job in jobs}
    for config in different.values():
        problem = prepare_data(config)
        if problem:
            raise ValueError(problem)
