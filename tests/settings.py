"""Where the checkout is, and the overrides of a run that takes a second."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALL = ("depth=8", "width=4", "recipe.steps=12", "evaluation.points=3", "checkpoint_every=5", "tracking=disabled")
SMALL += ("trainer.threads=1",)
