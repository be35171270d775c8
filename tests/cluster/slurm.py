"""A real SLURM on this machine: munged, slurmctld and two nodes with two partitions, all below one short folder."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue")
CONFIG = """
ClusterName=reslab
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
KillWait=5
InactiveLimit=0
SlurmctldTimeout=120
SlurmdTimeout=120
MessageTimeout=60
SlurmdParameters=config_overrides
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=16000
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[3]} CPUs=2 RealMemory=16000
PartitionName=low Nodes=ALL Default=YES MaxTime=60 State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=high Nodes=ALL MaxTime=60 State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing() -> list[str]:
    """Programs of SLURM that are not installed."""
    return [name for name in NEEDED if shutil.which(name) is None]


class Slurm:
    """Started by `start`; clients need `environment`."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.folder = Path(tempfile.mkdtemp(prefix="slurm"))
        self.folder.chmod(0o755)
        self.environment = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._brought_forward: set[str] = set()

    def start(self) -> None:
        """Until both nodes are idle."""
        host, user = socket.gethostname().partition(".")[0], run("id", "-un").strip()
        text = CONFIG.format(host=host, user=user, folder=self.folder, ports=free_ports(4))
        (self.folder / "slurm.conf").write_text(text)
        key = self.folder / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        for name in ("state", "node1", "node2"):
            (self.folder / name).mkdir()
        files = {"key-file": "key", "socket": "munge.sock", "pid-file": "munged.pid", "log-file": "munged.log"}
        files |= {"seed-file": "seed"}
        self.run("munged", *(f"--{option}={self.folder / name}" for option, name in files.items()), "--num-threads=2")
        self.run("slurmctld", "-c")
        for node in ("node1", "node2"):
            self.run("slurmd", "-N", node)
        wait_for(lambda: self.run("sinfo", "-h", "-N", "-p", "low", "-o", "%T").split() == ["idle", "idle"])

    def stop(self) -> None:
        """By pid files; whatever still runs as a job is cancelled first."""
        try:
            self.run("scancel", "--signal=KILL", "--name=", check=False)
            self.run("scancel", "-u", run("id", "-un").strip(), check=False)
            wait_for(lambda: not self.run("squeue", "-h", check=False), 60)
        finally:
            pids = [int(path.read_text()) for path in self.folder.glob("*.pid") if path.read_text().strip()]
            for pid in pids:
                if alive(pid):
                    os.kill(pid, signal.SIGTERM)
            try:
                wait_for(lambda: not any(map(alive, pids)), 30)
            except AssertionError:
                for pid in filter(alive, pids):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *words: str, check: bool = True) -> str:
        """What a client of this cluster prints."""
        return run(*words, environment=self.environment, check=check)

    def jobs(self, *states: str) -> list[str]:
        """Numbers of the jobs in these states."""
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-o", "%i %T").split("\n")
        pairs = [line.split() for line in lines if line]
        return [number for number, state in pairs if state in states]

    @contextlib.contextmanager
    def impatient(self) -> Iterator[None]:
        """Bring forward whatever is requeued meanwhile."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.5):
                self._bring_forward()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _bring_forward(self) -> None:
        """SLURM holds what was requeued for two minutes; a job that comes back within a second is refused, though."""
        held = self.run("squeue", "-h", "-r", "-t", "PD", "-o", "%A %r").split("\n")
        numbers = {line.split()[0] for line in held if "BeginTime" in line} - self._brought_forward
        for number in numbers:
            self.run("scontrol", "update", f"jobid={number}", "starttime=now+3")
        self._brought_forward |= numbers


def run(*words: str, environment: dict[str, str] | None = None, check: bool = True) -> str:
    """Standard output of a command."""
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 or not check, (words, done.stdout, done.stderr)
    return done.stdout


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def stat(pid: int) -> list[str]:
    """State, parent and so on of a process; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped does not."""
    return stat(pid)[:1] not in ([], ["Z"])


def gone(*pids: int) -> None:
    """Until none of them runs: a kill, and what the kernel does to the children, take a moment on a busy machine."""
    wait_for(lambda: not any(map(alive, pids)), 30.0)


def starter(pid: int) -> int:
    """The process that a cluster started for a run, of one of the run's processes: its fork server's parent."""
    return int(stat(int(stat(pid)[1]))[1])


def variables(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def wait_for(condition, seconds: float = 180.0):
    """What the condition gives once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("waited in vain")


if __name__ == "__main__":  # to try it by hand: prints what a shell needs, until Ctrl-C
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    cluster = Slurm()
    try:
        cluster.start()
        print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}", flush=True)
        signal.pause()
    finally:
        cluster.stop()
