"""A W&B server as this project sees it: opening runs, asking what is there, never longer than the limits allow."""

import os
import tempfile
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, cast

import wandb

from reslab.tracking import mirror
from reslab.tracking.heat import pictures
from reslab.tracking.mode import NO_KEY, has_key

Mode = Literal["online", "offline", "disabled"]
LOOK = 0.005  # seconds
MANY = 100_000  # rows asked for; a run has as many as it has scheduled evaluations, tens or hundreds


def begin(options: Mapping[str, Any], mode: str, settings: wandb.Settings) -> Any:
    """An open W&B run whose rows are drawn over `step`; what wandb.init raises is the caller's."""
    warnings.filterwarnings("ignore", module="wandb")
    _look_often()
    fixed: dict[str, Any] = {"resume": "allow", "reinit": "finish_previous"}
    opened = wandb.init(**options, **fixed, mode=cast(Mode, mode), settings=settings)
    opened.define_metric("step", hidden=True)
    opened.define_metric("attempt", hidden=True)
    opened.define_metric("*", step_metric="step")
    return opened


def _look_often() -> None:
    """W&B's service is there 20 ms after its start; W&B looks for it once, and again 0.2 s later."""
    with suppress(ImportError):  # another version may keep it elsewhere, and waits a little longer
        from wandb.sdk.lib.service import service_port_file as waiting

        if hasattr(waiting, "_SLEEP"):
            waiting._SLEEP = lambda seconds: time.sleep(min(seconds, LOOK))


def quiet(*, init_timeout: int, finish_timeout: int, afterwards: bool) -> wandb.Settings:
    """Settings of a run that says nothing and waits no longer than this.

    `afterwards`: it is pushed from its records, so this machine is not where it ran, and an incomplete end is an error.
    """
    return wandb.Settings(
        init_timeout=init_timeout,
        finish_timeout=finish_timeout,
        finish_timeout_raises=afterwards,
        x_disable_meta=afterwards,
        x_disable_stats=afterwards,
        disable_git=afterwards,
        console="off",
        silent=True,
        x_save_requirements=False,
    )


def log_pictures(run: Any, readings: Collection[Sequence[Any]], attempt: int) -> None:
    """Heat maps of a run's readings (rows of `runs.readings`), at their last step; nothing where there are none."""
    drawn = pictures(readings)
    if drawn:
        images = {name: wandb.Image(image, caption=caption) for name, (image, caption) in drawn.items()}
        run.log({"step": max(row[1] for row in readings), "attempt": attempt, **images})


def known_places(remote: Any) -> set[tuple[int, int]]:
    """Attempt and step of every row that W&B holds of a run."""
    return {mirror.place(row) for row in remote.history(keys=["attempt", "step"], samples=MANY, pandas=False)}


class Remote:
    """One W&B project, to be looked at and written to."""

    def __init__(self, *, project: str, entity: str | None, init_timeout: int, finish_timeout: int) -> None:
        """Asks the server who we are. ValueError without a key, or where it does not answer in time."""
        if not has_key():
            raise ValueError(NO_KEY)
        self._limits = {"init_timeout": init_timeout, "finish_timeout": finish_timeout}
        warnings.filterwarnings("ignore", module="wandb")
        wandb.setup(wandb.Settings(silent=True))
        try:
            self._api = wandb.Api(timeout=init_timeout)
            found = entity or self._api.default_entity
        except Exception as error:  # W&B's own kinds of error change with its versions
            raise ValueError(unreachable(error, init_timeout)) from error
        if not found:
            raise ValueError("W&B knows no default entity of this key; use entity=NAME (a user or a team)")
        self.entity, self.project = found, project

    @property
    def url(self) -> str:
        """Where a reader finds the project."""
        return f"{wandb.setup().settings.app_url}/{self.entity}/{self.project}"

    def runs(self, ids: Sequence[str]) -> dict[str, Any]:
        """Those of these runs that exist, by id, with their summaries."""
        found: dict[str, Any] = {}
        for at in range(0, len(ids), 100):
            chosen = {"name": {"$in": list(ids[at : at + 100])}}
            try:
                pages = self._api.runs(f"{self.entity}/{self.project}", filters=chosen, per_page=100, lazy=False)
                found |= {run.id: run for run in pages}
            except ValueError as error:
                if "find project" not in str(error):
                    raise
                return {}  # the first run makes the project
        return found

    @contextmanager
    def opened(self, options: Mapping[str, Any], *, code: int) -> Iterator[Any]:
        """A run open for writing, made or appended to; when the block has ended it is complete at W&B.

        Its exit code is `code`. TimeoutError where the server did not take all of it in time.
        """
        with tempfile.TemporaryDirectory(prefix="reslab-push-", ignore_cleanup_errors=True) as folder:
            where = {"project": self.project, "entity": self.entity, "dir": folder}
            run = begin({**options, **where}, "online", quiet(**self._limits, afterwards=True))
            try:
                yield run
            except BaseException:
                with suppress(Exception):
                    run.finish(exit_code=1)
                raise
            run.finish(exit_code=code)

    def say(self, error: Exception) -> str:
        """What to tell of an error in the middle of a push."""
        return unreachable(error, self._limits["finish_timeout"])


def unreachable(error: Exception, seconds: int) -> str:
    """A sentence for a server that gave no answer, or refused the key."""
    server = os.environ.get("WANDB_BASE_URL") or wandb.setup().settings.base_url
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    return (
        f"the W&B server {server} refused, or gave no answer within {seconds:g} s ({reason}); check the network, the "
        "key (`wandb login --relogin`) and WANDB_BASE_URL, then push again: it goes on where it stopped"
    )
