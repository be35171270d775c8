"""One torch thread, checked shapes, no W&B server; the table of real components at the end."""

import os

os.environ.update(OMP_NUM_THREADS="1", WANDB_MODE="offline", WANDB_ERROR_REPORTING="false", NETRC="/nonexistent")
os.environ.pop("WANDB_API_KEY", None)

from jaxtyping import install_import_hook

install_import_hook("reslab", "beartype.beartype")

import sys  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402

from settings import SMALL  # noqa: E402

pytest_plugins = ("security.counts", "faults.table")
REAL = ("real", "hardware")
outcomes: dict[str, set[str]] = {}
missing: set[str] = set()


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def train(tmp_path, monkeypatch):
    """`reslab train` inside this process, in a folder of its own; runs are forked from one warm server."""
    from reslab.commands.train import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reslab"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda *overrides: main(list(overrides))


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.chdir(folder)
        context.setattr(sys, "argv", ["reslab"])
        from reslab.commands.train import main

        assert main([*SMALL, "shortcut=identity"]) == 0
    return next((folder / "outputs" / "runs").glob("*/seed=0"))


@pytest.fixture
def finished_run(_finished):
    """The folder of one small finished run; read it, do not change it."""
    return _finished


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    report.user_properties += [(mark.name, mark.args[0]) for mark in item.iter_markers() if mark.name in REAL]


def pytest_runtest_logreport(report):
    """Also called in the process that collects from the parallel ones."""
    for kind, name in report.user_properties:
        if kind in REAL and report.when == "call" and not report.skipped:
            outcomes.setdefault(name, set()).add("ran" if report.passed else "FAILED")
        elif kind in REAL and report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            outcomes.setdefault(name, set()).add(f"skipped: {reason.removeprefix('Skipped: ')}")
            if kind == "real":
                missing.add(name)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """As root every program can be installed, so there a missing one is a failure and not a skip; a GPU cannot."""
    if missing and os.geteuid() == 0 and session.exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter):
    if outcomes:
        terminalreporter.section("real components")
        for name, said in sorted(outcomes.items()):
            terminalreporter.write_line(f"{name:<55} {', '.join(sorted(said))}")
