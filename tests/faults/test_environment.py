"""What other programs have left in the environment."""

import pytest

from faults.scene import PATIENCE

STALE = {
    "torchrun, Lightning and W&B": {
        **{"LOCAL_RANK": "1", "RANK": "1", "WORLD_SIZE": "2", "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "2"},
        **{"NODE_RANK": "1", "MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "1", "TORCHELASTIC_RUN_ID": "stale"},
        **{"PL_GLOBAL_SEED": "7", "WANDB_RUN_ID": "stale", "WANDB_RESUME": "must", "WANDB_NAME": "stale"},
        **{"WANDB_RUN_GROUP": "stale", "WANDB_SERVICE": "2-1-tcp-localhost-1"},
    },
    "SLURM, LSF and Kubernetes": {
        **{"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "stale", "SLURM_NTASKS": "1", "SLURM_PROCID": "1"},
        **{"SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_JOB_NODELIST": "stale", "SLURM_NTASKS_PER_NODE": "1"},
        **{"LSB_JOBID": "1", "LSB_DJOB_RANKFILE": "stale", "JSM_NAMESPACE_SIZE": "2", "RANK": "1", "WORLD_SIZE": "2"},
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
def test_stale_environment(scene, undisturbed, whose):
    process = scene.start("tracking=wandb", "tracking.mode=offline", **STALE[whose])
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    names = sorted(path.stem for path in scene.outputs.glob("wandb/offline-run-*/*.wandb"))
    cell = scene.entries()[0][1]["cell"][:12]
    assert names == [f"run-{cell}-s0-a1", f"run-{cell}-s1-a1"]
    scene.completes(undisturbed)
