"""`reslab plan`: what `reslab train` would run, what it costs and what is done; starts and writes nothing."""

from reslab.commands import train


def main(arguments: list[str]) -> int:
    """List the runs."""
    return train.main(arguments, plan_only=True)
