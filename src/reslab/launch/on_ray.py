"""Runs as Ray tasks; Ray starts a run again elsewhere when its node is lost, and the run resumes by itself."""

import logging
import os
import signal
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from reslab.launch.checks import whole
from reslab.launch.console import Console
from reslab.launch.elsewhere import Home, Ledger, run_at
from reslab.launch.engines import Outcomes, enough_gpus, whole_gpus
from reslab.launch.freeze import Job


@dataclass(frozen=True, kw_only=True)
class OnRay:
    """Settings are those of conf/launcher/ray.yaml; `jobs` bounds how many run at a time."""

    address: str
    gpus_per_run: int
    cpus_per_run: int
    memory_gb: int | None
    retries: int

    @property
    def gpus(self) -> int | None:
        """Per run."""
        return self.gpus_per_run

    def check(self, jobs: list[Job]) -> None:
        """ValueError where a setting makes no sense, Ray is missing, or nothing listens at the address."""
        for name, least in {"gpus_per_run": 0, "cpus_per_run": 1, "retries": 0}.items():
            whole(f"hydra.launcher.{name}", getattr(self, name), least)
        if self.memory_gb is not None:
            whole("hydra.launcher.memory_gb", self.memory_gb, 1)
        whole_gpus("ray", jobs)
        if any(job.config["num_nodes"] > 1 for job in jobs):
            raise ValueError("launcher=ray: a run stays on one node there; use num_nodes=1 or launcher=slurm")
        if find_spec("ray") is None:
            raise ValueError("launcher=ray needs Ray; use pip install 'reslab[ray]'")
        enough_gpus(self.gpus_per_run, jobs)
        if self.address != "local":
            answers(self.address)

    def run(self, pending: list[Job], console: Console, outcomes: Outcomes) -> None:
        """Hand over all, then tell of each as it ends; Ctrl-C and SIGTERM end what is left."""
        import ray

        join(self.address)
        ledger = Ledger(pending, console, outcomes)
        left: dict[Any, Job] = {}
        try:
            self._fits(ray.nodes())
            task, home = ray.remote(**self._resources())(run_at), Home.here()
            most = len(pending) if pending[0].config["jobs"] == "auto" else pending[0].config["jobs"]
            waiting = list(pending)
            while waiting or left:
                while waiting and len(left) < most:
                    job = waiting.pop(0)
                    left[task.remote(home, job, self.cpus_per_run)] = job
                for reference in ray.wait(list(left), timeout=1.0)[0]:
                    ledger.close(left.pop(reference), why(reference))
                console.progress(ledger.running)
        finally:
            for reference in left:
                ray.cancel(reference, force=True)
            ray.shutdown()
            ledger.end()

    def _resources(self) -> dict[str, Any]:
        wanted: dict[str, Any] = {"num_cpus": self.cpus_per_run, "num_gpus": self.gpus_per_run}
        if self.memory_gb is not None:
            wanted["memory"] = self.memory_gb * 2**30
        return wanted | {"max_retries": self.retries, "scheduling_strategy": "SPREAD"}

    def _fits(self, nodes: list[dict[str, Any]]) -> None:
        """ValueError where Ray would wait for ever for a node that is large enough."""
        for name, kind, each in (
            ("cpus_per_run", "CPU", self.cpus_per_run),
            ("gpus_per_run", "GPU", self.gpus_per_run),
        ):
            largest = max((int(node["Resources"].get(kind, 0)) for node in nodes if node["Alive"]), default=0)
            if each > largest:
                raise ValueError(f"hydra.launcher.{name}={each}: the largest node of this Ray cluster has {largest}")


def answers(address: str) -> None:
    """ValueError where nothing listens there: Ray itself would try for half a minute."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise ValueError(
            f"hydra.launcher.address={address}: no Ray there ({error}); use the address that `ray start --head` gave, "
            "or hydra.launcher.address=local for one on this machine"
        ) from error


def join(address: str) -> None:
    """Become a driver of that cluster; ValueError with Ray's complaint."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RuntimeError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise ValueError(f"hydra.launcher.address={address}: Ray cannot be joined ({first})") from error
    finally:
        signal.signal(signal.SIGTERM, handler)  # ours ends with 143, Ray's with 15


def why(reference: Any) -> str:
    """Why a task may have left no result: its node was lost too often, its worker was killed, it raised."""
    import ray

    try:
        ray.get(reference)
    except Exception as error:
        return f"Ray: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return "its Ray task ended without a result"
