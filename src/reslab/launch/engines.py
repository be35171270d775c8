"""What runs the pending jobs of a sweep: this machine, a cluster, or another launcher of Hydra's."""

from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

from omegaconf import DictConfig, OmegaConf

from reslab.launch.compose import did_you_mean
from reslab.launch.console import Console
from reslab.launch.freeze import Job
from reslab.launch.nodes import this_node
from reslab.launch.pool import Pool
from reslab.launch.sharing import slots_of

Outcomes = dict[tuple[str, int], str]


@runtime_checkable
class Engine(Protocol):
    """Runs jobs that were checked and frozen; records are the same whichever it is."""

    @property
    def gpus(self) -> int | None:
        """GPUs that each run gets; None: whatever this machine has."""
        ...

    def check(self, jobs: list[Job]) -> None:
        """ValueError, before any work, where these jobs could not be run."""
        ...

    def run(self, pending: list[Job], console: Console, outcomes: Outcomes) -> None:
        """Run them all, tell the console of each, and leave what became of each in `outcomes`, even if interrupted."""
        ...


@dataclass(frozen=True)
class Local:
    """This machine, as many runs at a time as it has cores or GPUs."""

    @property
    def gpus(self) -> int | None:
        """Whatever this machine has."""
        return None

    def check(self, jobs: list[Job]) -> None:
        """ValueError for jobs and devices that the machine does not have, and for a sweep over several nodes."""
        slots_of(jobs, len(jobs))
        nodes = jobs[0].config["num_nodes"]
        if nodes > 1 and len(jobs) > 1:
            raise ValueError(
                f"num_nodes={nodes} with {len(jobs)} runs: on this launcher a run over several machines is one command "
                "on each of them; start one per run, or use launcher=slurm"
            )
        this_node(nodes)

    def run(self, pending: list[Job], console: Console, outcomes: Outcomes) -> None:
        """Side by side, each in processes of its own."""
        node = this_node(pending[0].config["num_nodes"])
        pool = Pool(pending, slots_of(pending, len(pending)), console, outcomes, node=node)
        if node.number == 0:
            pool.run()
            return
        console.begin(pending)
        outcome, reason, seconds = pool.lend(pending[0])
        outcomes[pending[0].cell, pending[0].seed] = outcome
        console.finished(pending[0], outcome, reason, seconds)
        console.end()


def made(kind: type[Any], preset: DictConfig) -> Any:
    """An engine with the settings of its preset; ValueError for one that it does not have, or that is missing."""
    plain: Any = OmegaConf.to_container(preset, resolve=True)
    settings = {name: value for name, value in plain.items() if name != "_target_"}
    known = [field.name for field in fields(kind)]
    for name in settings:
        if name not in known:
            raise ValueError(f"unknown key 'hydra.launcher.{name}'{did_you_mean(name, dict.fromkeys(known))}")
    missing = [name for name in known if name not in settings]
    if missing:
        raise ValueError(f"hydra.launcher lacks {', '.join(missing)}; begin with launcher=slurm or launcher=ray")
    return kind(**settings)


def whole_gpus(launcher: str, jobs: list[Job]) -> None:
    """ValueError where runs are to share GPUs, of which a cluster lends each run its own."""
    shared = max(job.config["runs_per_gpu"] for job in jobs)
    if shared > 1:
        raise ValueError(
            f"launcher={launcher}: runs_per_gpu={shared} is not possible there, a cluster lends each run whole GPUs; "
            f"use runs_per_gpu=1, or reslab train without launcher={launcher} on the machine that has the GPU"
        )


def enough_gpus(each: int, jobs: list[Job]) -> None:
    """ValueError where a run that trains on GPUs would not get one per rank."""
    most = max((job.config["devices"] for job in jobs if job.config["trainer"]["accelerator"] == "gpu"), default=0)
    if most > each:
        raise ValueError(
            f"hydra.launcher.gpus_per_run={each} is too few for devices={most}; use hydra.launcher.gpus_per_run={most}"
        )
