"""What the forked processes of the tests of W&B run: a training that is held, breaks or dies; a command."""

import contextlib
import sys
import time
from pathlib import Path

from reslab.callbacks.evaluate import Evaluate
from reslab.launch import worker
from reslab.launch.ranks import Place


def hold(folder: str, place: Place, step: int, flag: str) -> None:
    """Train, but after the row at `step` say so (FLAG.held) and wait for FLAG.go."""
    real = Evaluate.on_train_batch_end

    def hook(self, trainer, module, outputs, batch, index):
        real(self, trainer, module, outputs, batch, index)
        if batch.stop == step:
            Path(flag + ".held").touch()
            while not Path(flag + ".go").exists():
                time.sleep(0.01)

    Evaluate.on_train_batch_end = hook
    worker.run(folder, place)


def break_down(folder: str, place: Place) -> None:
    """Train, but fail after the last step."""

    def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    worker.Run._scores = broken
    worker.run(folder, place)


def command(words: list[str], said: str, drawn: bool) -> None:
    """`reslab WORDS`, with all that it prints in the file `said`; figures are dots unless they are to be `drawn`."""
    from reslab.commands.main import main

    if not drawn:
        from reslab.report import figures

        figures.write_figures = dots
    sys.argv = ["reslab", *words]
    with open(said, "w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        main()


def dots(drawn, folder: Path, *, experiment: str) -> list[Path]:
    """A PNG of one pixel for each chart, which takes no second to draw."""
    from PIL import Image

    files = [folder / f"{panel.key}.png" for panel, made in drawn if made is not None and made.chart is not None]
    for file in files:
        Image.new("RGB", (1, 1)).save(file)
    return files
