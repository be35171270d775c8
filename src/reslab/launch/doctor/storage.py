"""The disk under outputs, and the data."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from reslab.data.digits import Digits
from reslab.launch.construct import construct
from reslab.launch.doctor.check import Check
from reslab.launch.paths import conf_folder
from reslab.runs.folder import RunFolder, read_json, write_json

GIB = 2**30
DIGITS = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"  # as scikit-learn 1.4 to 1.9 ship them


def storage_checks(outputs: Path, root: str) -> list[Check]:
    """Outputs, digits, CIFAR-10."""
    return [*disk_checks(outputs), digits_check(), cifar_check(root)]


def disk_checks(outputs: Path) -> list[Check]:
    """Space, and whether a record can be written whole and a run be locked there; leaves nothing behind."""
    there = next(folder for folder in (outputs, *outputs.parents) if folder.exists())
    if not there.is_dir():
        return [Check("records", "problem", f"{there} is a file, not a folder", "use outputs=FOLDER")]
    other = "use outputs=FOLDER on another disk"
    free = shutil.disk_usage(there).free / GIB
    said = f"{outputs}: {free:,.1f} GiB free ({file_system(there)})"
    checks = [space_check(said, free)]
    try:
        with tempfile.TemporaryDirectory(prefix=".reslab-doctor-", dir=there) as name:
            failed = [what for what, works in (("rename", _renames), ("lock", _locks)) if not works(Path(name))]
    except OSError as error:
        return [*checks, Check("records", "problem", f"{there} cannot be written ({error.strerror})", other)]
    if failed:
        said = f"{' and '.join(failed)} fail{'s' * (len(failed) == 1)} in {there}: two commands could spoil a run"
        return [*checks, Check("records", "problem", said, other)]
    return [*checks, Check("records", "ok", "atomic rename and flock work there")]


def space_check(said: str, free: float) -> Check:
    """Below 1 GiB nothing should be started, below 5 a sweep may fill the disk."""
    if free >= 5:
        return Check("disk", "ok", said)
    fix = "free some space, use outputs=FOLDER on another disk, or checkpoints=none"
    return Check("disk", "problem" if free < 1 else "warning", said, fix)


def _renames(folder: Path) -> bool:
    try:
        for n in (1, 2):
            write_json(folder / "record.json", {"n": n})
    except OSError:
        return False
    return (read_json(folder / "record.json") or {}).get("n") == 2


def _locks(folder: Path) -> bool:
    run = RunFolder(folder / "run")
    try:
        with run.locked() as first, run.locked() as second:
            return first and not second
    except OSError:
        return False


def file_system(folder: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Its type, such as ext4 or nfs4; "unknown" where the system does not tell."""
    try:
        rows = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return "unknown"
    real = os.path.realpath(folder)
    fits = [(len(row[1]), n, row[2]) for n, row in enumerate(rows) if len(row) > 2 and _below(real, row[1])]
    return max(fits)[2] if fits else "unknown"


def _below(path: str, mount: str) -> bool:
    mount = mount.replace("\\040", " ")
    return path == mount or path.startswith(mount.rstrip("/") + "/")


def digits_check() -> Check:
    """scikit-learn's digits, by the hash of their text."""
    try:
        found = Digits().fingerprint()
    except (OSError, EOFError) as error:
        return Check("digits", "problem", str(error), "pip install --force-reinstall scikit-learn")
    if found != DIGITS:
        said = f"SHA-256 {found[:12]} instead of {DIGITS[:12]}: runs here form cells of their own"
        return Check("digits", "warning", said, "pip install --force-reinstall scikit-learn")
    return Check("digits", "ok", f"in scikit-learn, SHA-256 {found[:12]}")


def cifar_check(root: str) -> Check:
    """CIFAR-10 below `root`, with the fingerprint that its source computes."""
    tree = {"data": OmegaConf.load(conf_folder() / "data" / "cifar10.yaml")}
    made = OmegaConf.create({**tree, "_root": root})
    made.data.root = root
    config: Any = OmegaConf.to_container(made, resolve=True)
    try:
        found = construct(config["data"]["source"]).fingerprint()
    except FileNotFoundError as error:
        if "no data in" not in str(error):
            return Check("cifar10", "problem", str(error), "data.root=FOLDER of a complete copy")
        return Check(
            "cifar10",
            "note",
            f"absent from {root}; only data=cifar10 needs it (data.root=FOLDER or data.download=true)",
        )
    except (ValueError, OSError) as error:
        return Check("cifar10", "problem", str(error), "delete the file, then data.download=true")
    return Check("cifar10", "ok", f"in {root}, fingerprint {found[:12]}")
