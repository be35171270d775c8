"""Fast composition equals Hydra's own; typing errors are caught wherever they hide."""

import itertools

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from reslab.launch.build import build_net
from reslab.launch.compose import compose, did_you_mean
from reslab.launch.construct import describe
from reslab.launch.errors import explain
from reslab.launch.freeze import resolve
from reslab.launch.paths import conf_folder
from reslab.specs import cost

GROUPS = ([], ["shortcut=none", "block=bottleneck"], ["experiment=keras_v2"], ["data=cifar10", "recipe=he2016"])
VALUES = (
    [],
    ["depth=56", "seed=3"],
    ["++recipe.lr=0.5", "recipe.augment.pad=2"],
    ["data.validation=7", "trust=[mine]"],
)


@pytest.mark.parametrize(("groups", "values"), list(itertools.product(GROUPS, VALUES)))
def test_equals_hydras_own_composition(groups, values):
    ours, choices = compose("train", [*groups, *values])
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        theirs = hydra_compose("train", [*groups, *values], return_hydra_config=True)
    expected = OmegaConf.to_container(theirs, resolve=False)
    runtime = expected.pop("hydra")["runtime"]["choices"]
    assert OmegaConf.to_container(ours, resolve=False) == expected
    assert choices == runtime


@pytest.mark.parametrize("prefix", ["", "+", "++"])
@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("recipe={lrr: 1}", "recipe.lr"),
        ("recipe.lrr=1", "recipe.lr"),
        ("deptth=20", "depth"),
        ("recipe.agument.pad=1", "recipe.augment.pad"),
    ],
)
def test_mistyped_keys_are_refused_with_a_suggestion(prefix, key, suggestion):
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Hydra's without a plus, ours with one
        compose("train", [prefix + key])
    assert f"did you mean {suggestion}?" in explain(caught.value, "train", [prefix + key])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("depth=abc", "not an integer"),
        ("depth=20.5", "not an integer"),
        ("depth=true", "not an integer"),
        ("recipe.lr=fast", "not a number"),
        ("recipe.augment.flip=3", "not true or false"),
        ("trust=mylab", "not a list"),
        ("seed=null", "use seed=0"),
        ("~recipe.lr", "every run needs"),
    ],
)
def test_bad_types_are_refused(override, words):
    with pytest.raises(ValueError, match=words):
        compose("train", [override])


def test_right_types_pass():
    composed, _ = compose("train", ["recipe.lr=1", "jobs=1", "outputs=2024", "tracking.entity=me", "depth=8"])
    assert (composed.recipe.lr, composed.jobs, composed.depth) == (1, 1, 8)


FILES = [file for file in sorted(conf_folder().glob("*/*.yaml")) if file.parent.name != "probe"]
"""The choices of train; `probe` is a choice of the verb of that name."""


@pytest.mark.parametrize("file", FILES, ids=lambda p: f"{p.parent.name}={p.stem}")
def test_every_choice_composes_and_resolves(file):
    needed = {
        "net=imagenet": ["data=synthetic", "data.size=32", "depth=18", "width=8"],
        "net=keras_v2": ["block=keras_bottleneck"],
        "block=keras_bottleneck": ["net=keras_v2"],
        "data=parquet": [f"data.{key}=1" for key in ("channels", "size", "rows.train", "rows.test", "validation")]
        + ["data.classes=2", "data.train=a", "data.test=b", "recipe.batch=1", "data.size=4", "data.rows.train=9"],
        "experiment=keras_v2": ["depth=20"],
    }
    choice = f"{file.parent.name}={file.stem}"
    if choice in ("trainer=gpu",):
        with pytest.raises(ValueError, match="no NVIDIA GPU"):
            resolve(*compose("train", [choice]))
        return
    if choice == "intervention=constructed":
        with pytest.raises(ValueError, match=r"must be given: intervention\.run="):
            resolve(*compose("train", [choice]))
        return
    composed, choices = compose("train", [choice, *needed.get(choice, [])])
    config = resolve(composed, choices)
    assert choices[file.parent.name] == file.stem
    assert config["choices"].get(file.parent.name) == (None if file.parent.name == "launcher" else file.stem)
    assert "${" not in str(config)
    assert "???" not in str(config)
    if file.parent.name not in ("data", "recipe", "trainer", "tracking", "probes", "debug", "launcher"):
        assert sum(p.numel() for p in build_net(config).parameters()) == cost(describe(config)).params


@pytest.mark.parametrize("group", sorted({f.parent.name for f in FILES}))
def test_an_unknown_choice_lists_the_known_ones(group):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        compose("train", [f"{group}=nonsense"])
    said = explain(caught.value, "train", [])
    assert f"{group}=nonsense is unknown; it is one of" in said
    for file in conf_folder().glob(f"{group}/*.yaml"):
        assert file.stem in said


@pytest.mark.parametrize("wrong", ["plain", "residual"])
def test_plain_and_residual_are_not_blocks(wrong):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        compose("train", [f"block={wrong}"])
    assert "a plain net is shortcut=none" in explain(caught.value, "train", [])


def test_a_setting_without_default_must_be_given():
    with pytest.raises(ValueError, match=r"data\.channels=\.\.\. .*data\.train=\.\.\."):
        resolve(*compose("train", ["data=parquet"]))


def test_an_application_around_us_keeps_its_own_hydra():
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        compose("train", ["depth=8"])
        assert hydra_compose("report", ["outputs=x"]).outputs == "x"


def test_did_you_mean_falls_back_to_the_top_level():
    assert did_you_mean("xyzzy", {"depth": 1, "recipe.lr": 2}) == "; top-level keys are depth, recipe"
