"""Training steps of ours against those of other loops, in one interleaved race per net; no torch in this process."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reslab.launch import server
from reslab.launch.bench import standing
from reslab.launch.bench.figures import Measured
from reslab.launch.bench.race import Course
from reslab.launch.bench.standing import Heat
from reslab.launch.resources import cores
from reslab.runs.folder import read_json

MAIN = ("usual fp32", "naive fp32", "strong fp32", "strong bf16", "ours fp32", "ours bf16", "alone bf16")
MORE = ("ours bf16 nchw", "ours bf16 loader", "ours bf16 slices", "strong bf16 foreach", "strong fp32 rounded")
COMPILED = ("strong bf16 compiled", "strong bf16 blocks")
SMALL = ("naive fp32", "strong fp32", "ours fp32", "alone fp32")
WEIGHED = MAIN[:-1]


def measure(
    *,
    depths: Sequence[int],
    digits: Sequence[int],
    width: int,
    rows: int,
    batch: int,
    steps: int,
    digit_steps: int,
    repeats: int,
    compiled: bool,
    folder: Path,
) -> Measured:
    """A race per net: CIFAR size at `depths`, everything tried at the first of them; digits at `digits`.

    `steps` is the length of a turn at depth 20; deeper nets take fewer, in proportion.
    """
    print("the machine's own limits", flush=True)
    limits = in_worker(_machine, (), folder / "machine.json", cores())
    heats, small = [], []
    for depth in depths:
        some = max(1, round(steps * 20 / max(depth, 20)))
        words = (*_cifar(rows, batch), f"depth={depth}", f"width={width}")
        course = Course(words=words, warm=min(2, some), steps=some, longest=min(10, some), outputs=folder / f"c{depth}")
        names = MAIN + ((MORE + (COMPILED if compiled else ())) if depth == depths[0] else ())
        title = f"ResNet-{depth}, batches of {batch} at 32 x 32"
        heats.append(_raced(title, depth, course, names, repeats, folder, threads=cores()))
    for depth in digits:
        words = ("data=digits", "recipe=digits", "recipe.lr=0.001", f"depth={depth}", f"width={width}")
        longest, at = min(10, digit_steps), folder / f"s{depth}"
        course = Course(words=words, warm=5, steps=digit_steps, longest=longest, outputs=at)
        small.append(_raced(f"digits at depth {depth}", depth, course, SMALL, repeats, folder, threads=1))
    return standing.found(heats, small, limits)


def _cifar(rows: int, batch: int) -> tuple[str, ...]:
    data = ("data=synthetic", "data.size=32", "data.classes=10", "data.validation=0")
    sizes = (f"data.rows={{train: {rows}, test: 64}}", f"recipe.batch={batch}")
    # one rate for the few steps of a turn, and a low one: at 0.1 the losses of two orders of addition soon part
    rate = ("recipe.schedule.at=[1.0,1.0]", "recipe.lr=0.001")
    return (*data, *sizes, "recipe=he2015", "recipe.normalise=channel", *rate)


def _raced(
    title: str, depth: int, course: Any, names: Sequence[str], repeats: int, folder: Path, *, threads: int
) -> Heat:
    print(f"{title}: {len(names)} contestants, {course.steps} steps a turn, {repeats} turns each", flush=True)
    raced = in_worker(_heat, (course, tuple(names), repeats), folder / f"{title}.json", threads)
    workers = min(raced["workers"], key=lambda number: raced["workers"][number])
    memory = {}
    for at, name in enumerate(name for name in names if name in WEIGHED):
        short = replace(course, outputs=course.outputs / f"memory-{at}")
        weighed = in_worker(_memory, (short, name, int(workers)), folder / f"{title}-{at}.json", threads)
        memory[name] = weighed["memory"]
    return Heat(
        title=title,
        depth=depth,
        first=raced["first_turn"],
        memory=memory,
        **{key: raced[key] for key in ("seconds", "batch", "macs", "elements", "gates", "workers")},
    )


def _heat(course: Course, names: Sequence[str], repeats: int, path: str) -> None:
    from reslab.launch.bench import heats

    heats.heat(course, names, repeats, path)


def _memory(course: Course, name: str, workers: int, path: str) -> None:
    from reslab.launch.bench import heats

    heats.memory(course, name, workers, path)


def _machine(path: str) -> None:
    from reslab.launch.bench import heats

    heats.machine(path)


def in_worker(work: Callable[..., None], arguments: tuple, answer: Path, threads: int) -> dict[str, Any]:
    """What `work` has written to `answer`, in a process like that of a run; RuntimeError where it failed."""
    answer.parent.mkdir(parents=True, exist_ok=True)
    log = answer.with_suffix(".log")
    process = server.start(work, (*arguments, str(answer)), log=log, environment={}, threads=threads)
    process.join()
    made = read_json(answer)
    if process.exitcode or made is None:
        raise RuntimeError(f"a worker of the benchmark failed:\n{log.read_text()[-2000:]}")
    return made
