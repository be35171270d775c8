"""The table of injected faults at the end of a run of the tests."""

import pytest

WIDTHS = "{:<64}  {:<66}  {:<10}  {:>5}  {}"
faults: dict[tuple[str, str], list[tuple[str, float, str]]] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    marks = item.iter_markers("fault")
    report.user_properties += [("fault", (mark.args[0], mark.kwargs["outcome"])) for mark in marks]


def pytest_runtest_logreport(report):
    """Also called in the process that collects from the parallel ones."""
    if report.when != "call" and report.passed:
        return
    measured = dict(report.user_properties).get("measured", "")
    for kind, fault in report.user_properties:
        if kind == "fault":
            faults.setdefault(tuple(fault), []).append((report.outcome, report.duration, measured))


def pytest_terminal_summary(terminalreporter):
    if not faults:
        return
    terminalreporter.section("injected faults")
    rows = [("fault", "asserted outcome", "result", "s", "measured")]
    for (what, outcome), found in sorted(faults.items()):
        results, seconds, measured = zip(*found, strict=True)
        result = next((said for said in results if said != "passed"), "passed")
        times = f" {len(found)}x" if found[1:] else ""
        rows.append((what, outcome, result + times, f"{sum(seconds):.1f}", "; ".join(filter(None, measured))))
    for row in rows:
        terminalreporter.write_line(WIDTHS.format(*row).rstrip())
