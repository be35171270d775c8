"""Non-interference: a run trains to the same bits whether it is measured or not."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from reslab.launch.begin import begin
from reslab.launch.compose import compose
from reslab.launch.freeze import Freezer
from reslab.launch.ranks import Place
from reslab.launch.verify.fact import ABOVE, EXACT, Fact
from reslab.launch.worker import Run
from reslab.runs.reading import read_config
from reslab.runs.readings import read_readings
from reslab.training.weights import read_checkpoint

STEPS = 20
SMALL = ("depth=14", "width=8", f"recipe.steps={STEPS}", "tracking=disabled", "trainer=cpu", "evaluation.points=1")


def facts() -> Iterator[Fact]:
    """Whole runs on digits, with everything that a run does beside training."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # no list of hardware between our lines
    for shortcut in ("none", "identity"):
        with tempfile.TemporaryDirectory(prefix="reslab-verify-") as folder:
            off, _ = _trained(Path(folder) / "off", shortcut, "off")
            full, rows = _trained(Path(folder) / "full", shortcut, "full")
        net = "plain-14" if shortcut == "none" else "ResNet-14-A"
        differ = off.keys() ^ full.keys() | {
            key for key in off.keys() & full.keys() if not torch.equal(off[key], full[key])
        }
        law = f"{net} after {STEPS} steps: tensors that differ with all probes on"
        yield Fact(law, "non-interference", 0, len(differ), EXACT)
        yield Fact(f"{net}: readings of those probes", "non-interference", 0, rows, ABOVE)


def _trained(outputs: Path, shortcut: str, probes: str) -> tuple[dict[str, Tensor], int]:
    """Final weights and statistics, and how many readings the run has kept."""
    words = (*SMALL, f"shortcut={shortcut}", f"probes={probes}", f"outputs={outputs}")
    job = Freezer(command="reslab verify").job(*compose("train", words), words)
    begin(job, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice is for whoever trains
        Run(job.folder, read_config(job.folder.config), Place()).execute()
    return read_checkpoint(job.folder.checkpoints / "last.ckpt")["state_dict"], len(read_readings(job.folder))
