"""The panels as a W&B workspace: each once, in its place, by flat keys, to the letter the same; saved once."""

import json
import random
import subprocess
import sys
from dataclasses import replace

import pytest

from probes import slow
from reslab import api
from reslab.probes.signal import signal_propagation
from reslab.report import workspace as module
from reslab.report.panels import PANELS, Panel, Tracked
from reslab.runs.folder import read_json
from reslab.runs.record import read_rows
from reslab.tracking import mirror
from tracking.wandb_server import ENTITY, KEY

pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style")  # wandb_workspaces, at its import
OWN = (
    Panel("depth", "Error", "depth", lambda _: None, tracked=Tracked("scatter", "depth", ("final/train_error",))),
    Panel("gaps", "Gaps", "verdict", lambda _: None, tracked=Tracked("bar", "cell", ("final/train_error",), "cell")),
    Panel("words", "Words", "verdict", lambda _: None),
    Panel("curves", "Curves", "curves", lambda _: None, tracked=Tracked("line", "step", ("train/error", "lr"), "cell")),
    Panel("plain", "Plain curves", "curves", lambda _: None, tracked=Tracked("line", "step", ("running/loss",))),
    Panel("cells", "Cells", "cells", lambda _: None, tracked=Tracked("table", "cell", ("final/test_error", "params"))),
    Panel(
        "test", "Test", "depth", lambda _: None, tracked=Tracked("scatter", "params", ("final/test_error",), "depth")
    ),
)
ORDER = ("Verdict", "Depth", "Curves", "Instrument", "Cells")


def made(panels=OWN, **changed):
    given = {"entity": "e", "project": "p", "experiment": "x", "figures": ()} | changed
    return module.workspace(**given, panels=panels)


def sections(found):
    return {s["name"]: s["panels"] for s in found["section"]["panelBankConfig"]["sections"]}


def title(panel):
    """As W&B stores it; its tables have none, and are known by the key in their query."""
    return panel["config"].get("chartTitle") or json.dumps(panel["config"])


def test_every_tracked_panel_is_there_once_in_its_section_in_order():
    orders = [random.Random(n).sample(OWN, len(OWN)) for n in range(10)]
    for panels in (OWN, PANELS, *orders):
        found = sections(module.as_json(made(tuple(panels))))
        assert tuple(found) == ORDER
        for name, drawn in found.items():
            wanted = [p for p in panels if p.section == name.lower() and p.tracked is not None]
            assert len(drawn) == len(wanted)
            for panel, spec in zip(wanted, drawn, strict=True):
                known = f"tables/{panel.key}" if panel.tracked.kind == "table" else panel.title
                assert known in title(spec)


def test_each_kind_asks_for_its_keys_where_they_are():
    found = sections(module.as_json(made()))
    error, test = found["Depth"]
    assert (error["viewType"], error["config"]["xAxis"]) == ("Scatter Plot", "config:depth.value")
    assert error["config"]["yAxis"] == "summary:final/train_error"
    assert test["config"]["xAxis"] == "config:params.value"
    curves, plain = (panel["config"] for panel in found["Curves"])
    assert (curves["xAxis"], curves["metrics"]) == ("step", ["train/error", "lr"])
    assert (curves["groupBy"], curves["groupAgg"], curves["groupArea"]) == ("cell.value", "mean", "stderr")
    assert "groupBy" not in plain
    (bars,) = (panel["config"] for panel in found["Verdict"])
    assert (bars["metrics"], bars["groupBy"]) == (["final/train_error"], "cell.value")


def test_runs_are_those_of_the_experiment_grouped_by_cell():
    (runs,) = module.as_json(made(experiment="degradation"))["section"]["runSets"]
    assert runs["grouping"] == [{"section": "config", "name": "cell.value"}]
    (only,) = runs["filters"]["filters"]
    assert (only["key"]["name"], only["op"], only["value"]) == ("tags", "IN", ["degradation"])
    columns = runs["runFeed"]["columnOrder"]
    assert columns[0] == "run:displayName"
    assert {"config:shortcut.value", "summary:final/test_error", "config:params.value"} <= set(columns)


def test_the_same_panels_give_the_same_workspace_to_the_letter():
    code = (
        "from tracking.test_workspace import OWN, made, module; import json;"
        "print(json.dumps(module.as_json(made(figures=('depth',)))), made()._internal_name)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", f"import sys; sys.path[:0] = {sys.path}; {code}"],
            **{"capture_output": True, "text": True, "check": True, "env": {"PYTHONHASHSEED": seed}},
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{json.dumps(module.as_json(made(figures=('depth',))))} {made()._internal_name}\n"}
    ids = [panel["__id__"] for drawn in sections(module.as_json(made(figures=("depth",)))).values() for panel in drawn]
    assert len(ids) == len(set(ids)) == 7
    assert made()._internal_name != made(experiment="y")._internal_name


def test_there_and_back_it_is_the_same():
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces.workspaces import internal

    for panels in (OWN, PANELS):
        one = made(panels, figures=("depth", "gaps"))
        view = one._to_model()
        view.spec = internal.WorkspaceViewspec.model_validate(json.loads(json.dumps(module.as_json(one))))
        assert module.as_json(ws.Workspace._from_model(view)) == module.as_json(one)


def test_nested_keys_are_refused():
    for tracked in (Tracked("line", "step", ("recipe.lr",)), Tracked("bar", "cell", ("lr",), "data.size")):
        with pytest.raises(ValueError, match="is a nested key; panels take flat ones"):
            made((replace(OWN[0], tracked=tracked),))


def test_every_key_of_our_panels_is_one_that_a_run_sends(finished_run):
    rows, result = read_rows(finished_run / "metrics.jsonl"), read_json(finished_run / "result.json")
    full = signal_propagation(api.net("depth=14", "width=4"), slow.batch(), bn="train")  # of a run with probes=full
    sent = {key for row in rows for key in row} | set(mirror.summary(result))
    sent |= {f"probes/signal_propagation/train/{reading.statistic}" for reading in full if reading.layer == "trunk"}
    for panel in PANELS:
        if panel.tracked is not None:
            tracked = panel.tracked
            named = {tracked.x, *tracked.y, *([tracked.group] if tracked.group else [])}
            assert named <= sent | set(mirror.CONFIG_KEYS), panel.key


@pytest.fixture
def here(wandb, tmp_path, monkeypatch):
    """This process talks to the server, and to no other before or after."""
    import wandb as client

    client.teardown()
    monkeypatch.setenv("WANDB_BASE_URL", wandb.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    yield wandb
    client.teardown()


def save(server, file, panels=OWN):
    return module.save(made(panels, entity=ENTITY), file)


@pytest.mark.real("W&B online, against a server on 127.0.0.1")
def test_saved_once_then_updated_never_multiplied(here, tmp_path):
    file = tmp_path / "experiments" / "x" / "workspace.json"
    did, url = save(here, file)
    assert did == "made"
    assert url == read_json(file)["url"]
    assert url.startswith(f"{here.url}/{ENTITY}/p?nw=")
    (view,) = here.views.values()
    assert json.loads(view["spec"]) == module.as_json(made(entity=ENTITY))
    assert save(here, file) == ("there", url)
    assert save(here, tmp_path / "on another machine.json") == ("there", url)
    assert save(here, file, OWN[:3]) == ("updated", url)
    assert save(here, tmp_path / "on a third one.json") == ("updated", url)
    (view,) = here.views.values()
    assert json.loads(view["spec"]) == module.as_json(made(entity=ENTITY))
    here.views.clear()
    assert save(here, file) == ("made", url), "deleted at W&B, so it is made again"


@pytest.mark.real("W&B online, against a server on 127.0.0.1")
def test_what_a_reviewer_rearranged_stays_until_our_panels_change(here, tmp_path):
    file = tmp_path / "workspace.json"
    save(here, file)
    (view,) = here.views.values()
    view["spec"] = view["spec"].replace("Curves", "My curves")
    assert save(here, file)[0] == "there"
    assert "My curves" in view["spec"]
    assert save(here, file, OWN[:3])[0] == "updated"
    assert "My curves" not in next(iter(here.views.values()))["spec"]
