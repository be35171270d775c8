"""`reslab evaluate run=FOLDER [data=NAME]`: load a finished run and measure its clean errors again."""

import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from reslab import api
from reslab.data.arrays import Arrays
from reslab.data.module import part
from reslab.data.split import trained_and_validation
from reslab.launch.build import read_data
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve_verb
from reslab.launch.here import outputs_of, unfetched
from reslab.launch.measure import as_record
from reslab.launch.words import quoted
from reslab.runs.folder import RunFolder, file_name, read_json, write_json
from reslab.runs.integrity import SCORE
from reslab.training.evaluate import Score, evaluate


def main(arguments: list[str]) -> int:
    """Print recorded and measured errors side by side, and keep them in the run folder."""
    composed, choices = compose("evaluate", [quoted(word) for word in arguments])
    config = resolve_verb(composed)
    folder = RunFolder(Path(config["run"]).absolute())
    trained = api.load(folder.path, trust=config["trust"])
    folder.check_links()
    own = "data" not in config
    try:
        name = trained.config["choices"]["data"] if own else choices["data"]
        frozen = unfetched(trained.config) if own else _with_data(trained.config, config["data"], config["trust"])
        parts = _parts(frozen | {"outputs": str(outputs_of(folder)), "trust": config["trust"]}, own)
        measured = {key: _measure(trained, arrays) for key, arrays in parts.items()}
    except (ValueError, OSError):
        raise
    except Exception as error:  # the config is the folder's: it may lack a key, or have one of another kind
        said = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"{folder.path} holds no data config to measure by ({type(error).__name__}: {said})"
        ) from error
    _show(measured, (read_json(folder.result) or {}) if own else {}, Console(highlight=False))
    target = folder.path / "evaluations" / f"{file_name(name)}.json"
    target.parent.mkdir(exist_ok=True)
    record = {key: as_record(score) for key, score in measured.items()}
    write_json(target, {"data": name, "measured": time.time(), **record})
    print(f"wrote {target}")
    return 0


def _with_data(frozen: dict[str, Any], data: dict[str, Any], trust: list[str]) -> dict[str, Any]:
    """The run's config with other data; ValueError where the net cannot take their images or classes."""
    for key in ("channels", "classes"):
        if data[key] != frozen["data"][key]:
            raise ValueError(
                f"the run was trained with data.{key}={frozen['data'][key]}, the new data have {data[key]}"
            )
    from reslab.launch.construct import construct

    fingerprint = construct(data["source"], trust).fingerprint()
    return frozen | {"data": data | {"fingerprint": fingerprint}}


def _parts(config: dict[str, Any], own: bool) -> dict[str, Arrays]:
    read, data = read_data(config), config["data"]
    train = read("train")
    if not own:
        return {"train": train, "test": read("test")}
    kept, held = trained_and_validation(train.labels, data["validation"], data["split_seed"])
    chosen = {"train": kept, "validation": held} if len(held) else {"train": kept}
    return {key: Arrays(train.images[rows], train.labels[rows]) for key, rows in chosen.items()} | {
        "test": read("test")
    }


def _measure(trained: api.Trained, arrays: Arrays) -> Score:
    images = part(arrays, torch.device("cpu"))
    bf16 = partial(torch.autocast, "cpu", dtype=torch.bfloat16)
    return evaluate(
        trained.net,
        images.images,
        images.labels,
        normalise=trained.normalisation,
        batch=trained.config["evaluation"]["batch"],
        precision=bf16 if trained.config["recipe"]["precision"] == "bf16-mixed" else nullcontext,
    )


def _show(measured: dict[str, Score], recorded: dict[str, Any], out: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("part", "n", "error %", "recorded %", "cross-entropy", "recorded"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for name, score in measured.items():
        old = recorded.get(name) if SCORE.holds(recorded.get(name)) else None
        table.add_row(
            name,
            str(score.n),
            f"{100 * score.error:.2f}",
            f"{100 * old['error']:.2f}" if old else "",
            f"{score.cross_entropy:.4g}",
            f"{old['cross_entropy']:.4g}" if old and old["cross_entropy"] is not None else "",
        )
    out.print(table)
