"""What can happen to W&B: the runs do not notice, and nothing is left waiting for it."""

import pytest

from faults.scene import PATIENCE
from tracking.wandb_server import KEY, Server

LIMITS = {"init_timeout": 3, "finish_timeout": 4}  # seconds
ONLINE = ["tracking=wandb", "tracking.mode=online", *(f"tracking.{name}={value}" for name, value in LIMITS.items())]
pytestmark = pytest.mark.real("W&B online, against a server on 127.0.0.1")


@pytest.fixture
def wandb():
    server = Server()
    yield server
    server.delay = 0
    server.down()


def start(scene, wandb):
    folders = {f"WANDB_{name}_DIR": str(scene.folder / f"wandb-{name.lower()}") for name in ("CONFIG", "CACHE", "DATA")}
    return scene.start(*ONLINE, WANDB_BASE_URL=wandb.url, WANDB_API_KEY=KEY, WANDB_MODE="online", **folders)


def ends_well(scene, process):
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert scene.attempts() == {0: 1, 1: 1}


@pytest.mark.fault("W&B unreachable at start", outcome="run kept offline and unchanged, within the limits")
def test_down(scene, undisturbed, wandb):
    wandb.down()
    ends_well(scene, start(scene, wandb))
    assert "W&B could not start online" in scene.folder_of(0).log.read_text()
    assert len(list(scene.outputs.glob("wandb/offline-run-*/*.wandb"))) == 2
    scene.completes(undisturbed)


@pytest.mark.fault("W&B lost in the middle", outcome="run unchanged, within the limits")
def test_lost(scene, undisturbed, wandb):
    scene.strike(scene.hold(8, seed=0), scene.hold(8, seed=1))
    process = start(scene, wandb)
    scene.held(0, 1)
    wandb.down()
    scene.release(0, 1)
    ends_well(scene, process)
    assert {run.state for run in wandb.runs.values()} == {"running"}, "it knows of no end"
    scene.completes(undisturbed)


@pytest.mark.fault("W&B slow: each answer takes half a second", outcome="run unchanged, every row there")
def test_slow(scene, undisturbed, wandb):
    wandb.delay = 0.5
    ends_well(scene, start(scene, wandb))
    assert sorted(len(run.history) for run in wandb.runs.values()) == [len(scene.rows(0))] * 2
    scene.completes(undisturbed)
