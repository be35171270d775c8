"""`reslab VERB OVERRIDES`: finds the verb, runs it, turns errors into one clear sentence."""

import os
import signal
import sys
from importlib import import_module
from typing import NoReturn

VERBS = {
    "train": "run one point, a sweep (-m) or an experiment (experiment=NAME)",
    "plan": "list what train would run, with parameters, multiply-adds, state and time",
    "status": "how far runs are (experiment=NAME, watch=true); without a name, every experiment",
    "report": "compare the runs of an experiment (experiment=NAME)",
    "evaluate": "measure a finished run again (run=FOLDER)",
    "probe": "measure nets: at initialisation (probe=init), or of a finished run (run=FOLDER probe=lesion)",
    "verify": "is the instrument right? known laws beside what it measures (minutes)",
    "construct": "a deeper plain net with the function of a trained shallow one (run=FOLDER depth=56)",
    "doctor": "is everything here that a run needs? (measure=false: without the slow part)",
    "bench": "what things cost, beside their targets: part=sweep, steps, runs, growth or packing",
    "completion": "a script for your shell (bash or zsh) that completes verbs, groups, choices and settings",
    "push": "send to W&B what it has not got of an experiment (experiment=NAME)",
}
HYDRA_HELPS = ("train", "plan")  # Hydra prints all of their groups


def main() -> None:
    """Entry point of the console script; exit code 0, 1 (a run failed), 2 (bad input), 130 (Ctrl-C)."""
    verb, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if verb in ("-h", "--help", "help"):
        print("reslab: a laboratory for residual learning\n\nusage: reslab VERB OVERRIDES\n")
        print("\n".join(f"  {name:<12}{what}" for name, what in VERBS.items()))
        print("\nreslab train --help shows every choice; first steps: reslab train experiment=degradation_digits")
        sys.exit(0)
    if verb not in VERBS:
        import difflib

        near = difflib.get_close_matches(verb, VERBS, n=1)
        fail(f"unknown verb {verb!r}; {f'did you mean {near[0]}? ' if near else ''}verbs are {', '.join(VERBS)}")
    if {"-h", "--help"} & set(arguments) and verb not in HYDRA_HELPS:
        from reslab.launch.helping import helped

        print(helped(verb, VERBS[verb]))
        sys.exit(0)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us, not to Hydra's printer
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = import_module(f"reslab.commands.{verb}").main(arguments)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        from reslab.launch.errors import explain  # Hydra is not loaded for `completion`, which answers at every Tab

        message = explain(error, verb, arguments)
        if message is None:
            raise
        fail(message)
    sys.exit(code)


def fail(message: str) -> NoReturn:
    """Say what is wrong and leave with code 2."""
    from reslab.runs.reading import printable  # a message may repeat what a hostile file says

    print(f"reslab: {printable(message)}", file=sys.stderr)
    sys.exit(2)


def _terminated(*_: object) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    main()
