"""W&B as a mirror of the run folder: opened and always closed here; whatever it does, the run goes on."""

import netrc
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import wandb
from pytorch_lightning.loggers import WandbLogger

Mode = Literal["online", "offline", "disabled"]
INIT_TIMEOUT, FINISH_TIMEOUT = 30, 60  # seconds that a dead network may delay a run


class Tracker:
    """Sends rows to a W&B run, or to nowhere; the first error is printed and ends the mirroring."""

    def __init__(self, run: Any | None) -> None:
        """`run` is an open W&B run, or None."""
        self._run = run

    def log(self, row: Mapping[str, Any]) -> None:
        """One row of metrics.jsonl; its `step` is the x-axis."""
        self._safely(lambda run: run.log(dict(row)))

    def finish(self, result: Mapping[str, Any]) -> None:
        """The result as flat summary values."""
        flat = {key: value for key, value in result.items() if isinstance(value, str | int | float)}
        for part in ("train", "train_fresh_norm", "validation", "test"):
            flat |= {f"final/{part}_{name}": value for name, value in result.get(part, {}).items() if value is not None}
        self._safely(lambda run: run.summary.update(flat))

    def lightning_logger(self) -> WandbLogger | None:
        """The same run for Lightning callbacks of the user's own."""
        return None if self._run is None else WandbLogger(experiment=self._run, log_model=False)

    def _safely(self, action: Any) -> None:
        if self._run is not None:
            try:
                action(self._run)
            except Exception as error:  # tracking never kills a run
                print(f"W&B stopped mirroring: {error}", flush=True)
                self._run = None


@contextmanager
def tracked(config: Mapping[str, Any], *, attempt: int) -> Iterator[Tracker]:
    """A tracker for one run; exit code 1 is sent when the block raises. `attempt` is the one that began at step 0."""
    run = None if config["tracking"]["mode"] == "disabled" else _open(config, attempt)
    code = 1
    try:
        yield Tracker(run)
        code = 0
    finally:
        if run is not None:
            try:
                run.finish(exit_code=code)
            except Exception as error:  # tracking never kills a run
                print(f"W&B did not finish: {error}", flush=True)


def resolve_mode(mode: str) -> str:
    """`auto` is online where a key is configured, else offline; WANDB_MODE wins over `auto`."""
    if mode != "auto":
        return mode
    wanted = os.environ.get("WANDB_MODE")
    if wanted in ("online", "offline", "disabled"):
        return wanted
    return "online" if has_key() else "offline"


def has_key() -> bool:
    """Whether WANDB_API_KEY or netrc holds a key; asks nobody."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        file = os.environ.get("NETRC")
        return any("wandb" in host for host in netrc.netrc(file).hosts)
    except (OSError, netrc.NetrcParseError):
        return False


def run_id(config: Mapping[str, Any], attempt: int) -> str:
    """cell-seed-attempt: the same for every resumption, another for a fresh start."""
    return f"{config['run']['cell'][:12]}-s{config['seed']}-a{attempt}"


def _open(config: Mapping[str, Any], attempt: int) -> Any | None:
    tracking, run = config["tracking"], config["run"]
    folder = Path(config["outputs"])
    flat = {name: config["choices"][name] for name in ("block", "order", "shortcut", "norm", "data", "recipe")}
    flat |= {name: config[name] for name in ("depth", "width", "seed")}
    flat |= {"cell": run["cell"][:8], "params": run["params"], "macs": run["macs"], "experiment": run["experiment"]}
    options: dict[str, Any] = {
        "project": tracking["project"],
        "entity": tracking["entity"],
        "id": run_id(config, attempt),
        "name": f"{config['run']['label'][:100]}-s{config['seed']}",
        "group": f"{run['label'][:100]}-{run['cell'][:8]}",
        "job_type": "train",
        "tags": sorted({value[:64] for value in (run["experiment"], flat["block"], flat["shortcut"])}),
        "dir": str(folder),
        "resume": "allow",
        "config": flat | {"config": {key: value for key, value in config.items() if key != "run"}},
        "reinit": "finish_previous",
    }
    mode = resolve_mode(tracking["mode"])
    if mode == "disabled":
        return None
    for attempted in dict.fromkeys((mode, "offline")):
        try:
            opened = wandb.init(settings=_settings(), **options, mode=cast(Mode, attempted))
            opened.define_metric("step", hidden=True)
            opened.define_metric("*", step_metric="step")
            return opened
        except Exception as error:  # no server, a bad key: the run goes on
            print(f"W&B could not start {attempted}: {error}", flush=True)
            wandb.teardown()  # its service still holds the run's id
    return None


def _settings() -> wandb.Settings:
    warnings.filterwarnings("ignore", module="wandb")
    return wandb.Settings(
        init_timeout=INIT_TIMEOUT,
        finish_timeout=FINISH_TIMEOUT,
        console="off",
        silent=True,
        x_save_requirements=False,
    )
