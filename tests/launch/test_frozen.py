"""The fast text of a frozen config against OmegaConf's own."""

import pytest
import yaml
from omegaconf import OmegaConf

from cells import composed
from reslab.launch.frozen import as_text
from reslab.runs.reading import parse_config

WORDS = ["yes", "null", "~", "1", "1e3", "1.5e-7", "0x1f", "0o17", "1_000", "12:30:45", "2026-01-31", ".inf", "true"]
WORDS += [
    "",
    " a",
    "a ",
    "a: b",
    "- a",
    "#a",
    "a #b",
    "'",
    '"',
    "\\",
    "é",
    "日本",
    "a\nb",
    "a\n",
    "\ta",
    "%a",
    "@a",
    "`a",
    "&a",
]
WORDS += ["!a", "*a", "{a}", "[a]", "a,b", "reslab train -m " + " ".join(f"depth={n}" for n in range(60)), "x" * 300]


@pytest.mark.parametrize("words", [(), ("recipe=he2015", "data=synthetic"), ("recipe.lr=1e-5", "seeds.init=7")])
def test_a_frozen_config_is_the_same_text(words):
    config = composed(*words)
    assert as_text(config) == OmegaConf.to_yaml(OmegaConf.create(config))


@pytest.mark.parametrize("word", WORDS)
def test_a_text_stays_a_text(word):
    """Whoever reads it, and whatever the text looks like."""
    config = {"a": word, "b": {"c": [word]}}
    text = as_text(config)
    assert parse_config(text) == config
    assert OmegaConf.to_container(OmegaConf.create(text)) == config


@pytest.mark.parametrize("value", [0, -1, 2**60, 0.1, 1e-5, 1e300, 5e-324, True, False, None, [], {}, [None, [1]]])
def test_a_value_stays_what_it_is(value):
    text = as_text({"a": value})
    found = parse_config(text)["a"]
    assert found == value
    assert type(found) is type(value)
    assert OmegaConf.to_container(OmegaConf.create(text)) == {"a": value}


def test_what_is_no_plain_value_is_refused():
    with pytest.raises(yaml.YAMLError, match="cannot represent"):
        as_text({"a": object()})
