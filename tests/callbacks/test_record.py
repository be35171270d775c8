"""What probes do to a run (nothing), when they measure, and what is left on disk: whole runs through the worker."""

import importlib
import inspect
import math
import pkgutil
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from reslab import probes
from reslab.data.module import ImageData
from reslab.launch import worker
from reslab.launch.compose import compose
from reslab.launch.ranks import Place
from reslab.launch.worker import Run
from reslab.runs.folder import RunFolder, read_json
from reslab.runs.integrity import RESULT
from reslab.runs.reading import read_config
from reslab.runs.readings import read_readings, readings_file
from reslab.runs.record import read_rows
from settings import SMALL

RUN = (*SMALL, "recipe.steps=14", "probes.images=48", "probes.chunk=16")
SCHEDULE = [0, 1, 2, 3, 5, 8, 13, 14]


def shipped():
    """Every probe of the package that a preset can name: a function that gives readings of a net or a step."""
    found = set()
    for module in pkgutil.iter_modules(probes.__path__, "reslab.probes."):
        if module.name == "reslab.probes.copies":
            continue
        loaded = importlib.import_module(module.name)
        for name, value in vars(loaded).items():
            public = inspect.isfunction(value) and value.__module__ == module.name and not name.startswith("_")
            if public and {"bn", "before"} & set(inspect.signature(value).parameters):
                found.add(name)
    return found


def trained(train, tmp_path, name, *overrides, code=0):
    assert train(*RUN, *overrides, f"outputs={tmp_path / name}") == code
    (folder,) = (tmp_path / name / "runs").glob("*/seed=0")
    return RunFolder(folder)


def without_probes(folder):
    rows = [{k: v for k, v in row.items() if not k.startswith("probes/")} for row in read_rows(folder.metrics)]
    return [row for row in rows if len(row) > 4]  # more than schema, attempt, step, samples


class KilledError(Exception):
    """Instead of SIGKILL, in this process."""


def stop_at(folder, step, monkeypatch):
    """Train the run of a folder until it has made so many steps; nothing is written on the way out."""
    with monkeypatch.context() as patch:
        batch, rows, opened = ImageData.batch, worker.Rows, []

        def killing(self, at):
            if at == step:
                raise KilledError
            return batch(self, at)

        patch.setattr(ImageData, "batch", killing)
        patch.setattr(worker, "Rows", lambda *settings: opened.append(rows(*settings)) or opened[-1])
        patch.setattr("reslab.launch.instruments.Instruments.on_exception", lambda *_: None)
        with pytest.raises(KilledError):
            Run(folder, read_config(folder.config), Place()).execute()
        opened[-1].close()


@pytest.mark.parametrize("precision", ["fp32", "bf16-mixed"])
@pytest.mark.parametrize("shortcut", ["none", "identity"])
def test_weights_and_rows_are_bitwise_those_of_a_run_without_probes(train, tmp_path, shortcut, precision):
    words = (f"shortcut={shortcut}", f"recipe.precision={precision}")
    off, full = (trained(train, tmp_path, name, *words, f"probes={name}") for name in ("off", "full"))
    assert read_json(off.result)["weights"] == read_json(full.result)["weights"]
    assert without_probes(off) == without_probes(full)
    assert not readings_file(off).exists()
    for part in ("train", "train_fresh_norm", "validation", "test"):
        assert read_json(off.result)[part] == read_json(full.result)[part]


def test_every_probe_of_the_package_records_at_every_scheduled_step(train, tmp_path):
    folder = trained(train, tmp_path, "full", "probes=full")
    found = read_readings(folder)
    assert set(found["run"]) == {f"{read_json(folder.result)['cell'][:12]}-s0"}
    recorded = set(found["probe"])
    assert {probe.partition("/")[0] for probe in recorded} == shipped()
    assert recorded >= {"update_geometry/train", "branch_ratio/train", "shattered_gradients/frozen"}
    for probe in recorded:
        own = found.filter(probe=probe)
        assert own["step"].unique().sort().to_list() == SCHEDULE
        later = own.filter(own["step"] > 0)
        keys = [later.filter(step=step).select("layer", "statistic").rows() for step in SCHEDULE[1:]]
        assert all(other == keys[0] for other in keys)
        assert len(set(keys[0])) == len(keys[0])
    assert found.filter(probe="update_geometry/train")["error"].null_count() == len(
        found.filter(probe="update_geometry/train")
    )
    assert found.filter(probe="branch_ratio/train")["error"].null_count() == 0
    rows = {row["step"]: row for row in read_rows(folder.metrics)}
    assert sorted(rows) == sorted({*SCHEDULE, 0, 5, 9, 14})
    last = found.filter(step=14, statistic="freeze_index")["value"].item()
    assert rows[14]["probes/update_geometry/train/freeze_index"] == last
    assert "train/error" in rows[14]
    assert "train/error" not in rows[13]


def test_the_result_says_what_measuring_cost_and_on_which_images(train, tmp_path):
    results = {name: read_json(trained(train, tmp_path, name, f"probes={name}").result) for name in ("light", "full")}
    for name, result in results.items():
        said = result["probes"]
        assert RESULT["probes"].holds(said)
        assert said["seconds"] > 0
        assert said["share"] > 0
        assert said["images"] == (48 if name == "full" else 0)
    assert results["light"]["probes"]["names"] == ["update_geometry/train"]
    again = read_json(trained(train, tmp_path, "again", "probes=full", "shortcut=none", "seed=0").result)
    assert again["probes"]["batch"] == results["full"]["probes"]["batch"] != None  # noqa: E711


def test_a_schedule_of_ones_own(train, tmp_path):
    folder = trained(train, tmp_path, "own", "probes=full", "probes.at=[0,4,14]")
    assert read_readings(folder)["step"].unique().sort().to_list() == [0, 4, 14]


def test_a_step_beyond_the_budget_is_refused(train, tmp_path):
    with pytest.raises(ValueError, match=r"probes.at has step 99, which is not within 0 to 14"):
        trained(train, tmp_path, "beyond", "probes=full", "probes.at=[0,99]")
    assert not (tmp_path / "beyond").exists()


def test_a_diverged_run_is_measured_to_its_end(train, tmp_path):
    folder = trained(train, tmp_path, "diverged", "probes=full", "norm=absent", "recipe.lr=1e30")
    result, found = read_json(folder.result), read_readings(folder)
    assert result["outcome"] == "diverged"
    last = found.filter(step=result["step"])
    assert set(last["probe"]) == set(found["probe"])
    assert all(math.isnan(v) for v in last.filter(statistic="gradient_norm", layer="trunk.0.0")["value"])


@pytest.mark.filterwarnings("ignore:The `srun` command", "ignore::FutureWarning", "ignore:You.re resuming")
@pytest.mark.parametrize("stop", [5, 7, 10])
def test_a_resumed_run_has_bitwise_the_readings_of_one_that_went_through(train, tmp_path, monkeypatch, stop):
    whole = trained(train, tmp_path, "whole", "probes=full")
    folder = RunFolder(Path(str(whole.path).replace("/whole/", "/part/")))
    folder.path.mkdir(parents=True)
    text = whole.config.read_text().replace(str(tmp_path / "whole"), str(tmp_path / "part"))
    folder.config.write_text(text)
    stop_at(folder, stop, monkeypatch)
    assert (folder.checkpoints / "last.ckpt").exists()
    Run(folder, read_config(folder.config), Place()).execute()
    assert read_json(folder.result)["weights"] == read_json(whole.result)["weights"]
    one, other = (read_readings(f).sort("probe", "step", maintain_order=True) for f in (whole, folder))
    assert one.equals(other)
    shutil.rmtree(folder.path)


@pytest.mark.filterwarnings("ignore:The `srun` command", "ignore::FutureWarning", "ignore:You.re resuming")
def test_a_run_that_began_without_probes_goes_on_with_them(train, tmp_path, monkeypatch):
    """Its norms at step 0 are unknown then, and said to be; nothing else is lost."""
    folder = trained(train, tmp_path, "off", "probes=off")
    whole = read_json(folder.result)["weights"]
    folder.result.unlink()
    shutil.rmtree(folder.checkpoints)
    stop_at(folder, 7, monkeypatch)
    light = OmegaConf.to_container(compose("train", [*RUN, "probes=light"])[0].probes, resolve=True)
    Run(folder, read_config(folder.config) | {"probes": light}, Place()).execute()
    found = read_readings(folder)
    assert found["step"].unique().sort().to_list() == [8, 13, 14]
    growth = found.filter(statistic="norm_growth")["value"].to_list()
    assert growth
    assert all(math.isnan(value) for value in growth)
    assert not any(math.isnan(value) for value in found.filter(statistic="angle")["value"])
    assert read_json(folder.result)["weights"] == whole


def test_a_probe_of_ones_own(train, tmp_path, monkeypatch):
    (tmp_path / "mylab.py").write_text(
        "from reslab.probes.reading import Reading\n\n\ndef weights(net, batch, *, times):\n"
        "    return [Reading('trunk', 'weights', times * sum(p.numel() for p in net.parameters()), None)]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    own = "+probes.of_net={weights: {_target_: mylab.weights, _partial_: true, times: 2.0}}"
    folder = trained(train, tmp_path, "own", "trust=[mylab]", own, "probes.at=[3]")
    found = read_readings(folder).filter(probe="weights/train")
    assert found.select("step", "layer", "value").rows() == [(3, "trunk", 2.0 * read_json(folder.result)["params"])]


def test_a_net_without_convolutions_has_nothing_to_say(train, tmp_path, monkeypatch):
    (tmp_path / "mylab.py").write_text(
        "from torch import nn\n\n\ndef flat(choices, image):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(image.channels * image.size**2, image.classes))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "conf/net").mkdir(parents=True)
    (tmp_path / "conf/net/flat.yaml").write_text("_target_: mylab.flat\n_partial_: true\n")
    folder = trained(train, tmp_path, "flat", "net=flat", "trust=[mylab]", "probes=light")
    assert read_json(folder.result)["outcome"] in ("trained", "at_chance")
    assert read_readings(folder).is_empty()
