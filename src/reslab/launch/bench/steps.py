"""Training steps of ours against those of other loops, in one interleaved race per net; no torch in this process."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reslab.launch import server
from reslab.launch.bench import standing
from reslab.launch.bench.figures import Measured
from reslab.launch.bench.race import SAID, Course
from reslab.launch.bench.standing import Heat
from reslab.launch.resources import cores
from reslab.runs.folder import read_json

DEVICES = {"cpu": "cpu", "gpu": "cuda:0"}
MAIN = ("usual fp32", "naive fp32", "strong fp32", "strong bf16", "ours fp32", "ours bf16", "alone bf16")
FEATURES = ("ours bf16 nchw", "ours bf16 loader", "ours bf16 slices")
MORE = {
    "cpu": (*FEATURES, "strong bf16 foreach", "strong fp32 rounded"),
    "gpu": (*FEATURES, "ours bf16 uncaptured"),
}
"""At the first depth."""
COMPILED = {"cpu": ("strong bf16 blocks",), "gpu": ("strong bf16 compiled",)}
"""The same, since that takes its time."""
STRONGEST = {
    "cpu": ("strong bf16 compiled", "strong fp32 compiled", "ours bf16 compiled", "ours fp32 compiled"),
    "gpu": ("strong bf16 graphs", "ours bf16 compiled"),
}
"""Also compiled, but at all depths: without these there would be no strong loop."""
SMALL = ("naive fp32", "strong fp32", "ours fp32", "alone fp32")
WEIGHED = MAIN[:-1]


def measure(
    *,
    trainer: str,
    depths: Sequence[int],
    digits: Sequence[int],
    width: int,
    rows: int,
    batch: int,
    warm: int,
    steps: int,
    digit_steps: int,
    repeats: int,
    compiled: bool,
    folder: Path,
) -> Measured:
    """A race per net: CIFAR size at `depths`, everything tried at the first of them; digits at `digits`.

    On a CPU `steps` is the length of a turn at depth 20, and deeper nets take fewer, in proportion; on a GPU all take
    as many.
    """
    print("the machine's own limits", flush=True)
    device, heats, small = DEVICES[trainer], [], []
    limits = {
        threads: in_worker(_machine, (device,), folder / f"machine-{threads}.json", threads)
        for threads, raced in ((cores(), depths), (1, digits))
        if raced
    }
    for depth in depths:
        some = steps if trainer == "gpu" else max(1, round(steps * 20 / max(depth, 20)))
        words = (*_cifar(rows, batch), f"depth={depth}", f"width={width}")
        at = folder / f"c{depth}"
        course = Course(words=words, warm=warm, steps=some, outputs=at, device=device)
        names = contestants(trainer, first=depth == depths[0], compiled=compiled)
        title = f"ResNet-{depth}, batches of {batch} at 32 x 32"
        heats.append(_raced(title, depth, course, names, repeats, folder, limits=limits[cores()]))
    for depth in digits:
        words = ("data=digits", "recipe=digits", "recipe.lr=0.001", f"depth={depth}", f"width={width}")
        at, some = folder / f"s{depth}", max(5, warm)
        course = Course(words=words, warm=some, steps=digit_steps, outputs=at, device=device)
        small.append(_raced(f"digits at depth {depth}", depth, course, SMALL, repeats, folder, limits=limits[1]))
    return standing.found(heats, small)


def contestants(trainer: str, *, first: bool, compiled: bool) -> tuple[str, ...]:
    """Who races: at the first depth everything that was tried."""
    strongest = STRONGEST[trainer] if compiled else ()
    more = (*MORE[trainer], *(COMPILED[trainer] if compiled else ())) if first else ()
    return (*MAIN, *strongest, *more)


def _cifar(rows: int, batch: int) -> tuple[str, ...]:
    data = ("data=synthetic", "data.size=32", "data.classes=10", "data.validation=0")
    sizes = (f"data.rows={{train: {rows}, test: 64}}", f"recipe.batch={batch}")
    # one rate for the few steps of a turn, and a low one: at 0.1 the losses of two orders of addition soon part
    rate = ("recipe.schedule.at=[1.0,1.0]", "recipe.lr=0.001")
    return (*data, *sizes, "recipe=he2015", "recipe.normalise=channel", *rate)


def _raced(
    title: str,
    depth: int,
    course: Course,
    names: Sequence[str],
    repeats: int,
    folder: Path,
    *,
    limits: dict[str, Any],
) -> Heat:
    """By as many threads as the limits were measured with."""
    threads = limits["threads"]
    print(f"{title}: {len(names)} contestants, {course.steps} steps a turn, {repeats} turns each", flush=True)
    raced = in_worker(_heat, (course, tuple(names), repeats), folder / f"{title}.json", threads)
    gpu, memory = course.device != "cpu", {}
    if gpu:
        memory = {name: found["memory"] for name, found in raced["looks"].items()}
    else:
        workers = min(raced["workers"], key=lambda number: raced["workers"][number])
        for at, name in enumerate(name for name in raced["seconds"] if name in WEIGHED):
            short = replace(course, outputs=course.outputs / f"memory-{at}")
            weighed = in_worker(_memory, (short, name, int(workers)), folder / f"{title}-{at}.json", threads)
            memory[name] = weighed["memory"]
    told = ("seconds", "batch", "macs", "elements", "gates", "workers", "looks", "left_out")
    return Heat(
        title=title,
        depth=depth,
        gpu=gpu,
        first=raced["first_turn"],
        memory=memory,
        limits=limits,
        **{key: raced[key] for key in told},
    )


def _heat(course: Course, names: Sequence[str], repeats: int, path: str) -> None:
    from reslab.launch.bench import heats

    heats.heat(course, names, repeats, path)


def _memory(course: Course, name: str, workers: int, path: str) -> None:
    from reslab.launch.bench import heats

    heats.weigh(course, name, workers, path)


def _machine(device: str, path: str) -> None:
    from reslab.launch.bench import heats

    heats.machine(device, path)


def in_worker(work: Callable[..., None], arguments: tuple, answer: Path, threads: int) -> dict[str, Any]:
    """What `work` has written to `answer`, in a process like that of a run; RuntimeError where it failed.

    Lines that it says are printed as they come.
    """
    answer.parent.mkdir(parents=True, exist_ok=True)
    log, heard = answer.with_suffix(".log"), 0
    # nothing is compiled beforehand; Inductor hands these paths to a compiler, and some in ours have spaces
    with TemporaryDirectory(prefix="reslab-inductor-", ignore_cleanup_errors=True) as empty:
        environment = {"TORCHINDUCTOR_CACHE_DIR": empty}
        process = server.start(work, (*arguments, str(answer)), log=log, environment=environment, threads=threads)
        while process.is_alive():
            process.join(timeout=1)
            heard = _relay(log, heard)
    made = read_json(answer)
    if process.exitcode or made is None:
        said = log.read_text()[-2000:] if log.exists() else ""
        raise RuntimeError(f"a worker of the benchmark failed, exit code {process.exitcode}:\n{said or 'no message'}")
    return made


def _relay(log: Path, heard: int) -> int:
    """Print what a worker has said beyond the bytes that were heard before; all bytes up to now."""
    text = log.read_bytes()[heard:] if log.exists() else b""
    whole = text[: text.rfind(b"\n") + 1]
    for line in whole.decode(errors="replace").splitlines():
        if line.startswith(SAID):
            print(f"  {line.removeprefix(SAID)}", flush=True)
    return heard + len(whole)
