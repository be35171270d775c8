"""One run in this process's own workers: what clusters and other launchers call."""

from collections.abc import Sequence
from dataclasses import dataclass

from reslab.launch.freeze import Job
from reslab.launch.nodes import this_node
from reslab.launch.pool import Pool


@dataclass
class Silent:
    """A listener that only remembers how the last run ended."""

    reason: str = ""
    seconds: float = 0.0

    def begin(self, pending: Sequence[Job]) -> None:
        """Nothing is said."""

    def progress(self, running: Sequence[Job]) -> None:
        """Nothing is said."""

    def waiting(self, job: Job) -> None:
        """Nothing is said."""

    def finished(self, job: Job, outcome: str, reason: str, seconds: float) -> None:
        """Keep it."""
        self.reason, self.seconds = reason, seconds

    def end(self) -> None:
        """Nothing is said."""


def run_one(job: Job, cores: int | None = None) -> tuple[str, str, float]:
    """Run a job in this process's own workers, without a word; returns outcome, reason and seconds.

    `cores` is what a cluster gave to this run; where it has several nodes, all but the first only lend their ranks.
    """
    said = Silent()
    outcomes: dict[tuple[str, int], str] = {}
    node = this_node(job.config["num_nodes"])
    pool = Pool([job], 1, said, outcomes, node=node, cores=cores)
    if node.number > 0:
        return pool.lend(job)
    pool.run()
    return outcomes[job.cell, job.seed], said.reason, said.seconds
