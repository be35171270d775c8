"""Records that anybody may have written: refused with a sentence, called edited, or passed over; never obeyed."""

import json
import os
import re
import shutil
from dataclasses import asdict

import pytest
import yaml
from hypothesis import strategies as st

from report.synthetic import Grid, write_records
from reslab.analysis import table
from reslab.analysis.answer import answer
from reslab.analysis.study import Study, read_study
from reslab.report.page import page
from reslab.report.write import draw
from reslab.runs.folder import RunFolder, read_json
from reslab.runs.overview import overview
from reslab.runs.plan import add_to_plan, plan_file, read_plan
from reslab.runs.reading import parse_config, read_config
from reslab.runs.record import last_line, read_rows
from security.counts import fuzzed
from security.hostile import altered, lines, only_clear_errors, records, torn

LIVE = {"state": "running", "heartbeat": 1.0, "host": "here", "boot": "x", "pid": 1, "started": 5, "attempt": 1}
LIVE |= {"schema": 1, "origin": 1, "step": 5, "steps": 230, "rate": 3.0}
GRID = Grid(shortcuts=("none", "identity"), depths=(8, 20), seeds=1)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("records") / "outputs", grid=GRID)


def first(outputs):
    return RunFolder(outputs / read_plan(plan_file(outputs, "toy"))[0]["folder"])


def parts():
    """What one made-up run left, as the strategies need it before any test begins."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        made = write_records(Path(folder) / "outputs", grid=GRID)
        run = first(made)
        plan = [json.loads(line) for line in plan_file(made, "toy").read_text().splitlines()]
        rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
        study = json.loads((made / "experiments/toy/study.json").read_text())
        return json.loads(run.result.read_text()), plan, rows, run.config.read_text(), asdict(Study()) | study


def growing(form, levels):
    """YAML of which every line holds the one before it twice."""
    lines = ["a0: &a0 {x: y}", *(f"a{n}: &a{n} {form.format(f'*a{n - 1}')}" for n in range(1, levels))]
    return "\n".join(lines)


RESULT, PLAN, ROWS, CONFIG, STUDY = parts()
STUDY = json.loads(json.dumps(STUDY))
configs = st.one_of(
    altered(yaml.safe_load(CONFIG)).map(lambda tree: yaml.dump(tree, allow_unicode=True).encode("utf8", "replace")),
    torn(CONFIG.encode()),
    st.sampled_from(
        [
            *("!!python/object/apply:os.system ['true']", "a: !!python/name:os.system ''", "a: &a [*a]", "- " * 50_000),
            *("[" * 100_000, "{a: " * 50_000, "? " * 50_000, "a: !!float ''", "a: !!timestamp x", "a: 2020-13-45"),
            growing("[{0}, {0}]", 24),
            growing("{{<<: [{0}, {0}]}}", 24),
        ]
    ).map(str.encode),
)  # fmt: skip


@fuzzed("result.json, status.json, evaluations", 1500, data=st.one_of(records(RESULT), records(LIVE)))
def test_a_record(tmp_path, data):
    path = tmp_path / "record.json"
    path.write_bytes(data)
    found = read_json(path)
    assert found is None or isinstance(found, dict)
    json.dumps(found).encode()
    assert not any("\x1b" in word for word in (found or {}).values() if isinstance(word, str))


@fuzzed("metrics.jsonl", 800, data=lines(ROWS))
def test_rows(tmp_path, data):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(data)
    with only_clear_errors():
        found = read_rows(path)
        steps = [row["step"] for row in found]
        assert steps == sorted(set(steps))
        json.dumps(found, allow_nan=False)


@fuzzed("plan.jsonl", 1500, data=lines(PLAN))
def test_a_plan(tmp_path, data):
    path = plan_file(tmp_path, "toy")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    with only_clear_errors():
        found = read_plan(path)
        for entry in found:
            assert (tmp_path / entry["folder"]).resolve().is_relative_to(tmp_path / "runs")
        add_to_plan(path, [PLAN[0]])
        assert (PLAN[0]["cell"], 0) in {(entry["cell"], entry["seed"]) for entry in read_plan(path)}


@fuzzed("study.json", 800, data=records(STUDY))
def test_a_declaration(tmp_path, data):
    path = tmp_path / "experiments" / "toy" / "study.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    with only_clear_errors():
        found = read_study(tmp_path, "toy")
        assert Study.of(json.loads(json.dumps(asdict(found)))) == found


@fuzzed("config.yaml", 800, data=configs)
def test_a_frozen_config(tmp_path, data):
    path = tmp_path / "config.yaml"
    path.write_bytes(data)
    with only_clear_errors():
        json.dumps(read_config(path))


@fuzzed("log.txt", 200, data=st.binary(max_size=300))
def test_a_log(tmp_path, data):
    (tmp_path / "log.txt").write_bytes(data)
    assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", last_line(tmp_path / "log.txt"))


NAMED = {
    "result.json": records(RESULT),
    "status.json": records(LIVE),
    "metrics.jsonl": lines(ROWS),
    "config.yaml": configs,
}
change = st.sampled_from(sorted(NAMED)).flatmap(lambda name: NAMED[name].map(lambda data: (name, data)))


@fuzzed("a run folder, by status and by the table", 600, change=change)
def test_a_run_folder(outputs, change):
    run, (name, data) = first(outputs), change
    kept = (run.path / name).read_bytes()
    (run.path / name).write_bytes(data)
    try:
        with only_clear_errors():
            overview(outputs, "toy")
            found = table.runs(outputs, "toy")
            assert len(found) == 4
            table.cells(found)
    finally:
        (run.path / name).write_bytes(kept)


whole = st.one_of(
    change,
    lines(PLAN).map(lambda data: ("plan.jsonl", data)),
    records(STUDY).map(lambda data: ("study.json", data)),
)


@fuzzed("an experiment, by the report", 25, change=whole)
def test_an_experiment(outputs, tmp_path, change):
    name, data = change
    place = outputs / "experiments/toy" if name in ("plan.jsonl", "study.json") else first(outputs).path
    kept = (place / name).read_bytes()
    (place / name).write_bytes(data)
    try:
        with only_clear_errors():
            answered = answer(outputs, "toy")
            html = page(answered, draw(answered), folder=tmp_path, outputs=outputs)
            html.encode()
            assert html.count("<script") == html.count("</script>")
    finally:
        (place / name).write_bytes(kept)


def test_a_command_that_would_be_copied_into_a_shell_is_one_of_ours(tmp_path):
    path = plan_file(tmp_path, "toy")
    path.parent.mkdir(parents=True)
    for command in (
        "reslab train; rm -rf x",
        "rm -rf x",
        "reslab train $(rm x)",
        "reslab train 'x",
        "reslab train\nrm x",
    ):
        path.write_text(json.dumps(PLAN[0] | {"command": command}) + "\n")
        with pytest.raises(ValueError, match=r"line 1 of .* has command=.* not a command of reslab"):
            read_plan(path)
    path.write_text(json.dumps(PLAN[0] | {"command": "reslab train 'seed=range(0,3)' '+callbacks.x.y=a; b'"}) + "\n")
    assert len(read_plan(path)) == 1


def test_yaml_that_grows_is_refused_at_once():
    with pytest.raises(ValueError, match="aliases"):
        parse_config(growing("[{0}, {0}]", 60))


def test_what_is_shown_commands_no_terminal(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"reason": "\x1b]52;c;cm0gLXJm\x07 \x9b2J \x00", "key\x1b": ["\ud800"]}))
    assert read_json(path) == {"reason": "\ufffd]52;c;cm0gLXJm\ufffd \ufffd2J \ufffd", "key\ufffd": ["\ufffd"]}


def test_records_that_never_end(tmp_path, outputs):
    """A pipe, a device, a file of many gigabytes that takes no room."""
    copied = shutil.copytree(outputs, tmp_path / "outputs")
    run = first(copied)
    for make in (lambda path: os.mkfifo(path), lambda path: path.symlink_to("/dev/zero"), lambda path: sparse(path)):
        for name in ("result.json", "status.json", "metrics.jsonl", "config.yaml", "log.txt"):
            path = run.path / name
            kept = path.read_bytes() if path.exists() else None
            path.unlink(missing_ok=True)
            make(path)
            with only_clear_errors():
                overview(copied, "toy")
                assert len(table.runs(copied, "toy")) == 4
            with only_clear_errors():
                read_rows(run.metrics)
            assert set(last_line(run.log)) <= {"\ufffd"}
            path.unlink()
            if kept is not None:
                path.write_bytes(kept)


def sparse(path):
    with path.open("wb") as file:
        file.truncate(2**36)
