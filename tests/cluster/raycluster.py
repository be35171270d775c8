"""A real Ray cluster of two nodes, 127.0.0.2 and 127.0.0.3, below one short folder, with a token of its own."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster.slurm import alive, free_ports, wait_for

CPUS = 2  # of each node


class RayCluster:
    """Started by `start`; clients need `environment` and `address`."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.folder = Path(tempfile.mkdtemp(prefix="ray"))
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        self.environment = os.environ | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._ports = free_ports(1)
        self.address = f"127.0.0.2:{self._ports[0]}"

    def start(self) -> None:
        """The head, then the other node."""
        head = ("--head", "--node-ip-address=127.0.0.2", f"--port={self._ports[0]}", f"--temp-dir={self.folder}")
        self._node(*head, "--include-dashboard=false", node="head")
        self.add()

    def add(self) -> None:
        """The node on 127.0.0.3."""
        self._node(f"--address={self.address}", "--node-ip-address=127.0.0.3", node="other")

    def kill(self) -> None:
        """The other node vanishes: its raylet, and all that it started."""
        raylets = [pid for pid in self._own() if words(pid)[0].endswith("/raylet")]
        (raylet,) = [pid for pid in raylets if "--node_ip_address=127.0.0.3" in words(pid)]
        family = tree(raylet)
        for pid in family:
            with_signal(pid, signal.SIGKILL)
        wait_for(lambda: not any(map(alive, family)))

    def stop(self) -> None:
        """Only the processes of this cluster: their command lines name its folder or its head."""
        pids = sorted({pid for own in self._own() for pid in tree(own)})
        for pid in pids:
            with_signal(pid, signal.SIGTERM)
        try:
            wait_for(lambda: not any(map(alive, pids)), 5)
        except AssertionError:
            for pid in pids:
                with_signal(pid, signal.SIGKILL)
            wait_for(lambda: not any(map(alive, pids)))
        shutil.rmtree(self.folder, ignore_errors=True)

    def _own(self) -> list[int]:
        marks = (f"{self.folder}/session_", f"--address={self.address}", f"--gcs-address={self.address}")
        found = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
        return [pid for pid in found if any(mark in word for word in words(pid) for mark in marks)]

    def _node(self, *options: str, node: str) -> None:
        ray = str(Path(sys.executable).with_name("ray"))
        common = (f"--num-cpus={CPUS}", "--disable-usage-stats", "--object-store-memory=100000000", "--log-color=false")
        environment = self.environment | {"RESLAB_TEST_NODE": node}
        done = subprocess.run(
            [ray, "start", *options, *common], env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr


def words(pid: int) -> list[str]:
    """A process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for at in found:
        for path in Path(f"/proc/{at}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                continue
    return found


def with_signal(pid: int, number: int) -> None:
    """It may have ended by itself."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":  # to try it by hand: prints what a shell needs, until Ctrl-C
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    cluster = RayCluster()
    try:
        cluster.start()
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_USAGE_STATS_ENABLED"):
            print(f"export {name}={cluster.environment[name]}")
        print(f"ADDRESS={cluster.address}", flush=True)
        signal.pause()
    finally:
        cluster.stop()
