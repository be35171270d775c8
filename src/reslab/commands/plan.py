"""`reslab plan`: what `reslab train` would run, what it costs, how long it takes, what is done; writes nothing."""

from reslab.commands import train
from reslab.launch.formats import split_format
from reslab.launch.listing import listing, show, show_json
from reslab.launch.sweep import Sweep


def main(arguments: list[str]) -> int:
    """List the runs; `format=json` for programs."""
    wanted, words = split_format(arguments)

    def finish(sweep: Sweep) -> None:
        found = listing(list(sweep.jobs.values()))
        if wanted == "json":
            show_json(found)
        else:
            show(found, sweep.console.wide, words)

    return train.main(words, listing=finish)
