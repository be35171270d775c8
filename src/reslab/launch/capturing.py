"""Whether a run's step is recorded as a CUDA graph, and what may be compiled: decided with the config; no torch."""

from collections.abc import Mapping
from typing import Any

from reslab.launch.construct import GROUPS, targets

SGD = "reslab.training.optimise.sgd"


def fill_in(config: dict[str, Any]) -> None:
    """Replace `auto` by what is possible and leaves nothing out, in place; ValueError for true where it is not."""
    trainer = config["trainer"]
    asked, reason, theirs = trainer.get("cuda_graph", False), why_not(config), left_out(config)
    if asked != "auto" and not isinstance(asked, bool):
        raise ValueError(f"trainer.cuda_graph={asked} is unknown; it is auto, true or false")
    if asked is True and reason:
        raise ValueError(f"trainer.cuda_graph=true is not possible: {reason}; use trainer.cuda_graph=auto")
    trainer["cuda_graph"] = not (reason or theirs) if asked == "auto" else asked
    if trainer.get("compile", False) and not trainer["cuda_graph"]:
        why = reason or (theirs if asked == "auto" else "trainer.cuda_graph=false")
        _check_compiled(config, why)


def _check_compiled(config: Mapping[str, Any], unrecorded: str) -> None:
    """ValueError where a net is to be compiled without being recorded, which is for one rank on a CPU."""
    trainer, ranks = config["trainer"], config["devices"] * config["num_nodes"]
    if trainer["accelerator"] != "cpu":
        why = f"fuses a step that is recorded, and this one is not: {unrecorded}"
    elif ranks > 1:
        why = f"is for one rank, and devices={config['devices']} x num_nodes={config['num_nodes']} are {ranks}"
    elif trainer["activation_checkpointing"]:
        why = "compiles the net as one, and trainer.activation_checkpointing=true cuts it into segments"
    else:
        return
    raise ValueError(f"trainer.compile=true {why}; use trainer.compile=false")


def why_not(config: Mapping[str, Any]) -> str:
    """Why the host must take part in every step of this run; empty where it need not."""
    trainer = config["trainer"]
    if trainer["accelerator"] != "gpu":
        return f"trainer.accelerator={trainer['accelerator']} has no CUDA graphs"
    if config["devices"] * config["num_nodes"] > 1:
        return f"devices={config['devices']} x num_nodes={config['num_nodes']} exchange gradients in every step"
    if "update" in config["intervention"]:
        return f"intervention={config['choices'].get('intervention')} changes the update from step to step"
    if trainer["activation_checkpointing"]:
        return "trainer.activation_checkpointing=true keeps random states on the host"
    if (target := config["recipe"]["optimiser"]["_target_"]) != SGD:
        return f"recipe.optimiser is {target.rsplit('.', 1)[-1]}, which reads its rate on the host; sgd need not"
    return ""


def left_out(config: Mapping[str, Any]) -> str:
    """What of the user's own a replay may leave out, since it knows no Python; empty where all is ours."""
    for name in config["callbacks"]:
        return f"callbacks.{name} may have a part in every step; trainer.cuda_graph=true replays without it"
    for target in targets([config["net"], *(config[group] for group in GROUPS)]):
        if not target.startswith("reslab."):
            return f"{target} may compute otherwise from step to step; trainer.cuda_graph=true repeats the first one"
    return ""
