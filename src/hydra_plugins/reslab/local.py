"""Lets Hydra find our launchers and the user's own conf/. Imported at every Hydra start: keep it thin."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

# a plain node, over which conf/launcher/ lays its presets
LOCAL = {"_target_": "hydra_plugins.reslab.local.LocalLauncher"}
ConfigStore.instance().store(group="hydra/launcher", name="local", node=LOCAL, provider="reslab")


class OwnLauncher(Launcher):
    """Hands all points of a sweep to `reslab.launch`, with the engine that is to run them."""

    def __init__(self, settings: DictConfig) -> None:
        """Those of conf/launcher/NAME.yaml, as `reslab.launch.foreign.Adopt` hands them on; the engine checks them."""
        self.settings = settings

    @abstractmethod
    def kind(self) -> Any:
        """The class of the engine that runs the jobs."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before any point is composed."""
        from reslab.launch.local import composer

        self.composer = composer(hydra_context, config)
        self.composer.install()
        self.task, self.config = task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Called by the sweeper with all points, or with one batch of them."""
        from reslab.launch.engines import made
        from reslab.launch.local import launch

        engine = made(self.kind(), self.settings)
        return launch(self.composer, self.config, self.task, job_overrides, engine)


class LocalLauncher(OwnLauncher):
    """Runs on this machine."""

    def kind(self) -> Any:
        """Processes of our own."""
        from reslab.launch.engines import Local

        return Local


class SlurmLauncher(OwnLauncher):
    """Runs on a SLURM cluster."""

    def kind(self) -> Any:
        """A SLURM job per run."""
        from reslab.launch.on_slurm import OnSlurm

        return OnSlurm


class RayLauncher(OwnLauncher):
    """Runs on a Ray cluster."""

    def kind(self) -> Any:
        """A Ray task per run."""
        from reslab.launch.on_ray import OnRay

        return OnRay


class AdoptedLauncher(Launcher):
    """Another launcher of Hydra's, behind our checks, plan and table."""

    def __init__(self, settings: DictConfig) -> None:
        """The whole config of that launcher; `setup` looks at it before Hydra has filled in its values."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """The inner launcher is made when there is something to launch."""
        from reslab.launch.foreign import Foreign
        from reslab.launch.local import composer

        self.composer = composer(hydra_context, config)
        self.task, self.config = task_function, config
        self.engine = Foreign(hydra_context, config, config.hydra.launcher.settings)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Called by the sweeper with all points, or with one batch of them."""
        from reslab.launch.local import launch

        return launch(self.composer, self.config, self.task, job_overrides, self.engine)


class OwnConf(SearchPathPlugin):
    """Searches `conf/` of the current folder before the one that ships with reslab."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra at start; other Hydra applications have no `main` of ours and are left alone."""
        main: Any = next((item for item in search_path.get_path() if item.provider == "main"), None)
        own = Path.cwd() / "conf"
        if main is None or not own.is_dir():
            return
        ours = Path(str(main.path).removeprefix("file://"))
        if (ours / "train.yaml").is_file() and (ours / "shortcut").is_dir() and own.resolve() != ours.resolve():
            search_path.prepend("own", f"file://{own}", SearchPathQuery(provider="main", path=None))
