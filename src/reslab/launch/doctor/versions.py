"""Installed packages against what our own metadata asks for."""

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from reslab.launch.doctor.check import Check

MALICIOUS = {"pytorch-lightning": ("2.6.2", "2.6.3"), "lightning": ("2.6.2", "2.6.3")}
NAMED = ("torch", "pytorch-lightning", "hydra-core", "wandb")
STOLEN = "it stole keys: change every password and token that this machine has seen"


def version_checks() -> list[Check]:
    """Python, every requirement, malicious releases, two Lightnings side by side."""
    requirements = [Requirement(line) for line in metadata.requires("reslab") or []]
    wanted = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    names = {*MALICIOUS, *(r.name for r in wanted)}
    installed = {name: found for name in names if (found := _version(name)) is not None}
    python = str(metadata.metadata("reslab")["Requires-Python"] or "")
    return [python_check(platform.python_version(), python), *package_checks(wanted, installed)]


def python_check(version: str, wanted: str) -> Check:
    """Whether this Python is new enough."""
    if version in SpecifierSet(wanted, prereleases=True):
        return Check("Python", "ok", version)
    return Check("Python", "problem", f"{version}, but reslab needs {wanted}", f"a virtual environment of {wanted}")


def package_checks(wanted: Sequence[Requirement], installed: Mapping[str, str]) -> list[Check]:
    """One line for the packages that matter most, and one for each that is wrong."""
    found = [check for requirement in wanted for check in _outside(requirement, installed)]
    for name, bad in MALICIOUS.items():
        if installed.get(name) in bad:
            fix = f"pip uninstall {name}; pip install 'pytorch-lightning!=2.6.2,!=2.6.3'; {STOLEN}"
            found.append(Check(name, "problem", f"{installed[name]} is a malicious release", fix))
    if "lightning" in installed and "pytorch-lightning" in installed:
        said = f"lightning {installed['lightning']} beside pytorch_lightning: callbacks of one are unknown to the other"
        found.append(Check("lightning", "warning", said, "pip uninstall lightning"))
    named = ", ".join(f"{name} {installed[name]}" for name in NAMED if name in installed)
    good = len(wanted) - len({check.name for check in found} & {requirement.name for requirement in wanted})
    return [Check("packages", "ok", f"{named}; {good} of {len(wanted)} requirements are met"), *found]


def _outside(requirement: Requirement, installed: Mapping[str, str]) -> list[Check]:
    name, version = requirement.name, installed.get(requirement.name)
    if name in MALICIOUS and version in MALICIOUS[name]:
        return []  # is told in stronger words
    if version is None:
        return [Check(name, "problem", "is not installed", f"pip install '{requirement}'")]
    if not requirement.specifier.contains(version, prereleases=True):
        said = f"{version} is outside {requirement.specifier}"
        return [Check(name, "problem", said, f"pip install '{requirement}'")]
    return []


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
