"""Settings that make no sense are refused before any work: the value, the reason, what works. No torch."""

import math
from collections.abc import Mapping
from typing import Any

from reslab.analysis.study import Study
from reslab.callbacks.schedule import chosen
from reslab.launch import interventions
from reslab.launch.construct import check_target, targets
from reslab.runs.plan import NAMED
from reslab.specs import PARAMETER_KINDS

PRECISIONS = ("fp32", "bf16-mixed")
MOST = 2**31 - 1  # of anything that is counted
MOST_THREADS = 1024
MOST_SEED = 2**63 - 1  # as tables hold it
DEEPEST = 20_000  # He 2015 went to 1,202; a mistyped zero should not be planned for minutes


def check(config: Mapping[str, Any]) -> None:
    """ValueError for the first setting that cannot be meant."""
    try:
        for target in targets(config):
            check_target(target, config["trust"])
        _check_counts(config)
        _check_recipe(config["recipe"])
        _check_init(config["init"])
        _check_words(config)
        Study.of(config["study"])
        interventions.check(config)
    except KeyError as error:
        raise ValueError(
            f"a setting named {error} is missing; begin a file of your own with defaults: [one of ours]"
        ) from None
    recipe, data = config["recipe"], config["data"]
    kept = data["rows"]["train"] - data["validation"]
    if kept < recipe["batch"]:
        raise ValueError(
            f"recipe.batch={recipe['batch']} cannot be filled from {kept} training images "
            f"({data['rows']['train']} rows less data.validation={data['validation']})"
        )
    ranks = config["devices"] * config["num_nodes"]
    if recipe["batch"] % ranks:
        below = recipe["batch"] // ranks * ranks or ranks
        raise ValueError(
            f"recipe.batch={recipe['batch']} is the batch of all ranks together and cannot be shared equally by "
            f"devices={config['devices']} x num_nodes={config['num_nodes']}; use recipe.batch={below}"
        )


def check_name(experiment: str) -> str:
    """The same name; ValueError for one that could leave its folder."""
    if not NAMED.fullmatch(experiment):
        raise ValueError(f"experiment={experiment} is not a name of letters, digits, '.', '_' and '-'")
    return experiment


def whole(key: str, value: Any, least: int, most: int = MOST) -> None:
    """ValueError unless `value` is an integer from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{key}={value} is not an integer of at least {least}; use {key}={least} or more")
    if value > most:
        raise ValueError(f"{key}={value} is beyond {most:,}; use {key}={most} or less")


def _check_counts(config: Mapping[str, Any]) -> None:
    recipe, data = config["recipe"], config["data"]
    least = {
        "recipe.steps": (recipe["steps"], 1),
        "recipe.batch": (recipe["batch"], 1),
        "recipe.warmup.steps": (recipe["warmup"]["steps"], 0),
        "seed": (config["seed"], 0),
        **{f"seeds.{name}": (value, 0) for name, value in config["seeds"].items()},
        "checkpoint_every": (config["checkpoint_every"], 1),
        **{f"evaluation.{name}": (value, 1) for name, value in config["evaluation"].items()},
        "data.validation": (data["validation"], 0),
        "data.split_seed": (data["split_seed"], 0),
        "devices": (config["devices"], 1),
        "num_nodes": (config["num_nodes"], 1),
        "runs_per_gpu": (config["runs_per_gpu"], 1),
        "trainer.heartbeat_timeout": (config["trainer"]["heartbeat_timeout"], 1),
        "data.classes": (data["classes"], 2),
        **{f"data.rows.{name}": (value, 1) for name, value in data["rows"].items()},
        **{f"data.{name}": (data[name], 1) for name in ("channels", "size")},
        **{f"probes.{name}": (config["probes"][name], 1) for name in ("images", "chunk")},
        **{f"probes.at[{at}]": (step, 0) for at, step in enumerate(config["probes"]["at"])},
    }
    for name in ("jobs", "trainer.threads"):
        value = config["jobs"] if name == "jobs" else config["trainer"]["threads"]
        least |= {name: (value, 1)} if value != "auto" else {}
    for key, (value, bound) in least.items():
        most = MOST_THREADS if key == "trainer.threads" else MOST_SEED if "seed" in key else MOST
        whole(key, value, bound, most)
    whole("recipe.augment.pad", recipe["augment"]["pad"], 0, data["size"])  # beyond, whole images are padding
    chosen(config["probes"]["at"], recipe["steps"])
    if config["depth"] > DEEPEST:
        raise ValueError(f"depth={config['depth']} is beyond {DEEPEST:,} layers; He 2015 went to 1,202")


def _check_recipe(recipe: Mapping[str, Any]) -> None:
    if not (recipe["lr"] > 0 and math.isfinite(recipe["lr"])):
        raise ValueError(f"recipe.lr={recipe['lr']} is not positive and finite; He 2015 uses 0.1")
    if not 0 <= recipe["weight_decay"] < math.inf:
        raise ValueError(f"recipe.weight_decay={recipe['weight_decay']} is negative or infinite; He 2015 uses 1e-4")
    momentum = recipe["optimiser"].get("momentum", 0.0)
    if not 0 <= momentum < 1:
        raise ValueError(f"recipe.optimiser.momentum={momentum} is not in [0, 1); He 2015 uses 0.9")
    factor = recipe["warmup"]["factor"]
    if not 0 < factor <= 1:
        raise ValueError(f"recipe.warmup.factor={factor} is no share of recipe.lr in (0, 1]; He 2016 uses 0.1")
    unknown = sorted(str(kind) for kind in recipe["decay"] if kind not in PARAMETER_KINDS)
    if unknown:
        raise ValueError(f"recipe.decay names {', '.join(unknown)}; it may hold {', '.join(PARAMETER_KINDS)}")


def _check_init(init: Mapping[str, Mapping[str, Any]]) -> None:
    for name, law in init.items():
        _one_of(f"init.{name}.shape", law["shape"], ("normal", "truncated", "uniform"))
        _one_of(f"init.{name}.fan", law["fan"], ("in", "out", "average"))
        if not law["gain"] > 0:
            raise ValueError(f"init.{name}.gain={law['gain']} is not positive; it is the variance times the fan")


def _check_words(config: Mapping[str, Any]) -> None:
    _one_of("recipe.precision", config["recipe"]["precision"], PRECISIONS)
    _one_of("recipe.normalise", config["recipe"]["normalise"], ("pixel_mean", "channel"))
    _one_of("study.published", config["study"]["published"], ("he2015", "he2016", ""))
    _one_of("checkpoints", config["checkpoints"], ("final", "log", "none"))
    _one_of("trainer.accelerator", config["trainer"]["accelerator"], ("auto", "cpu", "gpu"))
    _one_of("tracking.mode", config["tracking"]["mode"], ("auto", "online", "offline", "disabled"))
    check_name(config["choices"].get("experiment") or "adhoc")
    for name, node in config["callbacks"].items():
        if not isinstance(node, Mapping) or "_target_" not in node:
            raise ValueError(f"callbacks.{name}={node} builds nothing; use +callbacks.{name}._target_=mylab.MyCallback")
    if not config["outputs"]:
        raise ValueError("outputs is empty; use outputs=FOLDER")


def _one_of(key: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{key}={value} is unknown; it is {', '.join(known[:-1])} or {known[-1]}")
