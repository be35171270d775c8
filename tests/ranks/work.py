"""What the rank processes of these tests do; each writes what it found to rank<n>.pt in the run's folder."""

import functools
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from reslab import world
from reslab.launch.nodes import HERE
from reslab.launch.ranks import Place, Ranks
from reslab.runs.folder import RunFolder, write_json
from settings import ROOT

SETTINGS = {
    "num_nodes": 1,
    "seed": 0,
    "run": {"cell": "abc"},
    "trainer": {"heartbeat_timeout": 120, "accelerator": "cpu"},
}


def together(folder, number, function, *words):
    """What `function(rank, size, *words)` gave on each of `number` ranks, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    run = RunFolder(folder)
    work = functools.partial(_enter, function, words)
    ranks = Ranks(run, SETTINGS | {"devices": number}, work=work, threads=1, environment={}, node=HERE)
    while not ranks.over():
        multiprocessing.connection.wait(ranks.sentinels, timeout=0.5)
    assert run.result.exists(), ranks.reason
    return [torch.load(folder / f"rank{at}.pt", weights_only=True) for at in range(number)]


def _enter(function, words, path: str, place: Place) -> None:
    try:
        if place.size > 1:
            world.join(rank=place.rank, size=place.size, meeting_point=place.meeting_point, backend=place.backend)
        torch.save(function(place.rank, place.size, *words), Path(path) / f"rank{place.rank}.pt")
        if place.rank == 0:
            write_json(RunFolder(Path(path)).result, {"outcome": "trained"})
        world.leave()
    except BaseException:
        traceback.print_exc()
        raise


def images(n, seed=0):
    """Any bytes, and labels of ten classes."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return pixels, torch.randint(0, 10, (n,), generator=generator)


def small_net():
    """Convolution, norm, classifier; always the same."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(180, 10))


def normed(rank, size):
    """A synchronised norm on this rank's share, its gradients and statistics."""
    from reslab.training.synchronised import synchronise

    norm = synchronise(nn.Sequential(nn.BatchNorm2d(3, momentum=0.3)))[0]
    return pass_through(norm, rank, size)


def pass_through(norm, rank, size):
    """Output, gradients and running statistics of a norm for one share of 12 images."""
    generator = torch.Generator().manual_seed(1)
    given = torch.randn(12, 3, 4, 4, generator=generator) * 3 + torch.tensor([100.0, 0.0, -5.0])[:, None, None]
    weights = torch.randn(12, 3, 4, 4, generator=generator)
    share = slice(rank * 12 // size, (rank + 1) * 12 // size)
    torch.nn.init.uniform_(norm.weight, 0.5, 2, generator=generator)
    entered = given[share].clone().requires_grad_()
    left = norm(entered)
    (left * weights[share]).sum().backward()
    found = {"output": left.detach(), "entered": entered.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    return found | {"mean": norm.running_mean, "var": norm.running_var}


def scored(rank, size):
    """The clean score of 103 images, in chunks of 10."""
    from contextlib import nullcontext

    from reslab.training.evaluate import evaluate, with_fresh_statistics

    pixels, labels = images(103)
    settings = {"normalise": lambda x: x.float() / 255, "batch": 10, "precision": nullcontext}
    net = small_net()
    fresh = with_fresh_statistics(net, pixels, **settings)
    return [tuple(evaluate(one, pixels, labels, **settings)) for one in (net, fresh)]


def asked(rank, size, differing):
    """What `must_agree` says on this rank."""
    try:
        world.must_agree("config", "b" if rank == differing else "a")
    except ValueError as error:
        return str(error)
    return ""


def earliest(rank, size, steps):
    """The first bad step of all ranks, from each one's own."""
    return int(world.earliest(torch.tensor(steps[rank])))


def broadcasts(rank, size, left_out):
    """How often Lightning's loop broadcast something by itself in 8 batches."""

    import pytorch_lightning as pl
    from pytorch_lightning.strategies import DDPStrategy
    from torch import distributed

    from reslab.callbacks.together import Together

    class Nothing(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def training_step(self, batch, index):
            return self.layer(batch).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    count, real = [0], distributed.broadcast

    def counted(*given, **named):
        count[0] += sys._getframe(1).f_code.co_filename.endswith("training_epoch_loop.py")
        return real(*given, **named)

    distributed.broadcast = counted

    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0")
    trainer = pl.Trainer(
        accelerator="cpu", devices=size, strategy=DDPStrategy(), max_epochs=1, logger=False, barebones=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[Together({})] if left_out else [], use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(Nothing(), torch.utils.data.DataLoader(torch.ones(8, 1)))
    return count[0]


def noting(path: str, place: Place) -> None:
    """A training that only tells which GPUs it was given, once two runs of two ranks are there at the same time."""
    import json

    (Path(path) / f"gpus{place.rank}.json").write_text(json.dumps(os.environ["CUDA_VISIBLE_DEVICES"]))
    everybody = Path(path).parents[2] / "everybody"
    everybody.mkdir(exist_ok=True)
    (everybody / f"{Path(path).name}-{place.rank}").touch()
    while len(list(everybody.iterdir())) < 4:
        pass
    if place.rank == 0:
        write_json(RunFolder(Path(path)).result, {"outcome": "trained"})
    else:
        while not RunFolder(Path(path)).result.exists():
            pass


COMMAND = """
import sys
from pathlib import Path
from ranks import work
from reslab.launch import server
if __name__ == "__main__":
    target, log = sys.argv[1:]
    process = server.start(getattr(work, target), (), log=Path(log), environment={}, threads=1)
    process.join()
    sys.exit(process.exitcode)
"""


def by_a_command(tmp_path, target, **own):
    """A command of its own, with its own fork server, that has one worker do `target`: how it ended, and the log."""
    script, log = tmp_path / "command.py", tmp_path / "log"
    script.write_text(COMMAND)
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    inherited = {name: value for name, value in os.environ.items() if name != "RESLAB_PARENT"}
    environment = {**inherited, "PYTHONPATH": paths, **own}
    command = [sys.executable, script, target.__name__, log]
    return subprocess.run(command, env=environment, capture_output=True, text=True), log.read_text()


def tell_pipes() -> None:
    """Where this process would look for NVIDIA's MPS."""
    print(os.environ.get("CUDA_MPS_PIPE_DIRECTORY"), flush=True)


def die_with_a_bar() -> None:
    """Killed with a progress bar, which torch.compile makes too, shown or not."""
    tqdm(disable=True)
    print("has a bar", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
