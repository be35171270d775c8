"""W&B as a mirror: what lands in its file is what the record says, and it never stops a run."""

import struct
import warnings

import pytest
from wandb.proto import wandb_internal_pb2

from reslab.runs.folder import read_json
from reslab.runs.record import read_rows
from reslab.tracking import mirror
from reslab.tracking import run as tracking
from settings import SMALL

CONFIG = {
    "tracking": {"mode": "auto", "project": "reslab", "entity": None, "init_timeout": 2, "finish_timeout": 5},
    "run": {"cell": "c" * 64, "label": "l" * 96, "experiment": "e" * 90, "params": 1, "macs": 2, "folder": "none"},
    "choices": {name: "x" for name in ("block", "order", "shortcut", "norm", "net", "act", "data", "recipe")}
    | {"intervention": "none"},
    "recipe": {"lr": 0.1, "steps": 20, "batch": 64, "precision": "fp32"},
    "depth": 8,
    "width": 4,
    "seed": 3,
}


def records(file):
    """The records of a .wandb file: LevelDB log framing around protobuf; written from the format's description."""
    data, at, parts = file.read_bytes(), 7, []
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


@pytest.mark.real("W&B offline, file read back")
def test_the_offline_file_mirrors_the_record(train, tmp_path):
    small = [word for word in SMALL if not word.startswith("tracking")] + ["probes=off"]
    assert train("-m", *small, "seed=0,1", "shortcut=none") == 0
    files = sorted(tmp_path.glob("outputs/wandb/offline-run-*/*.wandb"))
    assert len(files) == 2
    for seed, file in enumerate(sorted(files, key=lambda f: f.name.split("-s")[-1])):
        (folder,) = tmp_path.glob(f"outputs/runs/*/seed={seed}")
        found = list(records(file))
        (run,) = [r.run for r in found if r.WhichOneof("record_type") == "run"]
        config = {item.key: item.value_json for item in run.config.update}
        assert config["shortcut"] == '"none"'
        assert (config["depth"], config["width"], config["seed"], config["params"]) == ("8", "4", str(seed), "4934")
        assert (config["lr"], config["steps"], config["batch"], config["precision"]) == ("0.1", "12", "64", '"fp32"')
        assert (config["net"], config["act"], config["intervention"]) == ('"cifar"', '"relu"', '"none"')
        assert run.run_group == folder.parent.name
        assert run.display_name == f"{folder.parent.name}-s{seed}"
        assert run.run_id.endswith(f"-s{seed}-a1")
        steps = []
        for record in found:
            if record.WhichOneof("record_type") == "history":
                row = {"/".join(i.nested_key) or i.key: i.value_json for i in record.history.item}
                steps.append((int(row["step"]), float(row["train/error"])))
        assert steps == [(row["step"], row["train/error"]) for row in read_rows(folder / "metrics.jsonl")]
        assert [r.exit.exit_code for r in found if r.WhichOneof("record_type") == "exit"] == [0]
        summary = {i.key or "/".join(i.nested_key): i.value_json for r in found for i in r.summary.update}
        assert summary["outcome"] == f'"{read_json(folder / "result.json")["outcome"]}"'
        assert "final/test_error" in summary


def test_a_failed_run_has_exit_code_1(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE")
    config = CONFIG | {"outputs": str(tmp_path)}
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises(RuntimeError, match="broken"),
        tracking.tracked(config, attempt=1),
    ):
        raise RuntimeError("broken")
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    import wandb

    wandb.teardown()  # finish() may return some milliseconds before the file is complete
    assert [r.exit.exit_code for r in records(file) if r.WhichOneof("record_type") == "exit"] == [1]


@pytest.mark.real("W&B server that does not answer")
def test_a_dead_server_neither_stops_nor_delays_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "local-" + "0" * 40)
    monkeypatch.delenv("WANDB_MODE")
    config = CONFIG | {"outputs": str(tmp_path)}
    with warnings.catch_warnings(action="ignore"), tracking.tracked(config, attempt=1) as tracker:
        tracker.log({"step": 1, "train/error": 0.5})
    assert "W&B could not start online" in capsys.readouterr().out
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


def test_an_error_while_mirroring_is_said_once_and_ends_the_mirroring(capsys):
    class Broken:
        def log(self, row):
            raise OSError("no space")

    tracker = tracking.Tracker(Broken(), 1)
    tracker.log({"step": 1})
    tracker.log({"step": 2})
    assert capsys.readouterr().out.count("W&B stopped mirroring: no space") == 1


def test_mode(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_MODE")
    assert tracking.resolve_mode("auto") == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert tracking.resolve_mode("auto") == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert tracking.resolve_mode("auto") == "disabled"
    assert tracking.resolve_mode("offline") == "offline"
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for machine in ("api.wandb.ai", "api.forge.coreweave.com", "wandb.mylab.org"):
        (tmp_path / "netrc").write_text(f"machine {machine} login user password k\n")
        assert tracking.resolve_mode("auto") == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://tracker.mylab.org")
    assert tracking.resolve_mode("auto") == "offline", "the key is for another server"
    (tmp_path / "netrc").write_text("machine tracker.mylab.org login user password k\n")
    assert tracking.resolve_mode("auto") == "online"


def test_what_a_reviewer_groups_by_is_flat_and_names_tell_cells_apart():
    other = CONFIG | {"recipe": CONFIG["recipe"] | {"lr": 0.05}, "run": CONFIG["run"] | {"cell": "d" * 64}}
    one, two = mirror.identity(CONFIG, 1), mirror.identity(other, 1)
    assert set(mirror.flat_config(CONFIG)) == set(mirror.CONFIG_KEYS)
    assert (one["config"]["lr"], two["config"]["lr"]) == (0.1, 0.05)
    assert one["name"].endswith("-cccccccc-s3")
    assert two["name"].endswith("-dddddddd-s3")
    assert len(one["name"]) <= 128  # W&B takes no more


def test_ids_are_those_of_cell_seed_and_origin():
    assert mirror.run_id(CONFIG, 2) == "cccccccccccc-s3-a2"
