"""Sweep points from Hydra, fast and strict: each combination of group choices is composed once, values are laid over.

Stock Hydra composes every point twice (0.2 s each). Keys are checked here because Hydra accepts a mistyped key
behind `+` and `++`.
"""

import difflib
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from reslab.launch.paths import conf_folder
from reslab.launch.secrets import without_secrets


class Composer:
    """Composes points of one sweep; `install` makes Hydra's own check of all points use it too."""

    def __init__(self, loader: Any, master: DictConfig) -> None:
        """`master` is the composed config of the whole command line."""
        self._slow, self._loader, self._master = loader.load_sweep_config, loader, master
        self._parser = OverridesParser.create()
        self._bases: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}
        self._copies: dict[tuple[str, ...], tuple[bytes, dict[str, Any]]] = {}
        self._words: dict[str, tuple[Override, bool]] = {}

    def install(self) -> None:
        """Answer the sweeper's check with group choices alone."""
        self._loader.load_sweep_config = lambda master_config, sweep_overrides: self._base(
            self._split(sweep_overrides)[0]
        )[0]

    def point(self, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str | None]]:
        """One point's config without `hydra`, and the choice made in each group; ValueError for unknown keys."""
        groups, values = self._split(without_secrets(overrides))
        full, base = self._base(groups)
        if groups not in self._copies:
            self._copies[groups] = pickle.dumps(base), dict(leaves(OmegaConf.to_container(base, resolve=False)))
        copy, known = self._copies[groups]
        check(values, known)
        config: DictConfig = pickle.loads(copy)  # a fifth of the time of copy.deepcopy
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return config, dict(full.hydra.runtime.choices)

    def _split(self, overrides: Sequence[str]) -> tuple[tuple[str, ...], list[Override]]:
        parsed = [self._parse(word) for word in overrides]
        groups = tuple(override.input_line for override, is_group in parsed if is_group)
        return groups, [override for override, is_group in parsed if not is_group and not override.is_hydra_override()]

    def _parse(self, word: str) -> tuple[Override, bool]:
        """A word, and whether it chooses of a group; remembered: the points of a sweep are made of few words."""
        if word not in self._words:
            try:
                (override,) = self._parser.parse_overrides([word])
            except RecursionError:
                raise ValueError(f"{word[:60]}... is nested too deeply") from None
            if not override.key_or_group:
                raise ValueError(f"{word[:60]} names no setting; use KEY=VALUE")
            is_group = self._is_group(override)
            if is_group and override.is_delete():
                key = override.key_or_group
                raise ValueError(f"~{key} would delete a choice that every run needs; use {key}=NAME")
            self._words[word] = override, is_group
        return self._words[word]

    def _is_group(self, override: Override) -> bool:
        """A choice of this verb's defaults list, or a group added to it; for `report`, `experiment` is a text."""
        group = override.key_or_group
        chosen = group in self._master.hydra.runtime.choices or override.is_add()
        names_one = isinstance(override.value(), str | None)  # a mapping lays values over the choice
        return chosen and names_one and self._loader.repository.group_exists(group)

    def _base(self, groups: tuple[str, ...]) -> tuple[DictConfig, DictConfig]:
        if groups not in self._bases:
            full = self._slow(self._master, list(groups))
            task = OmegaConf.masked_copy(full, [key for key in full if key != "hydra"])
            OmegaConf.set_struct(task, True)
            self._bases[groups] = full, task
        return self._bases[groups]


@contextmanager
def composer(verb: str) -> Iterator[Composer]:
    """For points of a verb outside a Hydra application; a notebook or an application around us keeps its own."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            yield Composer(loader, loader.load_configuration(verb, [], RunMode.RUN))
    finally:
        GlobalHydra.instance().hydra = outer


def compose(verb: str, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str | None]]:
    """One config outside a Hydra application (other verbs, notebooks), checked as a sweep's points are."""
    with composer(verb) as one:
        return one.point(list(overrides))


def known_keys(verb: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Every key of a verb's config, with the group choices that can be made out in a command line."""
    words = [word.lstrip("+") for word in arguments if "=" in word and not word.startswith("-")]
    for chosen in (words, []):
        groups = [w for w in chosen if (conf_folder() / w.partition("=")[0] / f"{w.partition('=')[2]}.yaml").is_file()]
        try:
            return dict(leaves(OmegaConf.to_container(compose(verb, groups)[0], resolve=False)))
        except (HydraException, OmegaConfBaseException, ValueError):
            continue
    return {}


def check(overrides: Sequence[Override], known: Mapping[str, Any]) -> None:
    """ValueError for a key that is not `known` (also behind + and ++), or a value of another type."""
    for override in overrides:
        key = override.key_or_group
        if key not in known and not any(k.startswith(f"{key}.") for k in known):
            # a choice of open contents: a node that is empty by default may be given entries
            parents = [key.rsplit(".", n)[0] for n in range(1, key.count(".") + 1)]
            if not any(known.get(parent) == {} for parent in parents):
                raise ValueError(f"unknown key {key!r}{did_you_mean(key, known)}")
            continue
        if override.is_delete():
            raise ValueError(f"~{key} would delete a setting that every run needs; set it to another value")
        given = override.value()
        if key not in known and not isinstance(given, Mapping):
            raise ValueError(f"{key} is a group of settings; set one of them, such as {_first(key, known)}=...")
        for name, value in leaves(given, key):
            if name not in known and known.get(key) != {}:
                raise ValueError(f"unknown key {name!r}{did_you_mean(name, known)}")
            check_type(name, value, known.get(name))


def check_type(key: str, value: Any, default: Any) -> None:
    """ValueError unless `value` is of the kind of `default`; integers pass for floats, "auto" for what may be auto."""
    if key == "seed" and value is None:
        raise ValueError("seed=null would leave the run unseeded and unrepeatable; use seed=0")
    text = default if isinstance(default, str) else ""
    if default is None or text == "???" or "${" in text or (text == "auto" and isinstance(value, int | str)):
        return
    kinds = {bool: bool, int: int, float: int | float, str: str, list: list, dict: dict}
    expected = next(kind for kind in kinds if isinstance(default, kind))
    if not isinstance(value, kinds[expected]) or (expected in (int, float) and isinstance(value, bool)):
        if expected is str and isinstance(value, int | float):
            return  # an unquoted number is fine where a text is wanted
        raise ValueError(f"{key}={value} is not {_article(expected)}; the default is {key}={default}")


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every leaf; empty mappings and lists count as leaves."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def did_you_mean(key: str, known: Mapping[str, Any]) -> str:
    """A suggestion, or the keys beside it."""
    groups = {k.rsplit(".", n)[0] for k in known for n in range(k.count(".") + 1)}
    near = difflib.get_close_matches(key, sorted(groups), n=1, cutoff=0.5)
    last = [k for k in known if k.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
    if last or near:
        return f"; did you mean {(last or near)[0]}?"
    return f"; top-level keys are {', '.join(sorted({k.split('.')[0] for k in known}))}"


def _first(key: str, known: Mapping[str, Any]) -> str:
    return next(name for name in known if name.startswith(f"{key}."))


def _article(kind: type) -> str:
    names = {int: "an integer", float: "a number", bool: "true or false", list: "a list", dict: "a mapping"}
    return names.get(kind, "a text")
