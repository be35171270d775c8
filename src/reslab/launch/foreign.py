"""Hydra's other launchers (basic, joblib, submitit) behind our rules: points checked, planned, frozen, run once."""

import pickle
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write

from reslab.launch.console import Console
from reslab.launch.elsewhere import Home, Ledger, run_at
from reslab.launch.engines import Outcomes
from reslab.launch.freeze import Job
from reslab.runs.plan import plan_file

OURS = "hydra_plugins.reslab."


class Adopt(Callback):
    """Named in conf/train.yaml: puts a launcher of ours before any other one."""

    def on_multirun_start(self, config: DictConfig, config_name: str | None) -> None:
        """Called by Hydra before it makes the sweeper and the launcher; ours get their settings in one piece."""
        chosen = config.hydra.launcher
        ours = str(chosen["_target_"]).startswith(OURS)
        target = chosen["_target_"] if ours else f"{OURS}local.AdoptedLauncher"
        with read_write(config), open_dict(config):
            config.hydra.launcher = {"_target_": target, "_recursive_": False, "settings": chosen}


@dataclass(frozen=True)
class Frozen:
    """The task that the launcher calls: it runs the job that was frozen for a point, whatever conf/ says by now."""

    folder: Path
    home: Home

    def store(self, jobs: list[Job]) -> None:
        """A file for each, to be read by whichever process runs it."""
        for at, job in enumerate(jobs):
            (self.folder / str(at)).write_bytes(pickle.dumps(job))

    def __call__(self, config: DictConfig) -> None:
        """One job, found by its place in the list."""
        job: Job = pickle.loads((self.folder / str(HydraConfig.get().job.num)).read_bytes())
        run_at(self.home, job, None)


class Foreign:
    """Hands the pending jobs to the launcher, and reads from their folders what became of them."""

    def __init__(self, context: HydraContext, config: DictConfig, inner: DictConfig) -> None:
        """`config` is the whole command's; `inner` is what it says of the launcher."""
        self._context, self._config, self._inner = context, config, inner

    @property
    def gpus(self) -> int | None:
        """Whatever this machine has: the launcher does not say."""
        return None

    def check(self, jobs: list[Job]) -> None:
        """What a launcher needs it says itself."""

    def run(self, pending: list[Job], console: Console, outcomes: Outcomes) -> None:
        """Returns when the launcher does; whatever it raised is the reason of the runs that it left undone."""
        beside = plan_file(Path(pending[0].config["outputs"]), pending[0].config["run"]["experiment"]).parent
        folder = Path(tempfile.mkdtemp(prefix="launcher-", dir=beside))  # other machines see it, unlike /tmp
        task = Frozen(folder, Home.here())
        task.store(pending)
        ledger = Ledger(pending, console, outcomes)
        try:
            why = self._launch(task, [list(job.overrides) for job in pending])
            for job in pending:
                ledger.close(job, why)
        finally:
            ledger.end()
            shutil.rmtree(folder, ignore_errors=True)

    def _launch(self, task: Frozen, points: list[list[str]]) -> str:
        """Why a run may have been left undone."""
        config = self._config
        with read_write(config), open_dict(config):
            config.hydra.launcher, config.hydra.sweep.dir = self._inner, str(task.folder)
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self._context, task_function=task, config=config
        )
        try:
            launcher.launch(points, initial_job_idx=0)
        except Exception as error:  # one lost worker makes some launchers give up on all others
            return f"the launcher ended with {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        return "the launcher ended without running it"
