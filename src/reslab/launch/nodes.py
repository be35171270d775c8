"""Which machine of a run over several machines this is; torchrun or SLURM starts one command on each."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from reslab.launch import server


@dataclass(frozen=True)
class Node:
    """Number of this machine, and the tcp:// address where all ranks meet (empty: all are on this machine)."""

    number: int = 0
    meeting_point: str = ""


HERE = Node()


def this_node(num_nodes: int) -> Node:
    """From NODE_RANK, GROUP_RANK (torchrun) or SLURM_NODEID, and MASTER_ADDR and MASTER_PORT, or SLURM's list of nodes.

    ValueError where one of them is missing.
    """
    if num_nodes == 1:
        return HERE
    environment = {**os.environ, **server.inherited}
    number = _number(environment)
    address = environment.get("MASTER_ADDR") or _first_of(environment.get("SLURM_JOB_NODELIST", ""))
    if number is None or not address:
        raise ValueError(
            f"num_nodes={num_nodes}, but nothing says {'which node this is' if number is None else 'where rank 0 is'}; "
            "start one command per node with torchrun or srun, or set NODE_RANK, MASTER_ADDR and MASTER_PORT"
        )
    if number >= num_nodes:
        raise ValueError(f"this is node {number}, but num_nodes={num_nodes} numbers them 0 to {num_nodes - 1}")
    if environment.get("SLURM_LOCALID", "0") != "0" or environment.get("LOCAL_WORLD_SIZE", "1") != "1":
        raise ValueError(
            "several tasks were started on this node; start one (srun --ntasks-per-node=1, torchrun "
            "--nproc-per-node=1) with devices=N: reslab starts the ranks itself"
        )
    job = int(environment.get("SLURM_JOB_ID", "9500"))  # jobs may share a first node; 29500 without SLURM
    port = int(environment.get("MASTER_PORT") or 20_000 + job % 10_000)
    port += 1 if "TORCHELASTIC_RUN_ID" in environment else 0  # its own store listens on MASTER_PORT already
    return Node(number, f"tcp://{address}:{port}")


def only_lends(num_nodes: int) -> bool:
    """Whether this is a node that adds ranks to a run which the first node has begun."""
    return num_nodes > 1 and (_number({**os.environ, **server.inherited}) or 0) > 0


def _number(environment: Mapping[str, str]) -> int | None:
    names = ("NODE_RANK", "GROUP_RANK", "SLURM_NODEID")
    return next((int(environment[name]) for name in names if environment.get(name, "").isdigit()), None)


def _first_of(nodes: str) -> str:
    if not nodes:
        return ""
    try:
        done = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return (done.stdout.split() or [""])[0]
