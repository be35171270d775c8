"""From a composed config to a job: everything resolved, checked, identified; nothing started, no torch."""

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from reslab.launch import capturing, interventions, padding, resources
from reslab.launch.checks import check
from reslab.launch.compose import leaves
from reslab.launch.construct import GROUPS, construct, describe, image
from reslab.launch.secrets import without_secrets
from reslab.runs.folder import RunFolder
from reslab.runs.identity import cell_hash, label
from reslab.runs.pace import work
from reslab.specs import Cost, cost

PACKAGES = ("reslab", "torch", "pytorch-lightning", "torchmetrics", "hydra-core", "wandb", "numpy", "scikit-learn")


OF_ONE_IMAGE = ("reslab.nets.norm.Group", "reslab.nets.norm.Absent")


@dataclass(frozen=True)
class Job:
    """One run that was asked for: its resolved config, what it is called and what it costs."""

    config: dict[str, Any]
    overrides: tuple[str, ...]
    cell: str
    label: str
    folder: RunFolder
    cost: Cost | None

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.config["seed"]

    @property
    def name(self) -> str:
        """Readable: cell and seed."""
        return f"{self.label}-{self.cell[:8]} seed={self.seed}"

    @property
    def work(self) -> float:
        """Multiply-adds of its training; infinite where nobody knows."""
        recipe, counts = self.config["recipe"], self.cost
        return work(macs=counts.macs if counts else None, batch=recipe["batch"], steps=recipe["steps"])

    def entry(self) -> dict[str, Any]:
        """Its line in the plan."""
        config = self.config
        return {
            "experiment": config["run"]["experiment"],
            "cell": self.cell,
            "seed": self.seed,
            "label": self.label,
            "folder": str(self.folder.path.relative_to(config["outputs"])),  # an outputs folder can be moved
            "overrides": list(self.overrides),
            "command": config["run"]["command"],
            **flat(config),
            **(_counts(self.cost)),
        }


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The choices as short top-level names, for plan, W&B and tables."""
    names = ("block", "order", "shortcut", "norm", "net", "data", "recipe", "intervention")
    recipe = config["recipe"]
    return {
        **{name: config["choices"][name] for name in names},
        **{name: config[name] for name in ("depth", "width")},
        **{name: recipe[name] for name in ("lr", "steps", "batch", "precision")},
        "classes": config["data"]["classes"],
    }


@dataclass
class Freezer:
    """Turns points into jobs; what points share (files, commit) is looked at once."""

    command: str = field(default_factory=lambda: shlex.join(["reslab", "train", *without_secrets(sys.argv[1:])]))
    gpus: int | None = None
    """What an engine gives to a run; None: all that this machine has."""
    _fingerprints: dict[str, str] = field(default_factory=dict)
    _costs: dict[str, Cost | None] = field(default_factory=dict)

    def job(self, composed: DictConfig, choices: Mapping[str, Any], overrides: tuple[str, ...]) -> Job:
        """Resolve, check and identify one point. ValueError or FileNotFoundError says what is wrong and what works."""
        config = resolve(composed, choices, self.gpus)
        config["data"]["fingerprint"] = self._fingerprint(config)
        counts = self._cost(config)
        cell = cell_hash(config)
        name = label(config)
        path = Path(config["outputs"]) / "runs" / f"{name}-{cell[:8]}" / f"seed={config['seed']}"
        config["run"] = {
            "cell": cell,
            "label": name,
            "folder": str(path),
            "experiment": config["choices"].get("experiment") or "adhoc",
            "command": self.command,
            "overrides": list(overrides),
            "commit": commit(),
            "python": platform.python_version(),
            "versions": versions(),
            **_counts(counts),
        }
        return Job(config, overrides, cell, name, RunFolder(path), counts)

    def _cost(self, config: dict[str, Any]) -> Cost | None:
        """Counted once for all seeds and settings that do not change the net."""
        parts = [config[name] for name in ("net", *GROUPS, "depth", "width", "trust")]
        key = json.dumps([*parts, *vars(image(config)).values()], sort_keys=True, default=str)
        if key not in self._costs:
            spec = describe(config)
            self._costs[key] = cost(spec) if spec is not None else None
        return self._costs[key]

    def _fingerprint(self, config: Mapping[str, Any]) -> str:
        source = config["data"]["source"]
        key = json.dumps(source, sort_keys=True, default=str)
        if key not in self._fingerprints:
            self._fingerprints[key] = construct(source, config["trust"]).fingerprint()
        return self._fingerprints[key]


def resolve(composed: DictConfig, choices: Mapping[str, Any], gpus: int | None = None) -> dict[str, Any]:
    """A plain, checked config with the choice made in each group; ValueError says what is wrong and what works.

    `gpus` are those that a run will have, where it does not run on this machine.
    """
    _check_missing(composed)
    try:
        config: Any = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise ValueError((str(error).splitlines() or ["the config cannot be resolved"])[0]) from error
    raw: Any = OmegaConf.to_container(composed, resolve=False)
    config["fixed_streams"] = {n: config["seeds"][n] for n, value in raw["seeds"].items() if value != "${seed}"}
    machinery = ("hydra/", "launcher")  # who runs it is no part of a run
    config["choices"] = {name: choice for name, choice in choices.items() if not name.startswith(machinery)}
    without_secrets([f"{key}={value}" for key, value in leaves(config)])
    check(config)
    interventions.with_budget(config)
    padding.fill_in(config)
    _resolve(config, resources.gpus() if gpus is None else gpus)
    return config


def _counts(counts: Cost | None) -> dict[str, int | None]:
    if counts is None:
        return {"params": None, "norm_params": None, "macs": None}
    return {"params": counts.params, "norm_params": counts.norm_params, "macs": counts.macs}


def _resolve(config: dict[str, Any], gpus: int) -> None:
    """Replace `auto` and relative paths; what remains means the same on another day."""
    trainer, recipe = config["trainer"], config["recipe"]
    if trainer["accelerator"] == "auto":
        trainer["accelerator"] = "gpu" if gpus else "cpu"
    if trainer["accelerator"] == "gpu" and not gpus:
        raise ValueError(
            "trainer=gpu, but no NVIDIA GPU is to be seen here; use trainer=cpu, or hydra.launcher.gpus_per_run=1 "
            "where another machine is to run it"
        )
    if trainer["accelerator"] == "cpu" and config["runs_per_gpu"] > 1:
        raise ValueError(
            f"runs_per_gpu={config['runs_per_gpu']}, but these runs train on the CPU, where each core has a run of its "
            "own; use runs_per_gpu=1, and jobs=N for N runs at a time"
        )
    capturing.fill_in(config)
    if _norm_sees_one_image(config):
        trainer["sync_batchnorm"] = False  # there is nothing to synchronise: the same cell on any number of ranks
    own = trainer["sync_batchnorm"] or _norm_sees_one_image(config)
    trainer["images_per_norm"] = recipe["batch"] // (1 if own else config["devices"] * config["num_nodes"])
    warmup = recipe["warmup"]
    if config["depth"] < warmup["from_depth"]:
        warmup["steps"] = 0
    config["outputs"] = os.path.abspath(str(config["outputs"]))  # 2024 is a folder, too


def _norm_sees_one_image(config: Mapping[str, Any]) -> bool:
    ours = config["net"].get("_target_", "").startswith("reslab.")
    return ours and config["norm"].get("_target_", "") in OF_ONE_IMAGE


@lru_cache(maxsize=1)
def commit() -> str:
    """The commit that the code comes from, with +dirty if files differ; empty outside a repository."""
    here = Path(__file__).parents[1]  # the whole package: nets and training are what matters

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head = git("rev-parse", "HEAD")
        return head + ("+dirty" if head and git("status", "--porcelain", "--untracked-files=no", "--", ".") else "")
    except OSError:
        return ""


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Installed versions of what can change a result."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = ""
    return found


def resolve_verb(composed: DictConfig) -> dict[str, Any]:
    """The plain config of a verb that trains nothing; ValueError for a setting that must be given."""
    _check_missing(composed)
    config: Any = OmegaConf.to_container(composed, resolve=True)
    return config | {key: str(config[key]) for key in ("outputs", "run") if key in config}  # 2024 is a folder, too


def _check_missing(composed: DictConfig) -> None:
    missing = [name for name, value in leaves(OmegaConf.to_container(composed, resolve=False)) if value == "???"]
    if missing:
        raise ValueError(f"these settings have no default and must be given: {' '.join(f'{m}=...' for m in missing)}")
