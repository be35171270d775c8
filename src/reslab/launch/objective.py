"""What a sweeper is told of a run: one finite number, the worst one for a run that diverged, nothing for a failure."""

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from reslab.launch.freeze import Job
from reslab.runs.folder import read_json
from reslab.runs.integrity import of_result


@dataclass(frozen=True)
class Objective:
    """Clean training error (0 to 1) for a sweeper that minimises, clean training accuracy for one that maximises."""

    maximise: bool = False

    @classmethod
    def of(cls, sweeper: DictConfig) -> "Objective":
        """As the sweeper's own settings say it: Optuna's `direction`, Nevergrad's and Ax's switches.

        ValueError where it wants several objectives.
        """
        direction = OmegaConf.select(sweeper, "direction")
        names = [str(getattr(name, "name", name)) for name in _listed(direction)]
        if len(names) > 1:
            raise ValueError(
                f"hydra.sweeper.direction=[{','.join(names)}]: a run has one objective, its clean training error; "
                "use hydra.sweeper.direction=minimize, or maximize for its accuracy"
            )
        nevergrad = bool(OmegaConf.select(sweeper, "optim.maximize"))
        ax = OmegaConf.select(sweeper, "ax_config.experiment.minimize") is False
        return cls(maximise=names == ["maximize"] or nevergrad or ax)

    def __call__(self, job: Job) -> float | None:
        """None where there is no result, or one that cannot be this run's; a diverged run is all wrong."""
        result = read_json(job.folder.result)
        if result is None or result.get("outcome") == "failed" or of_result(result, job.entry()):
            return None
        error = float(result["train"]["error"]) if "train" in result else 1.0
        return 1.0 - error if self.maximise else error


def _listed(direction: Any) -> list[Any]:
    if direction is None:
        return []
    return list(direction) if OmegaConf.is_list(direction) else [direction]
