"""One run in this process's own workers: what clusters and other launchers call."""

from collections.abc import Sequence

from reslab.launch.freeze import Job
from reslab.launch.nodes import this_node
from reslab.launch.pool import Pool


class Silent:
    """A listener that says nothing."""

    def begin(self, pending: Sequence[Job]) -> None:
        """Nothing is said."""

    def progress(self, running: Sequence[Job]) -> None:
        """Nothing is said."""

    def waiting(self, job: Job) -> None:
        """Nothing is said."""

    def finished(self, job: Job, outcome: str, reason: str, seconds: float) -> None:
        """Nothing is said."""

    def end(self) -> None:
        """Nothing is said."""


def run_one(job: Job, cores: int | None = None) -> None:
    """Run a job in this process's own workers, without a word; its folder says what became of it.

    `cores` is what a cluster gave to this run; where it has several nodes, all but the first only lend their ranks.
    """
    node = this_node(job.config["num_nodes"])
    pool = Pool([job], 1, Silent(), {}, node=node, cores=cores)
    if node.number > 0:
        pool.lend(job)
    else:
        pool.run()
