"""Where an interrupted run goes on: what torch reads from its checkpoints, without torch."""

import os
import subprocess
import sys
import zipfile

import pytest
import pytorch_lightning as pl
import torch

from reslab.callbacks.checkpoint import replace, usable
from reslab.runs.folder import RunFolder
from reslab.runs.resuming import resumes_at

pytestmark = pytest.mark.filterwarnings("ignore:The `srun` command", "ignore::FutureWarning")  # Lightning's


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(1, 1)

    def training_step(self, batch):
        return self.net(batch[0]).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(9, 1)))


@pytest.fixture
def folder(tmp_path):
    """A run folder with checkpoints of steps 3 and 5, written as a run does."""
    made = RunFolder(tmp_path / "run")
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    for steps in (3, 5):
        trainer = pl.Trainer(max_steps=steps, default_root_dir=tmp_path, enable_checkpointing=False, **quiet)
        trainer.fit(Line())
        last, previous = made.checkpoints / "last.ckpt", made.checkpoints / "previous.ckpt"
        replace(last, lambda path, t=trainer: t.save_checkpoint(path, weights_only=False), keep=previous)
    return made


def read_by_torch(folder):
    found, _ = usable(folder.checkpoints)
    return torch.load(found, weights_only=True)["global_step"] if found else 0


def final(path):
    """Weights of a run that was killed before its result was written."""
    torch.save({"schema": 1, "state_dict": {"w": torch.zeros(3)}, "config": {}}, path)


def torn(path):
    path.write_bytes(path.read_bytes()[:-300])


@pytest.mark.parametrize(("spoil", "step"), [(lambda path: None, 5), (torn, 3), (final, 3), (lambda p: p.unlink(), 3)])
def test_it_is_the_step_that_torch_reads(folder, spoil, step):
    spoil(folder.checkpoints / "last.ckpt")
    assert resumes_at(folder) == read_by_torch(folder) == step


def test_without_a_checkpoint_it_begins_anew(folder):
    for path in folder.checkpoints.iterdir():
        path.write_bytes(b"nothing")
    assert resumes_at(folder) == read_by_torch(folder) == 0
    assert resumes_at(RunFolder(folder.path / "absent")) == 0


@pytest.mark.parametrize("step", [-1, True, None, "5", 2.0, 10**30])
def test_a_step_that_is_no_number_of_steps(folder, step):
    for path in folder.checkpoints.iterdir():
        torch.save({"global_step": step}, path)
    assert resumes_at(folder) == 0


def test_neither_a_pipe_nor_a_bomb_is_read(folder):
    last, previous = folder.checkpoints / "last.ckpt", folder.checkpoints / "previous.ckpt"
    last.unlink()
    os.mkfifo(last)
    with zipfile.ZipFile(previous, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"(" * 2**26)
    assert resumes_at(folder) == 0


def test_without_torch():
    code = "import sys, reslab.runs.resuming; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
