"""`reslab train`: one point, a sweep, an experiment. `reslab plan` is the same, and only lists."""

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from reslab.launch import server
from reslab.launch.engines import Local
from reslab.launch.freeze import Freezer
from reslab.launch.paths import conf_folder
from reslab.launch.sweep import Sweep
from reslab.launch.words import quoted
from reslab.runs.plan import plan_file


def main(arguments: list[str], *, listing: Callable[[Sweep], None] | None = None) -> int:
    """Compose with Hydra, run, and end with the table; with `listing` nothing runs, and it gets the sweep instead."""
    plan_only, arguments = listing is not None, [quoted(word) for word in arguments]
    sweep = Sweep(plan_only=plan_only)

    def task(config: DictConfig) -> None:
        """One point without any launcher (hydra.mode=RUN): same checks, same records."""
        runtime = HydraConfig.get().runtime.choices
        point = tuple(HydraConfig.get().overrides.task)
        sweep.run([Freezer().job(config, dict(runtime), point)], Local())

    task.sweep = sweep  # type: ignore[attr-defined]  # launchers hand all their points to this object
    asks_only = any(word in ("--help", "--hydra-help", "--cfg", "-c", "--info", "-i") for word in arguments)
    if not (plan_only or asks_only):
        server.context()
    sys.argv = ["reslab", *arguments]
    run: Any = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")(task)
    try:
        run()
    except (KeyboardInterrupt, SystemExit) as stop:
        if not sweep.count("interrupted", "not started"):
            raise
        sweep.console.out.print("interrupted; the same command goes on from the last checkpoints")
        return 130 if isinstance(stop, KeyboardInterrupt) else int(stop.code or 0)
    except (ValueError, RuntimeError) as error:
        if not sweep.count("failed"):
            raise
        # as Optuna does where every trial failed
        sweep.console.out.print(f"the sweeper gave up: {error}", markup=False)
    finally:
        if sweep.jobs and not plan_only:
            sweep.console.table(sweep.jobs, sweep.outcomes)
            _next(sweep)
    if listing is not None and sweep.jobs:
        listing(sweep)
    if sweep.count("interrupted", "not started"):
        sweep.console.out.print("not all runs are done; the same command goes on from the last checkpoints")
    return 1 if sweep.count("failed", "interrupted", "not started") else 0


def _next(sweep: Sweep) -> None:
    config = next(iter(sweep.jobs.values())).config
    experiment, outputs = config["run"]["experiment"], config["outputs"]
    print(f"wrote {outputs}/runs and {outputs}/experiments/{experiment}/plan.jsonl")
    for found in sorted(sweep.sampled.glob("optimization_results*.yaml")) if sweep.sampled else []:
        print(f"wrote {shutil.copy(found, plan_file(Path(outputs), experiment).parent)}")
    where = "" if Path(outputs) == Path("outputs").absolute() else f" {shlex.quote(f'outputs={outputs}')}"
    offline = config["tracking"]["mode"] in ("auto", "offline")
    if offline and set(sweep.outcomes.values()) - {"ended", "elsewhere", "not started", "other schema"}:
        print(f"W&B: runs without a key are kept offline; to upload them: reslab push experiment={experiment}{where}")
    if left := sweep.count("interrupted", "not started"):
        if left < len(sweep.outcomes):
            print(f"so far: reslab report experiment={experiment}{where}")
        print(f"next: {config['run']['command']}")
    else:
        print(f"next: reslab report experiment={experiment}{where}")
