"""Identity: which settings make another cell, which are only recorded."""

import copy
import string
from functools import cache

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from reslab.launch.compose import Composer, compose, leaves
from reslab.launch.freeze import Freezer
from reslab.launch.paths import conf_folder
from reslab.runs.identity import IDENTITY, INERT, RECORDED, cell_hash, declared, identity, label

LIGHT = ("data=synthetic", "recipe=he2015", "recipe.batch=16", "trainer=cpu", "tracking=disabled", "trust=[mylab]")
CONF = conf_folder()


@pytest.fixture(scope="module")
def composer():
    """One composer for all tests of this file: a point takes milliseconds, `compose` a fifth of a second."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield Composer(loader, loader.load_configuration("train", [], RunMode.RUN))
    GlobalHydra.instance().clear()


@pytest.fixture(scope="module")
def job(composer):
    freezer = Freezer(command="test")

    @cache
    def make(*overrides):
        return freezer.job(*composer.point([*LIGHT, *overrides]), ())

    return make


@pytest.fixture(scope="module")
def base(job):
    return job()


CHANGES = [
    *("block=bottleneck", "order=pre", "shortcut=none", "shortcut=projection", "norm=group", "norm=absent"),
    *("init=glorot", "init=keras_he", "net=keras", "net=keras_v2"),
    *("block.bias=true", "norm.eps=1e-3", "norm.momentum=0.2", "net.stem.kernel=1", "init.conv.gain=1.5"),
    *("depth=56", "width=8", "recipe=short", "recipe=he2016"),
    *("data.validation=32", "data.split_seed=1", "data.size=16", "data.classes=5", "data.channels=1"),
    *("data.source.noise=32", "data.rows.train=300"),  # these two by way of the fingerprint
    *("recipe.lr=0.05", "recipe.steps=7", "recipe.batch=8", "recipe.precision=bf16-mixed", "recipe.normalise=channel"),
    *("recipe.augment.flip=false", "recipe.augment.pad=2", "recipe.weight_decay=0", "recipe.decay=[conv]"),
    *("recipe.optimiser.momentum=0.8", "recipe.optimiser.nesterov=true", "recipe.schedule.at=[0.4,0.75]"),
    *("seeds.init=5", "seeds.order=5", "seeds.augment=5"),
    *("trainer.sync_batchnorm=true", "+callbacks.mine._target_=mylab.Mine"),
]


def changed(override):
    """Bottlenecks have no depth 20."""
    return (override, "depth=29") if override == "block=bottleneck" else (override,)


@pytest.mark.parametrize("override", CHANGES)
def test_another_cell(job, base, override):
    other = job(*changed(override))
    assert other.cell != base.cell
    assert other.folder.path != base.folder.path


def test_no_two_of_these_changes_make_the_same_cell(job):
    cells = {}
    for override in CHANGES:
        cells.setdefault(job(*changed(override)).cell, []).append(override)
    assert [same for same in cells.values() if len(same) > 1] == []


@pytest.mark.parametrize(
    "override",
    [
        *("seed=7", "tracking=wandb", "tracking.project=other", "evaluation.points=3", "evaluation.subset=17"),
        *("evaluation.batch=9", "checkpoints=log", "checkpoint_every=3", "jobs=2", "trainer.threads=1"),
        *("outputs=elsewhere", "trust=[]", "trainer=auto", "data.split_seed=0"),
    ],
)
def test_recorded_and_not_another_cell(job, base, override):
    assert job(override).cell == base.cell


def test_only_the_seed_tells_seeds_apart(job):
    one, other = job("seed=1"), job("seed=2")
    assert one.cell == other.cell
    assert one.folder.path.parent == other.folder.path.parent
    assert (one.folder.path.name, other.folder.path.name) == ("seed=1", "seed=2")


def test_a_seed_of_one_stream_is_part_of_the_cell(job, base):
    fixed = job("seed=0", "seeds.init=5")
    assert fixed.cell != base.cell
    assert fixed.cell == job("seed=1", "seeds.init=5").cell
    assert fixed.cell != job("seed=0", "seeds.init=6").cell
    assert identity(fixed.config)["fixed_streams"] == {"init": 5}
    assert "fixed_streams" not in identity(base.config)


def test_a_fixed_stream_does_not_split_a_sweep_over_seeds(job):
    """Also where the seed happens to be the number that the stream is fixed at."""
    assert job("seed=5", "seeds.init=5").cell == job("seed=4", "seeds.init=5").cell


def test_what_freezing_adds_is_in_the_identity(base):
    kept = identity(base.config)
    assert kept["data.fingerprint"] == base.config["data"]["fingerprint"]
    assert kept["trainer.images_per_norm"] == 16


def test_inert_values_are_left_out(job, base):
    """So that a choice that is added later renames no old cell."""
    kept = identity(base.config)
    assert not set(INERT) & set(kept)
    without = copy.deepcopy(base.config)
    for key in INERT:
        *parents, last = key.split(".")
        node = without
        for parent in parents:
            node = node[parent]
        del node[last]
    assert cell_hash(without) == base.cell
    assert identity(job("trainer.sync_batchnorm=true").config)["trainer.sync_batchnorm"] is True


@pytest.mark.parametrize(("key", "value"), [("choices.join", "gate"), ("choices.intervention", "cut")])
def test_other_than_inert_values_count(base, key, value):
    other = copy.deepcopy(base.config)
    other["choices"][key.split(".")[1]] = value
    assert cell_hash(other) != base.cell


def test_import_paths_of_ours_do_not_count_and_those_of_others_do(base):
    def moved(to):
        other = copy.deepcopy(base.config)
        other["block"]["_target_"] = to
        return cell_hash(other)

    assert moved("reslab.elsewhere.basic") == base.cell
    assert moved("mylab.basic") != base.cell
    assert moved("reslabs.basic") != base.cell
    assert moved("mylab.basic") != moved("theirlab.basic")


def test_what_optimiser_and_schedule_are_is_seen_without_their_paths(job):
    """`_target_` of ours is left out, so that every choice must differ by its other keys."""
    ours = [CONF / "recipe" / f"{name}.yaml" for name in ("he2015", "keras", "short", "digits")]
    for key in ("optimiser", "schedule"):
        found = {}
        for file in ours:
            node = OmegaConf.to_container(OmegaConf.load(file))[key]
            found.setdefault(node["_target_"], set()).add(frozenset(set(node) - {"_target_", "_partial_"}))
        signatures = [keys for several in found.values() for keys in several]
        assert len(signatures) == len(set(signatures)) == len(found)


def test_order_of_keys_does_not_count(base):
    def turned(node):
        return {k: turned(node[k]) for k in reversed(node)} if isinstance(node, dict) else node

    assert list(turned(base.config)) != list(base.config)
    assert cell_hash(turned(base.config)) == base.cell


GOLDEN = {
    (): "bb2272074e3caf0e67e5f82b901246f2c3e4d280fd2e6ec3f98e37bd5d949f7b",
    ("shortcut=none", "depth=56"): "6b4061d3bdc12d0cc9bb1ddecab8ba9743f12156eed79c3902361cb9c1ceff26",
    (
        "recipe=short",
        "recipe.batch=16",
        "block=bottleneck",
        "depth=29",
        "shortcut=projection",
    ): "bab070699da1e384bb31ae3760f813460ba78d8ff152138eca13509c1a53e9aa",
    (
        "net=keras",
        "block=keras",
        "norm=keras",
        "init=keras_he",
        "shortcut=keras_projection",
        "recipe=keras",
    ): "cabb47d9caefc6499b1989f3f80f939215f2af90dae657548cbadc8ce563707a",
    (
        "order=pre",
        "norm=group",
        "seeds.init=5",
        "width=8",
    ): "de449cc9fdab01940799cd036a1bce0896874b3a546eaa220366b661196bd666",
}


@pytest.mark.parametrize("overrides", GOLDEN)
def test_golden_cells(job, overrides):
    """A change here renames every run on every disk: raise CELL_VERSION, and say so in the changelog."""
    assert job(*overrides).cell == GOLDEN[overrides]


def test_settings_of_an_intervention_count(base):
    other = copy.deepcopy(base.config)
    other["intervention"] = {"at": 3}
    assert cell_hash(other) != base.cell


def test_through_compose_too(base):
    assert Freezer(command="test").job(*compose("train", LIGHT), ()).cell == base.cell


@pytest.mark.parametrize("odd", ["../../etc", "a/b", "a b\n", "ü", "x" * 300, "C:\\x", "a;rm -rf", "", "..", "$HOME"])
def test_labels_are_safe_as_a_folder(base, odd):
    for group in ("block", "data", "recipe", "norm", "intervention"):
        config = copy.deepcopy(base.config)
        config["choices"][group] = odd
        made = label(config)
        assert set(made) <= set(string.ascii_letters + string.digits + "._-")
        assert 0 < len(made) <= 96
        assert made not in (".", "..")


def test_a_label_says_what_the_run_is(job, base):
    assert base.label == "basic-post-identity-d20-w16-synthetic-he2015"
    assert job("norm=group", "shortcut=none").label == "basic-post-none-d20-w16-group-synthetic-he2015"
    assert base.folder.path.parent.name == f"{base.label}-{base.cell[:8]}"


CHOICES = [f"{file.parent.name}={file.stem}" for file in sorted(CONF.glob("*/*.yaml")) if file.parent.name != "probe"]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_setting_of_every_choice_is_declared(composer, choice):
    """House rule: identity or recorded, for each key, by decision and not by chance."""
    config, choices = composer.point([choice])
    keys = {key for key, _ in leaves(OmegaConf.to_container(config, resolve=False))}
    keys |= {f"choices.{name}" for name in choices if not name.startswith("hydra/")}
    keys |= {"data.fingerprint", "trainer.images_per_norm", "run.cell"}
    assert len(keys) > 50
    assert [key for key in sorted(keys) if declared(key) is None] == []


def test_declared():
    assert declared("depth") == "identity"
    assert declared("data.classes") == "identity"
    assert declared("data.root") == "recorded"
    assert declared("trainer.sync_batchnorm") == "identity"
    assert declared("trainer.threads") == "recorded"
    assert declared("recipe.optimiser.momentum") == "identity"
    assert declared("depths") is None
    assert declared("brand_new") is None
    assert not set(IDENTITY) & set(RECORDED)
