"""Whether a run's step is recorded as a CUDA graph: decided with the config, before any work; no torch."""

from collections.abc import Mapping
from typing import Any

SGD = "reslab.training.optimise.sgd"


def fill_in(config: dict[str, Any]) -> None:
    """Replace `auto` by what is possible, in place; ValueError for true where it is not."""
    trainer = config["trainer"]
    asked, reason = trainer.get("cuda_graph", False), why_not(config)
    if asked not in ("auto", True, False):
        raise ValueError(f"trainer.cuda_graph={asked} is unknown; it is auto, true or false")
    if asked is True and reason:
        raise ValueError(f"trainer.cuda_graph=true is not possible: {reason}; use trainer.cuda_graph=auto")
    trainer["cuda_graph"] = not reason if asked == "auto" else asked
    if trainer.get("compile", False) and not trainer["cuda_graph"]:
        why = reason or "trainer.cuda_graph=false"
        raise ValueError(
            f"trainer.compile=true fuses a step that is recorded, and this one is not: {why}; use trainer.compile=false"
        )


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
