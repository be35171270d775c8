"""How many inputs each reader was given, told at the end of the session; a plugin of pytest."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

given_to: Counter[str] = Counter()
told: Counter[str] = Counter()
seen: Counter[str] = Counter()


def fuzzed(reader, examples, **strategies):
    """A test of so many inputs, the same ones on every machine; each call of it is counted."""
    fixed = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    def decorate(test):
        def counted(*fixtures, **values):
            given_to[reader] += 1
            test(*fixtures, **values)

        counted.__wrapped__, counted.__name__, counted.__doc__ = test, test.__name__, test.__doc__
        counted.__module__ = test.__module__
        return fixed(given(**strategies)(counted))

    return decorate


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "call":
        report.user_properties += [("fuzzed", f"{name}={n}") for name, n in (given_to - told).items()]
        told.update(given_to - told)


def pytest_runtest_logreport(report):
    """Also called in the process that collects from the parallel ones."""
    for kind, said in report.user_properties:
        if kind == "fuzzed" and report.when == "call":
            name, _, n = said.rpartition("=")
            seen[name] += int(n)


def pytest_terminal_summary(terminalreporter):
    if seen:
        terminalreporter.section("fuzzed")
        for name, n in sorted(seen.items()):
            terminalreporter.write_line(f"{name:<55} {n:>6,} inputs")
        terminalreporter.write_line(f"{'all':<55} {sum(seen.values()):>6,} inputs")
