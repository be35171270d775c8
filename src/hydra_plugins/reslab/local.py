"""Lets Hydra find the launcher `local` and the user's own conf/. Imported at every Hydra start: keep it thin."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class LocalConf:
    """Settings of hydra/launcher=local: none."""

    _target_: str = "hydra_plugins.reslab.local.LocalLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="local", node=LocalConf, provider="reslab")


class LocalLauncher(Launcher):
    """Hands all points of a sweep to `reslab.launch.local`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before any point is composed."""
        from reslab.launch.local import install

        self.composer = install(hydra_context, config)
        self.task, self.config = task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Called by the sweeper with all points, or with one batch of them."""
        from reslab.launch.local import launch

        return launch(self.composer, self.config, self.task, job_overrides)


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
