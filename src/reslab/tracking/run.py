"""W&B as a mirror of the run folder: opened and always closed here; whatever it does, the run goes on."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb

from reslab.runs.folder import RunFolder
from reslab.runs.status import attempts
from reslab.tracking import mirror
from reslab.tracking.mode import resolve_mode
from reslab.tracking.remote import begin, known_places, log_pictures, quiet

if TYPE_CHECKING:
    from pytorch_lightning.loggers import WandbLogger


class Tracker:
    """Sends rows to a W&B run, or to nowhere; the first error is printed and ends the mirroring."""

    def __init__(self, run: Any | None, attempt: int) -> None:
        """`run` is an open W&B run, or None; `attempt` is written into every row."""
        self._run, self._attempt = run, attempt

    def log(self, row: Mapping[str, Any]) -> None:
        """One row of metrics.jsonl; its `step` is the x-axis."""
        self._safely(lambda run: run.log({**row, "attempt": self._attempt}))

    def finish(self, result: Mapping[str, Any], readings: Collection[Sequence[Any]]) -> None:
        """Heat maps of what the probes measured (rows of `runs.readings`), and the result as flat summary values."""
        self._safely(lambda run: log_pictures(run, readings, self._attempt))
        self._safely(lambda run: run.summary.update(mirror.summary(result)))

    def lightning_logger(self) -> "WandbLogger | None":
        """The same run for Lightning callbacks of the user's own."""
        if self._run is None:
            return None
        from pytorch_lightning.loggers import WandbLogger

        return WandbLogger(experiment=self._run, log_model=False)

    def _safely(self, action: Callable[[Any], object]) -> None:
        if self._run is not None:
            try:
                action(self._run)
            except Exception as error:  # tracking never kills a run
                print(f"W&B stopped mirroring: {error}", flush=True)
                self._run = None


@contextmanager
def tracked(config: Mapping[str, Any], *, attempt: int) -> Iterator[Tracker]:
    """A tracker for one run; exit code 1 is sent when the block raises. `attempt` is the one that began at step 0."""
    folder = RunFolder(Path(config["run"]["folder"]))
    run = _open(config, attempt)
    catching_up = _catch_up(run, folder, config["tracking"]) if run is not None and run.resumed else None
    code = 1
    try:
        yield Tracker(run, attempts(folder)[0])
        code = 0
    finally:
        if run is not None:
            if catching_up is not None:
                catching_up.join(timeout=config["tracking"]["init_timeout"])
            try:
                run.finish(exit_code=code)
            except Exception as error:  # tracking never kills a run
                print(f"W&B did not finish: {error}", flush=True)


def _open(config: Mapping[str, Any], attempt: int) -> Any | None:
    tracking = config["tracking"]
    mode = resolve_mode(tracking["mode"])
    if mode == "disabled":
        return None
    options = mirror.identity(config, attempt) | {"dir": config["outputs"]}
    options |= {name: tracking[name] for name in ("project", "entity")}
    limits = {name: tracking[name] for name in ("init_timeout", "finish_timeout")}
    for attempted in dict.fromkeys((mode, "offline")):
        try:
            return begin(options, attempted, quiet(**limits, afterwards=False))
        except Exception as error:  # no server, a bad key: the run goes on
            print(f"W&B could not start {attempted}: {error}", flush=True)
            wandb.teardown()  # its service still holds the run's id
    return None


def _catch_up(run: Any, folder: RunFolder, tracking: Mapping[str, Any]) -> threading.Thread:
    """Sends rows that an earlier attempt wrote, but had not sent when it was killed; beside the training."""
    own = mirror.rows(folder)

    def send() -> None:
        try:
            api = wandb.Api(timeout=tracking["init_timeout"])
            for row in mirror.missing(own, known_places(api.run(run.path))):
                run.log(row)
        except Exception as error:  # tracking never kills a run
            print(f"W&B lacks rows of an earlier attempt ({error}); reslab push sends them", flush=True)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread
