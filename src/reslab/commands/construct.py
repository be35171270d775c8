"""`reslab construct run=FOLDER depth=56 [to=FOLDER]`: a deeper plain net with the function of a trained shallow one."""

import shlex
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import torch
from rich.console import Console

from reslab import api
from reslab.data.module import Part
from reslab.launch import padding
from reslab.launch.build import build_net
from reslab.launch.checks import whole
from reslab.launch.compose import compose
from reslab.launch.evidence import weights_hash
from reslab.launch.freeze import resolve_verb
from reslab.launch.here import unfetched
from reslab.launch.measure import as_record
from reslab.launch.padded import calibration, pad, training_images
from reslab.launch.probing.pace import Pace
from reslab.launch.words import quoted
from reslab.nets.build import Net
from reslab.report.charts_line import line
from reslab.report.figures import write_figures
from reslab.report.panels import Panel
from reslab.runs.folder import RunFolder, file_name, write_json
from reslab.training.evaluate import Precision, Score, evaluate, with_fresh_statistics
from reslab.training.line import barrier, between


def main(arguments: list[str]) -> int:
    """Make the net, measure that it computes the same, and keep it as a folder that `reslab evaluate` can read."""
    composed, _ = compose("construct", [quoted(word) for word in arguments])
    config, out = resolve_verb(composed), Console(highlight=False)
    for key, least in (("depth", 1), ("images", 1), ("points", 2)):
        whole(key, config[key], least)
    source = RunFolder(Path(config["run"]).absolute())
    try:
        _construct(source, config, out)
    except (KeyError, TypeError, AttributeError) as error:  # the config is the folder's: it may lack anything
        said = f"{type(error).__name__}: {error}"
        raise ValueError(f"{source.path} holds no run that a net could be constructed from ({said})") from error
    return 0


def _construct(source: RunFolder, config: dict[str, Any], out: Console) -> None:
    result = padding.finished(source)
    shallow = api.load(source.path, trust=config["trust"])
    padding.check_suits(shallow.config, config["depth"])
    found = _other(config, shallow.config)
    frozen = _frozen(shallow.config, config)
    images = training_images(frozen)
    batch = calibration(images, config["images"], split_seed=frozen["data"]["split_seed"])
    deep = build_net(frozen)
    assert isinstance(shallow.net, Net)
    assert isinstance(deep, Net)
    pad(shallow.net, deep, batch, shallow.normalisation)
    deep.eval()
    constructed = api.Trained(deep, shallow.normalisation, frozen)
    facts = _facts(shallow, constructed, images, batch, out) | {"source": result["weights"]}
    name = f"{source.path.parent.name}-{source.path.name}-to-d{config['depth']}"
    folder = RunFolder(Path(config["outputs"]).absolute() / "constructed" / file_name(name))
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.check_links()
    _keep(folder, constructed)
    facts |= {"weights": weights_hash(deep), "images": len(batch), "depth": config["depth"]}
    if found is not None:
        facts["line"] = _line(constructed, found, images, config["points"], folder, out)
    write_json(folder.path / "constructed.json", facts)
    _next(folder, source, shallow.config, config["depth"], out)


def _other(config: dict[str, Any], shallow: dict[str, Any]) -> api.Trained | None:
    """The run at the other end of the line; ValueError unless it has the shape of the net to be made."""
    if config["to"] is None:
        return None
    folder = RunFolder(Path(str(config["to"])).absolute())
    padding.finished(folder, outcomes=("trained", "at_chance"))
    found = api.load(folder.path, trust=config["trust"])
    padding.check_fit(shallow, found.config)
    if found.config["depth"] != config["depth"]:
        raise ValueError(f"to={folder.path} has depth={found.config['depth']}; use depth={found.config['depth']}")
    return found


def _frozen(source: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The run's config with the new depth, for data that are here."""
    outputs = str(Path(config["outputs"]).absolute())
    return unfetched(source) | {"depth": config["depth"], "intervention": {}, "outputs": outputs}


def _facts(shallow: api.Trained, deep: api.Trained, images: Part, batch: Part, out: Console) -> dict[str, Any]:
    """Largest differences of logits in both modes, and clean training scores of both nets."""
    size = deep.config["evaluation"]["batch"]
    differences = {
        "eval": max(_difference(shallow, deep, chunk, train=False) for chunk in images.images.split(size)),
        "train": _difference(shallow, deep, batch.images, train=True),
        "train_of_recipe": _difference(shallow, deep, batch.images[: deep.config["recipe"]["batch"]], train=True),
    }
    scores = {"shallow": _score(shallow, shallow.net, images), "constructed": _score(deep, deep.net, images)}
    out.print(f"largest difference of a logit, eval mode, {len(images)} training images: {differences['eval']:g}")
    out.print(f"... in train mode, the {len(batch)} images that set the norms as one batch: {differences['train']:.2g}")
    small = min(deep.config["recipe"]["batch"], len(batch))
    out.print(f"... in train mode, {small} of them as one batch: {differences['train_of_recipe']:.2g}")
    for name, score in scores.items():
        out.print(f"clean training error, {name}: {100 * score.error:.2f} %, loss {score.cross_entropy:.4g}")
    return {"difference": differences, **{name: as_record(score) for name, score in scores.items()}}


@torch.no_grad()
def _difference(shallow: api.Trained, deep: api.Trained, images: torch.Tensor, *, train: bool) -> float:
    """max |dy| over images and classes; the nets are left in eval mode, with the statistics that they had."""
    batch = shallow.normalisation(images).contiguous(memory_format=torch.channels_last)
    outputs = []
    for net in (shallow.net, deep.net):
        kept = {name: value.clone() for name, value in net.state_dict().items()}
        outputs.append(net.train(train)(batch))
        net.eval().load_state_dict(kept)
    return float((outputs[0] - outputs[1]).abs().max())


def _precision(of: api.Trained) -> Precision:
    bf16 = partial(torch.autocast, "cpu", dtype=torch.bfloat16)
    return bf16 if of.config["recipe"]["precision"] == "bf16-mixed" else nullcontext


def _score(of: api.Trained, net: torch.nn.Module, images: Part) -> Score:
    return evaluate(
        net,
        images.images,
        images.labels,
        normalise=of.normalisation,
        batch=of.config["evaluation"]["batch"],
        precision=_precision(of),
    )


def _keep(folder: RunFolder, made: api.Trained) -> None:
    """As a run keeps its final weights, so that `api.load` and `reslab evaluate` read them."""
    norm = made.normalisation
    state = {
        "schema": 1,
        "state_dict": made.net.state_dict(),
        "normalisation": {"mean": norm.mean, "std": norm.std},
        "config": made.config,
    }
    folder.checkpoints.mkdir(exist_ok=True)
    beside = folder.checkpoints / "last.tmp"
    torch.save(state, beside)
    beside.replace(folder.checkpoints / "last.ckpt")


def _line(
    made: api.Trained, found: api.Trained, images: Part, points: int, folder: RunFolder, out: Console
) -> dict[str, Any]:
    """Score nets between both, with BatchNorm statistics retaken at each; the record, a table and a figure."""
    shares, scores = [at / (points - 1) for at in range(points)], []
    size = made.config["evaluation"]["batch"]
    with Pace(out, float(points), f"{points} nets on the line") as pace:
        for share in shares:
            net = with_fresh_statistics(
                between(made.net, found.net, share),
                images.images,
                normalise=made.normalisation,
                batch=size,
                precision=_precision(made),
            )
            scores.append(_score(made, net, images))
            pace.step(1.0, f"{share:.2f}")
    high = barrier(shares, [score.cross_entropy for score in scores])
    columns = {"cross_entropy": [score.cross_entropy for score in scores], "error": [score.error for score in scores]}
    table = pl.DataFrame({"share": shares} | columns)
    table.write_csv(folder.path / "line.csv")
    statistics = f"Statistics of norms taken anew at each point over {len(images)} images in batches of {size}."
    drawing = line(table, statistics=statistics)
    panel = Panel("line", "loss along the line to SGD's net", "depth", lambda _: drawing)
    write_figures([(panel, drawing)], folder.path, experiment=f"constructed, depth {made.config['depth']}")
    out.print(f"line to the net that SGD found, {points} points: barrier {high:.4g} nats, losses")
    out.print("  ".join(f"{loss:.3g}" for loss in columns["cross_entropy"]))
    return {"barrier": high, "points": table.to_dicts(), "to": weights_hash(found.net)}


def _next(folder: RunFolder, source: RunFolder, config: dict[str, Any], depth: int, out: Console) -> None:
    files = sorted(path.name for path in folder.path.iterdir() if path.is_file())
    out.print(f"wrote {folder.path}: checkpoints/last.ckpt, {', '.join(files)}", markup=False, soft_wrap=True)
    dropped = ("depth=", "seed=", "jobs=", "intervention", "experiment=")
    kept = [shlex.quote(word) for word in config["run"]["overrides"] if not word.startswith(dropped)]
    start = f"intervention=constructed \"intervention.run='{source.path}'\""
    out.print(
        f"to train on from it: reslab train {' '.join([*kept, f'depth={depth}', start])}", markup=False, soft_wrap=True
    )
