"""The clusters, each started once for the tests that need it, and the records of a sweep on this machine."""

import sys

import pytest

from cluster.raycluster import RayCluster
from cluster.slurm import Slurm, missing
from cluster.sweeps import GRID, records


def running(cluster):
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def slurm():
    lacking = missing()
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    yield from running(Slurm())


@pytest.fixture(scope="session")
def ray_cluster():
    pytest.importorskip("ray")
    yield from running(RayCluster())


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """What the launcher `local` wrote."""
    from reslab.commands.train import main

    folder = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["reslab"])
        assert main(["-m", *GRID]) == 0
    return records(folder / "outputs")
