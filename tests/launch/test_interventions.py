"""Interventions on the command line: composed, identified, refused where they would mean nothing."""

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from reslab.launch.build import build_classifier, build_net
from reslab.launch.compose import Composer, compose
from reslab.launch.freeze import Freezer, resolve
from reslab.launch.paths import conf_folder
from reslab.training.steps import plainly

NAMES = sorted(file.stem for file in (conf_folder() / "intervention").glob("*.yaml"))
PLAIN = [name for name in NAMES if name not in ("none", "zero_gamma", "constructed")]


@pytest.fixture(scope="module")
def job():
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        composer = Composer(loader, loader.load_configuration("train", [], RunMode.RUN))
        freezer = Freezer(command="test")
        yield lambda *words: freezer.job(*composer.point(["tracking=disabled", *words]), ())
    GlobalHydra.instance().clear()


def test_every_intervention_is_a_cell_of_its_own_and_its_label_says_so(job):
    made = {name: job("shortcut=none", f"intervention={name}") for name in ["none", *PLAIN]}
    assert len({each.cell for each in made.values()}) == len(made)
    assert all(name in made[name].label for name in PLAIN)
    assert "none-d20" in made["none"].label


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("norm_projection", "intervention.update.until=10"),
        ("layer_rate_balance", "intervention.update.trust=0.02"),
        ("init_gain", "intervention.prepare.growth=1.2"),
        ("dirac_init", "intervention.prepare.noise=0.2"),
        ("budget_x3", "intervention.budget=10"),
        ("leaky", "act.slope=0.1"),
        ("long_warmup", "recipe.warmup.steps=50"),
    ],
)
def test_settings_of_an_intervention_are_part_of_the_cell(job, name, override):
    words = ("shortcut=none", f"intervention={name}")
    assert job(*words, override).cell != job(*words).cell


def test_overlays_are_laid_over_recipe_and_experiment_and_under_the_command_line():
    for words in ([], ["experiment=why_digits"], ["experiment=degradation_digits"]):
        long = resolve(*compose("train", [*words, "intervention=long_warmup"]))
        assert long["recipe"]["warmup"] == {"steps": 100, "factor": 0.01, "from_depth": 0}
        given = resolve(*compose("train", [*words, "intervention=long_warmup", "recipe.warmup.steps=7"]))
        assert given["recipe"]["warmup"]["steps"] == 7
        leaky = resolve(*compose("train", [*words, "intervention=leaky"]))
        assert (leaky["choices"]["act"], leaky["act"]["slope"]) == ("leaky", 0.01)
        assert resolve(*compose("train", [*words, "intervention=no_bn"]))["choices"]["norm"] == "absent"
    other = resolve(*compose("train", ["recipe=short", "intervention=long_warmup"]))
    assert other["recipe"]["lr"] == 0.2


def test_the_budget_is_in_the_frozen_config(job):
    assert job("intervention=budget_x3").config["recipe"]["steps"] == 690
    assert job("intervention=budget_x3", "recipe.steps=100").config["recipe"]["steps"] == 300
    assert job("intervention=budget_x3").entry()["steps"] == 690
    assert job("intervention=none").config["recipe"]["steps"] == 230


@pytest.mark.parametrize("name", ["norm_projection", "layer_rate_balance"])
def test_the_classifier_gets_the_update(job, name):
    config = job(f"intervention={name}", "depth=8").config
    assert build_classifier(config, build_net(config))._update.__qualname__.startswith(name)
    plain = job("depth=8").config
    assert build_classifier(plain, build_net(plain))._update is plainly


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["intervention=zero_gamma", "shortcut=none"], "dead for ever; use a shortcut, such as shortcut=identity"),
        (["intervention=zero_gamma", "norm=absent"], "norm=absent has none; use norm=batch"),
        (["intervention=zero_gamma", "order=pre"], "use order=post"),
        (["intervention=zero_gamma", "order=keras_pre"], "use order=post"),
        (["intervention=init_gain", "norm=absent"], "norm=absent has none; use norm=batch"),
        (["intervention=init_gain", "order=pre", "shortcut=identity"], "use order=post or shortcut=none"),
        (["intervention=norm_projection", "norm=absent"], "norm=absent has none; use norm=batch"),
        (["intervention=no_bn", "norm=group"], "norm=group undoes it"),
        (["intervention=leaky", "act=relu"], "act=relu undoes it"),
        (["intervention=budget_x3", "intervention.budget=0"], "use 3"),
        (["+intervention.upd=1"], "intervention.upd is unknown"),
        (["intervention=init_gain", "intervention.prepare.growth=0"], "growth=0 is not"),
        (["intervention=layer_rate_balance", "intervention.update.trust=-1"], "trust=-1 is not"),
        (["intervention=norm_projection", "intervention.update.until=-1"], "until=-1 is not"),
        (["intervention=dirac_init", "intervention.prepare.noise=-1"], "noise=-1 is not"),
    ],
)
def test_refused_before_any_work(words, said):
    with pytest.raises(ValueError, match="intervention") as caught:
        resolve(*compose("train", words))
    assert said in str(caught.value)


def test_what_is_refused_elsewhere_is_allowed_here(job):
    assert job("intervention=zero_gamma", "shortcut=identity")
    assert job("intervention=zero_gamma", "norm=group")
    assert job("intervention=init_gain", "order=pre", "shortcut=none")
    assert job("intervention=layer_rate_balance", "norm=absent")
