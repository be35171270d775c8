"""The processes of one run on this machine: one per rank, started together, ended together."""

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from reslab.launch import server
from reslab.launch.nodes import Node
from reslab.runs.folder import RunFolder, read_json
from reslab.runs.record import last_line

GRACE = 0.5  # seconds that a rank gets to close its files when it is told to end
LOST = 255  # what multiprocessing says of a process whose fork server is gone
CLOSING = 30.0  # seconds that ranks may outlive the result


@dataclass(frozen=True)
class Place:
    """Which rank of how many a process is, and how they meet; one rank meets nobody."""

    rank: int = 0
    local: int = 0
    size: int = 1
    meeting_point: str = ""
    backend: str = "gloo"
    run: str = ""
    """Cell and seed as this node composed them; all ranks must have been asked for the same."""


Work = Callable[[str, Place], None]


class Ranks:
    """Started by the constructor; ask `over` again and again, whatever happens it becomes true."""

    def __init__(
        self,
        folder: RunFolder,
        config: Mapping[str, Any],
        *,
        work: Work,
        threads: int,
        environment: Mapping[str, str],
        node: Node,
    ) -> None:
        """`work` runs in each process with the folder's path and its place. RuntimeError or OSError: none is left."""
        self._folder, self._node, self._patience = folder, node, config["trainer"]["heartbeat_timeout"]
        here = config["devices"]
        self._size = size = here * config["num_nodes"]
        self._meeting = tempfile.mkdtemp(prefix="reslab-ranks-") if size > 1 and not node.meeting_point else ""
        run = f"{config['run']['cell']} seed={config['seed']}"
        backend = "nccl" if config["trainer"]["accelerator"] == "gpu" else "gloo"
        meeting_point = node.meeting_point or f"file://{self._meeting}/store"
        self._processes: list[BaseProcess] = []
        self._first: int | None = None
        self._silent, self._ended_at, self._followed = "", 0.0, False
        self._beat: tuple[object, float] = (None, time.monotonic())
        try:
            for local in range(here):
                meets = meeting_point if size > 1 else ""
                place = Place(node.number * here + local, local, size, meets, backend, run)
                self._processes.append(
                    server.start(
                        work,
                        (str(folder.path), place),
                        log=folder.log_of(place.rank),
                        environment={**environment, **(_lightning(place, node) if size > 1 else {})},
                        threads=threads,
                    )
                )
        except BaseException:
            self.stop()
            raise

    @property
    def sentinels(self) -> list[Any]:
        """To wait on: ready when a process ends."""
        return [process.sentinel for process in self._processes if process.is_alive()]

    def over(self) -> bool:
        """Whether all have ended; where one ended before there is a result, or none stirs, the others are ended now."""
        dead = [at for at, process in enumerate(self._processes) if not process.is_alive()]
        if len(dead) < len(self._processes):
            if not dead:
                self._listen()
            if dead and self._first is None:
                self._first, self._ended_at = dead[0], time.monotonic()
            done = read_json(self._folder.result) is not None
            closing = done and time.monotonic() - self._ended_at < CLOSING
            if self._silent or (dead and not closing):
                self.stop()
                return True
            return False
        self._first = dead[0] if self._first is None else self._first
        self.stop()
        return True

    @property
    def reason(self) -> str:
        """Why there is no result: the rank that ended first, how, and its last words."""
        if self._silent:
            return self._silent
        first = self._first or 0
        code, rank = self._processes[first].exitcode, self._node.number * len(self._processes) + first
        who = f"rank {rank} was " if self._size > 1 else ""
        if code is not None and code < 0:
            return f"{who}killed by signal {-code} ({_name(-code)})"
        if code == LOST:
            return f"{who}lost with its fork server, which was killed (by the system, if memory was short)"
        who = who.replace(" was ", " ")
        words = last_line(self._folder.log_of(rank)) if code else ""
        said = f": {words}" if self._size > 1 and words else ""
        elsewhere = "; the cause may be on another node: see the logs of its ranks" if self._node.meeting_point else ""
        return f"{who}ended with exit code {code} without a result{said}{elsewhere}"

    def end(self) -> None:
        """Ask those that still run to end."""
        for process in self._processes:
            if process.is_alive():
                process.terminate()

    def stop(self) -> None:
        """End what still runs: a word first, then force."""
        self.end()
        deadline = time.monotonic() + (GRACE if self._size > 1 else 5)
        for process in self._processes:
            process.join(timeout=max(deadline - time.monotonic(), 0))
            if process.is_alive():
                process.kill()
                process.join(timeout=CLOSING)  # one that hangs in the kernel must not hold up the others
        if self._meeting:
            shutil.rmtree(self._meeting, ignore_errors=True)

    def _listen(self) -> None:
        """Notice a run that stands still; its ranks write where they stand into their logs first."""
        if self._node.number > 0:
            self._follow()
            return
        beat = (read_json(self._folder.status) or {}).get("heartbeat")
        if beat != self._beat[0]:  # compared with what it was, not with a clock: clocks are moved
            self._beat = (beat, time.monotonic())
        if time.monotonic() - self._beat[1] < self._patience:
            return
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError, TypeError):
                server.ask_where(process)
        time.sleep(GRACE)
        logs = ", ".join(self._folder.log_of(rank).name for rank in range(len(self._processes)))
        self._silent = (
            f"no sign of life for {self._patience} s (trainer.heartbeat_timeout); where it stood: see {logs} in "
            f"{self._folder.path}"
        )

    def _follow(self) -> None:
        """Rank 0 is elsewhere and tells its own parent; its records say when nobody is left to wait for."""
        works = (read_json(self._folder.status) or {}).get("state") == "running"
        if works and read_json(self._folder.result) is None:
            self._followed, self._ended_at = True, 0.0
        elif self._followed:  # else it is what an earlier attempt left
            self._ended_at = self._ended_at or time.monotonic()
            if time.monotonic() - self._ended_at > CLOSING:
                self._silent = "the first node has ended the run"


def _lightning(place: Place, node: Node) -> dict[str, str]:
    """What Lightning's own environment reads; gloo looks up the host's name unless it is told an interface."""
    words = {"LOCAL_RANK": str(place.local), "NODE_RANK": str(node.number), "WORLD_SIZE": str(place.size)}
    words |= {"RANK": str(place.rank)}
    if not node.meeting_point and Path("/sys/class/net/lo").exists():
        words["GLOO_SOCKET_IFNAME"] = "lo"
    return words


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return "no name"
