"""The text of a frozen config, letter by letter as OmegaConf writes it, in a tenth of its time."""

from collections.abc import Mapping
from typing import Any

import yaml
from omegaconf._utils import OmegaConfDumper


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # libyaml, where PyYAML has it
    pass


_Dumper.ignore_aliases = lambda *_: True  # a value that two keys share is written twice
_Dumper.add_representer(str, OmegaConfDumper.str_representer)  # quotes what OmegaConf would read as another type


def as_text(config: Mapping[str, Any]) -> str:
    """YAML of a plain, resolved config; OmegaConf and PyYAML read the same from it.

    yaml.YAMLError for a value that is neither a mapping, a list, a text, a number, a bool nor None.
    """
    text: str = yaml.dump(dict(config), Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)
    return text
