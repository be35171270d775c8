"""Points of a sweep are composed from remembered words and bases, and share nothing that one of them could change."""

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from reslab.launch.compose import Composer, compose
from reslab.launch.paths import conf_folder


@pytest.fixture
def composer():
    """Of one sweep."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield Composer(loader, loader.load_configuration("train", [], RunMode.RUN))
    GlobalHydra.instance().clear()


WORDS = ("study.looks=[2,4]", "evaluation.points=4", "tracking=disabled", "recipe.augment.pad=0", "+callbacks.a.x=[1]")
POINTS = [
    (*WORDS, f"shortcut={shortcut}", f"depth={depth}", f"recipe={recipe}")
    for shortcut in ("none", "projection")
    for depth in (8, 14)
    for recipe in ("digits", "short")
]


def test_a_sweep_composes_what_each_point_alone_would(composer):
    for _ in range(2):  # the second time every word is known
        for point in POINTS:
            config, choices = composer.point(point)
            alone, alone_choices = compose("train", point)
            assert OmegaConf.to_container(config) == OmegaConf.to_container(alone)
            assert choices == alone_choices


def test_to_change_one_point_changes_no_other(composer):
    first, choices = composer.point(POINTS[0])
    before = OmegaConf.to_container(first)
    with open_dict(first):
        first.study.looks.append(99)
        first.callbacks.a.x.append(99)
        first.recipe.lr = 99.0
    choices["shortcut"] = "changed"
    again, choices = composer.point(POINTS[0])
    assert OmegaConf.to_container(again) == before
    assert choices["shortcut"] == "none"


def test_each_word_is_parsed_once(composer, monkeypatch):
    seen, parse = [], composer._parser.parse_overrides
    monkeypatch.setattr(composer._parser, "parse_overrides", lambda words: (seen.extend(words), parse(words))[1])
    for point in POINTS:
        composer.point(point)
    assert sorted(seen) == sorted({word for point in POINTS for word in point})
