"""What other programs have left in the environment."""

import json

import pytest

from faults.inject import Fault
from faults.scene import PATIENCE

STALE = {
    "torchrun, Lightning and W&B": {
        **{"LOCAL_RANK": "7", "RANK": "7", "WORLD_SIZE": "8", "GROUP_RANK": "3", "LOCAL_WORLD_SIZE": "8"},
        **{"NODE_RANK": "3", "MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "1", "TORCHELASTIC_RUN_ID": "stale"},
        **{"PL_GLOBAL_SEED": "7", "WANDB_RUN_ID": "stale", "WANDB_RESUME": "must", "WANDB_NAME": "stale"},
        **{"WANDB_RUN_GROUP": "stale", "WANDB_SERVICE": "2-1-tcp-localhost-1"},
    },
    "SLURM, LSF and Kubernetes": {
        **{"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "stale", "SLURM_NTASKS": "2", "SLURM_PROCID": "1"},
        **{"SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_JOB_NODELIST": "stale", "SLURM_NTASKS_PER_NODE": "2"},
        **{"LSB_JOBID": "1", "LSB_DJOB_RANKFILE": "stale", "JSM_NAMESPACE_SIZE": "2", "RANK": "7", "WORLD_SIZE": "8"},
        **{"KUBERNETES_PORT": "tcp://192.0.2.1:443", "MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "1"},
    },
}


@pytest.mark.parametrize(
    "whose",
    [
        pytest.param(whose, marks=pytest.mark.fault(f"stale variables of {whose}", outcome="not noticed"))
        for whose in STALE
    ],
)
def test_stale_environment(pair, undisturbed_pair, whose):
    """Runs of two ranks, whose own variables have the same names."""
    pair.strike(Fault("note_environment", 8, rank=1, flag=str(pair.folder / "environment")))
    process = pair.start("tracking=wandb", "tracking.mode=offline", **STALE[whose])
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    names = sorted(path.stem for path in pair.outputs.glob("wandb/offline-run-*/*.wandb"))
    cell = pair.entries()[0][1]["cell"][:12]
    assert names == [f"run-{cell}-s0-a1", f"run-{cell}-s1-a1"]
    seen = json.loads((pair.folder / "environment").read_text())
    kept = {name for name, value in STALE[whose].items() if seen.get(name) == value}
    assert {name.partition("_")[0] for name in kept} <= {"SLURM", "LSB", "JSM", "KUBERNETES"}  # the allocation's
    pair.completes(undisturbed_pair)
