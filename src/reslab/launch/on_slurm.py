"""Runs as SLURM jobs, one array per sweep; submitit writes the script and requeues what is preempted or out of time."""

import multiprocessing.resource_tracker
import os
import shutil
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reslab.launch import server
from reslab.launch.checks import whole
from reslab.launch.console import Console
from reslab.launch.elsewhere import Home, Ledger, run_at
from reslab.launch.engines import Outcomes, enough_gpus, whole_gpus
from reslab.launch.freeze import Job
from reslab.runs.plan import plan_file

ARRAY = 1000  # runs in one array; SLURM's own limit is 1001 unless the cluster raised it
LOOK, ASK = 1.0, 5.0  # seconds between looks at the folder, and between questions to SLURM
LIVE = (
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"),
    *("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD", "PREEMPTED"),
)
HERE = "leave launcher=slurm out to run here"
BLAMELESS = ("CANCELLED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE")  # the run itself did nothing wrong


@dataclass(frozen=True, kw_only=True)
class OnSlurm:
    """Settings are those of conf/launcher/slurm.yaml; `jobs` bounds how many run at a time."""

    partition: str | None
    gpus_per_run: int
    cpus_per_run: int
    memory_gb: int
    minutes: int
    timeouts: int
    warn_seconds: int
    setup: list[str]
    sbatch: dict[str, Any]

    @property
    def gpus(self) -> int | None:
        """Per run."""
        return self.gpus_per_run

    def check(self, jobs: list[Job]) -> None:
        """ValueError where a setting makes no sense, submitit or SLURM is missing, or the partition is unknown."""
        for name, least in {"gpus_per_run": 0, "cpus_per_run": 1, "memory_gb": 1, "minutes": 1, "timeouts": 0}.items():
            whole(f"hydra.launcher.{name}", getattr(self, name), least)
        whole("hydra.launcher.warn_seconds", self.warn_seconds, 1)
        whole_gpus("slurm", jobs)
        if find_spec("submitit") is None:
            raise ValueError("launcher=slurm needs submitit; use pip install 'reslab[slurm]'")
        if shutil.which("sbatch") is None:
            raise ValueError(f"launcher=slurm: no sbatch on the PATH; start it on a login node, or {HERE}")
        enough_gpus(self.gpus_per_run, jobs)
        if len({job.config["num_nodes"] for job in jobs}) > 1:
            raise ValueError("launcher=slurm: num_nodes cannot differ within one command; use one command for each")
        known = partitions()
        if self.partition is not None and self.partition not in known:
            raise ValueError(f"hydra.launcher.partition={self.partition} is unknown; SLURM has {', '.join(known)}")

    def run(self, pending: list[Job], console: Console, outcomes: Outcomes) -> None:
        """Submit all, then tell of each as it ends; Ctrl-C and SIGTERM cancel what is left."""
        experiment = pending[0].config["run"]["experiment"]
        folder = plan_file(Path(pending[0].config["outputs"]), experiment).with_name("slurm")
        name = f"reslab-{experiment}-{uuid.uuid4().hex[:8]}"
        ledger = Ledger(pending, console, outcomes)
        submitted: dict[str, Job] = {}
        try:
            for first in range(0, len(pending), ARRAY):
                submitted |= self._submit(pending[first : first + ARRAY], folder, name)
            watch(submitted, folder, name, ledger, console)
        finally:
            if ledger.left:
                cancel(name)
            ledger.end()

    def _submit(self, jobs: list[Job], folder: Path, name: str) -> dict[str, Job]:
        import submitit

        config = jobs[0].config
        executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=self.timeouts)
        executor.update_parameters(
            job_name=name,
            partition=self.partition,
            nodes=config["num_nodes"],
            ntasks_per_node=1,
            cpus_per_task=self.cpus_per_run,
            gpus_per_node=self.gpus_per_run or None,
            mem=f"{self.memory_gb}G",
            time=self.minutes,
            signal_delay_s=self.warn_seconds,
            array_parallelism=len(jobs) if config["jobs"] == "auto" else config["jobs"],
            setup=self.setup or None,
            # since 22.05 srun does not take this over from sbatch, and the run would get one core of them
            srun_args=[f"--cpus-per-task={self.cpus_per_run}"],
            stderr_to_stdout=True,
            additional_parameters=self.sbatch,
        )
        try:
            made = executor.map_array(OnNode(Home.here(), self.cpus_per_run), jobs)
        except submitit.core.utils.FailedJobError as error:
            raise ValueError(
                f"sbatch refused the sweep: {str(error).strip().removeprefix('sbatch: error: ')}"
            ) from error
        return {one.job_id: job for one, job in zip(made, jobs, strict=True)}


class OnNode:
    """What SLURM starts on a node, through submitit; after a requeue it is called again, and the run resumes."""

    def __init__(self, home: Home, cores: int) -> None:
        """`cores` are those of one run."""
        self._home, self._cores = home, cores

    def __call__(self, job: Job) -> None:
        """Run it."""
        multiprocessing.resource_tracker.ensure_running()  # it would let SIGTERM through again
        # SLURM sends SIGTERM to every process of a job that has to make way, often minutes before it must be gone:
        # the workers go on until then, since a job that ended by itself would not be requeued
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        server.warm()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        run_at(self._home, job, self._cores)

    def checkpoint(self, job: Job) -> Any:
        """Asked by submitit when the job has to make way: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


def watch(submitted: dict[str, Job], folder: Path, name: str, ledger: Ledger, console: Console) -> None:
    """Until all are over: they left submitit's file, or SLURM says twice that they are gone."""
    states: dict[str, str] | None = {}
    asked, gone = float("-inf"), dict.fromkeys(submitted, 0)
    while submitted:
        over = {file.removesuffix("_0_result.pkl") for file in os.listdir(folder)}
        asks = time.monotonic() - asked >= ASK
        if asks:
            states, asked = queue(name), time.monotonic()
        for number, job in list(submitted.items()):
            state = states.get(number, "GONE") if states is not None else "UNKNOWN"
            if asks:
                # a job is listed as failed for a moment before it is requeued
                gone[number] = 0 if states is None or state in LIVE else gone[number] + 1
            if number in over or gone[number] > 1:
                del submitted[number]
                why = f"SLURM job {number} left no result (state {state}); see {folder / number}_0_log.out"
                ledger.close(job, why, stopped=state.startswith(BLAMELESS))
        console.progress([job for number, job in submitted.items() if (states or {}).get(number) == "RUNNING"])
        time.sleep(LOOK)


def queue(name: str) -> dict[str, str] | None:
    """State of each job of this name that SLURM still remembers; None where it does not answer."""
    words = ("--noheader", "--array", "--states=all", f"--name={name}", "--format=%i|%T")
    done = subprocess.run(["squeue", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    return dict(line.strip().split("|") for line in done.stdout.splitlines() if "|" in line)


def cancel(name: str) -> None:
    """End all jobs of this name now, rather than after SLURM's usual half minute."""
    for words in (["--signal=KILL"], []):
        subprocess.run(["scancel", f"--name={name}", *words], capture_output=True, check=False)
    end = time.monotonic() + 30
    while time.monotonic() < end and any(state in LIVE for state in (queue(name) or {}).values()):
        time.sleep(LOOK)


def partitions() -> list[str]:
    """Names of the cluster's partitions; ValueError where SLURM does not answer."""
    try:
        done = subprocess.run(["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, check=False)
        said, code = done.stderr.strip().rpartition("\n")[2], done.returncode  # the last line is what ended it
    except OSError as error:
        said, code = str(error), 1
    if code != 0:
        raise ValueError(f"launcher=slurm: SLURM does not answer here ({said}); {HERE}")
    return sorted(set(done.stdout.split()))
