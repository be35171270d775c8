"""Two network namespaces as two machines: one command on each, by hand and by torchrun."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from reslab.launch import nodes, server
from reslab.runs.folder import read_json
from reslab.runs.record import read_rows
from settings import SMALL

PLACES = ("NODE_RANK", "GROUP_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")
PLACES += ("SLURM_NODEID", "SLURM_LOCALID", "SLURM_JOB_ID", "SLURM_JOB_NODELIST")
WORDS = ("trainer=ddp", *SMALL)


@pytest.fixture(scope="module")
def hosts():
    """Two namespaces joined by one cable, each with an address; skipped where they cannot be made."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("needs root and iproute2")
    mark = uuid.uuid4().hex[:6]
    names = [f"reslab-{mark}-{at}" for at in (0, 1)]
    cables = [f"rl{mark}{at}" for at in (0, 1)]

    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
        for at, name in enumerate(names):
            ip("link", "set", cables[at], "netns", name)
            ip("-n", name, "addr", "add", f"10.123.45.{at + 1}/24", "dev", cables[at])
            for device in ("lo", cables[at]):
                ip("-n", name, "link", "set", device, "up")
        yield list(zip(names, cables, strict=True))
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


started = []


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    while started:
        process = started.pop()
        process.kill()
        process.communicate()


def start(host, folder, command, **environment):
    name, cable = host
    given = {k: v for k, v in os.environ.items() if k != "RESLAB_PARENT"}
    given |= {"GLOO_SOCKET_IFNAME": cable, "OMP_NUM_THREADS": "1", **environment}
    process = subprocess.Popen(
        ["ip", "netns", "exec", name, *command], cwd=folder, env=given, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    started.append(process)
    return process


def ended(processes):
    """Exit codes and output."""
    said = [process.communicate(timeout=120)[0] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


def by_hand(node):
    return [sys.executable, "-m", "reslab", "train"], {
        "NODE_RANK": str(node), "MASTER_ADDR": "10.123.45.1", "MASTER_PORT": "29611",
    }  # fmt: skip


def by_torchrun(node):
    words = ("--nnodes=2", "--nproc-per-node=1", f"--node-rank={node}", "--master-addr=10.123.45.1")
    return [sys.executable, "-m", "torch.distributed.run", *words, "--master-port=29613", "-m", "reslab", "train"], {}


def both(hosts, folder, way, *overrides, second=()):
    """One command on each host; `second` is for the second one alone."""
    made = []
    for node, host in enumerate(hosts):
        command, environment = way(node)
        words = [*command, "num_nodes=2", *WORDS, *overrides, *(second if node else ())]
        made.append(start(host, folder, words, **environment))
    return made


def record(folder):
    (path,) = (folder / "outputs" / "runs").glob("*/seed=0")
    rows = [{k: v for k, v in row.items() if k != "attempt"} for row in read_rows(path / "metrics.jsonl")]
    return path, read_json(path / "result.json"), rows


@pytest.fixture(scope="module")
def at_home(tmp_path_factory):
    """The same two ranks on one machine."""
    folder = tmp_path_factory.mktemp("home")
    done = subprocess.run([sys.executable, "-m", "reslab", "train", "devices=2", *WORDS], cwd=folder, check=False)
    assert done.returncode == 0
    return record(folder)


@pytest.mark.real("two hosts (network namespaces)")
@pytest.mark.parametrize("way", [by_hand, by_torchrun])
def test_two_hosts_give_the_run_of_one(hosts, at_home, tmp_path, way):
    for code, text in ended(both(hosts, tmp_path, way)):
        assert code == 0, text
    path, result, rows = record(tmp_path)
    _, expected, expected_rows = at_home
    assert result["hardware"]["ranks"] == 2
    assert (result["cell"], result["weights"]) == (expected["cell"], expected["weights"])
    assert rows == expected_rows
    assert (path / "rank1.log").exists()


@pytest.mark.real("two hosts (network namespaces)")
def test_hosts_that_were_told_different_things_do_not_train(hosts, tmp_path):
    said = ended(both(hosts, tmp_path, by_hand, second=["recipe.lr=0.2"]))
    assert [code for code, _ in said] == [1, 1]
    assert "rank 1 has another run than rank 0" in said[0][1]
    assert all(read_json(path)["outcome"] == "failed" for path in Path(tmp_path).glob("outputs/runs/*/*/result.json"))


@pytest.mark.real("two hosts (network namespaces)")
def test_a_host_that_dies_ends_the_run_on_the_other(hosts, tmp_path):
    first, second = both(hosts, tmp_path, by_hand, "recipe.steps=100000")
    while not list(tmp_path.glob("outputs/runs/*/seed=0/checkpoints/last.ckpt")):
        assert first.poll() is None
        time.sleep(0.05)
    second.kill()
    ((code, said),) = ended([first])
    assert code == 1
    assert "rank 0 ended with exit code 1 without a result" in said


@pytest.mark.parametrize(
    ("environment", "node"),
    [
        ({"NODE_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "5"}, nodes.Node(1, "tcp://a:5")),
        ({"GROUP_RANK": "0", "MASTER_ADDR": "a", "MASTER_PORT": "5", "TORCHELASTIC_RUN_ID": "x"}, nodes.Node(0, "tcp://a:6")),
        ({"SLURM_NODEID": "1", "MASTER_ADDR": "b"}, nodes.Node(1, "tcp://b:29500")),
        ({"SLURM_NODEID": "1", "MASTER_ADDR": "b", "SLURM_JOB_ID": "4711"}, nodes.Node(1, "tcp://b:24711")),
    ],
)  # fmt: skip
def test_where_a_node_stands_is_read_from_who_started_it(monkeypatch, environment, node):
    monkeypatch.setattr(server, "inherited", {})
    for name in PLACES:
        monkeypatch.delenv(name, raising=False)
    assert nodes.this_node(1) == nodes.HERE
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert nodes.this_node(1) == nodes.HERE
    assert nodes.this_node(2) == node
    assert nodes.only_lends(2) == (node.number > 0)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "nothing says which node this is"),
        ({"NODE_RANK": "0"}, "nothing says where rank 0 is"),
        ({"NODE_RANK": "2", "MASTER_ADDR": "a"}, "this is node 2, but num_nodes=2 numbers them 0 to 1"),
        ({"SLURM_NODEID": "0", "SLURM_LOCALID": "1", "MASTER_ADDR": "a"}, "several tasks were started on this node"),
        ({"GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "a"}, "several tasks were started on this node"),
    ],
)
def test_a_node_that_does_not_know_where_it_stands_does_not_start(monkeypatch, environment, words):
    monkeypatch.setattr(server, "inherited", {})
    for name in PLACES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words):
        nodes.this_node(2)
