"""Online mode against a server that speaks W&B's protocol: what arrives there, and what trouble costs (nothing)."""

import time
from pathlib import Path

import pytest
from dying import run_and_die

from reslab.runs.folder import read_json
from reslab.runs.record import read_rows
from reslab.tracking.heat import MAPS
from tracking import troubles
from tracking.conftest import LIMITS, until

pytestmark = pytest.mark.real("W&B online, against a server on 127.0.0.1")
SLACK = 20  # seconds beside the limits: training, a loaded machine; W&B's own limits are 90 s and 7 days


def rows(made):
    """What metrics.jsonl says, as W&B should know it."""
    return [{k: v for k, v in row.items() if k != "schema"} for row in read_rows(made.folder.metrics)]


def arrived(run):
    """What the server knows, without W&B's own entries."""
    return [{k: v for k, v in row.items() if not k.startswith("_")} for row in run.history]


def log(made):
    return made.folder.log.read_text()


def only(server):
    (run,) = server.runs.values()
    return run


def services(pid):
    """Live processes of W&B that serve this one; what still tries to send would try for seven days."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if words[0].endswith("wandb-core") and words[words.index("--pid") + 1] == str(pid):
            found.append(path)
    return found


def by_place(found):
    return {(row["attempt"], row["step"]): row for row in found}


def test_everything_of_a_run_arrives(lab, wandb):
    made = lab.job("shortcut=none", "seed=5")
    assert lab.run(made) == 0
    run = only(wandb)
    assert arrived(run) == rows(made)
    assert len(arrived(run)) == 4
    assert (run.name, run.exit_code, run.state) == (f"{made.cell[:12]}-s5-a1", 0, "finished")
    assert (run.group, run.job_type) == (f"{made.label}-{made.cell[:8]}", "train")
    assert run.tags == ["adhoc", "basic", "none"]
    flat = {key: run.settings[key] for key in ("shortcut", "block", "depth", "width", "seed", "cell", "params", "macs")}
    assert flat == {
        **{"shortcut": "none", "block": "basic", "depth": 8, "width": 4, "seed": 5, "cell": made.cell[:8]},
        **{"params": made.cost.params, "macs": made.cost.macs},
    }
    result = read_json(made.folder.result)
    assert run.summary["outcome"] == result["outcome"]
    for part in ("train", "validation", "test"):
        assert run.summary[f"final/{part}_error"] == result[part]["error"]
    assert not list(lab.outputs.glob("wandb/offline-run-*"))


def test_heat_maps_of_the_probes_arrive_with_the_run(lab, wandb):
    made = lab.job("shortcut=none", "seed=6", "probes=full", "probes.images=16", "probes.chunk=8")
    assert lab.run(made) == 0
    sent = [row for row in arrived(only(wandb)) if any(key.startswith("heat/") for key in row)]
    assert [row["step"] for row in sent] == [12], "once, at the last step"
    kept = {key: row for row in sent for key, row in row.items() if key.startswith("heat/")}
    assert set(kept) == {f"heat/{one.probe.partition('/')[0]}/{one.statistic}" for one in MAPS}
    for name, media in kept.items():
        (blob,) = [b for n, b in wandb.blobs.items() if f"media/images/{name}_" in n]
        assert blob.startswith(b"\x89PNG")
        assert media["_type"] == "image-file"


def test_a_run_that_breaks_is_failed_there_too(lab, wandb):
    made = lab.job()
    assert lab.run(made, troubles.break_down) == 1
    assert read_json(made.folder.result)["outcome"] == "failed"
    run = only(wandb)
    assert (run.exit_code, run.state) == (1, "failed")
    assert arrived(run) == rows(made)


def test_a_run_started_again_from_nothing_is_another_run(lab, wandb):
    """Its first history is not continued: the id carries the attempt that began at step 0."""
    made = lab.job()
    lab.run(made, troubles.break_down)
    for file in made.folder.checkpoints.glob("*"):
        file.unlink()
    assert lab.run(made) == 0
    assert sorted(name[-3:] for name in wandb.runs) == ["-a1", "-a2"]
    again = next(run for name, run in wandb.runs.items() if name.endswith("-a2"))
    assert [row["step"] for row in again.history] == [0, 4, 8, 12]


@pytest.mark.parametrize("point", ["after row", "before row", "after save"])
def test_a_killed_run_goes_on_under_its_id_and_no_row_is_lost(lab, wandb, point):
    made = lab.job("checkpoint_every=4")
    assert lab.run(made, run_and_die, point, 8) == -9
    sent = len(only(wandb).history)
    assert lab.run(made) == 0
    run = only(wandb)
    assert run.exit_code == 0
    found, own = by_place(arrived(run)), by_place(rows(made))
    assert {place: found[place] for place in own} == own
    assert {row["step"] for row in run.history} == {0, 4, 8, 12}
    assert len(run.history) == len(found), "no row was sent twice"
    assert run.history[:sent] == sorted(run.history[:sent], key=lambda row: row["step"])
    assert len({row["_step"] for row in run.history}) == len(run.history), "W&B's own counter went on"


def test_rows_that_a_kill_kept_from_being_sent_are_sent_by_the_next_attempt(lab, wandb):
    """The server is away during the whole first attempt but its start: it knows the run, and none of its rows."""
    made = lab.job("checkpoint_every=4")
    flag = str(lab.folder / "flag")
    process = lab.start(made, troubles.hold, 8, flag)  # the checkpoint of step 4 is there
    until((lab.folder / "flag.held").exists)
    wandb.down()
    wandb.run(next(iter(wandb.runs))).files.clear()
    process.kill()
    process.join()
    wandb.up()
    assert lab.run(made) == 0
    assert set(by_place(rows(made))) <= set(by_place(arrived(only(wandb))))


def test_a_server_that_is_down_at_the_start_costs_its_limit_and_no_row(lab, wandb):
    made = lab.job()
    wandb.down()
    began = time.monotonic()
    assert lab.run(made) == 0
    assert time.monotonic() - began < LIMITS["init_timeout"] + SLACK
    assert "W&B could not start online" in log(made)
    assert len(list(lab.outputs.glob("wandb/offline-run-*/*.wandb"))) == 1
    assert [row["step"] for row in rows(made)] == [0, 4, 8, 12]
    wandb.up()
    code, said = lab.push()
    assert code == 0, said
    assert arrived(wandb.runs[f"{made.cell[:12]}-s0-a1"]) == rows(made)


def test_a_server_that_answers_too_slowly_is_a_server_that_is_down(lab, wandb):
    made = lab.job()
    wandb.delay = 60
    began = time.monotonic()
    assert lab.run(made) == 0
    assert time.monotonic() - began < LIMITS["init_timeout"] + SLACK
    assert "W&B could not start online" in log(made)
    assert read_json(made.folder.result)["outcome"] in ("trained", "at_chance")


def test_a_server_that_answers_slowly_gets_every_row(lab, wandb):
    made = lab.job()
    wandb.delay = 0.3
    assert lab.run(made) == 0
    assert arrived(only(wandb)) == rows(made)


def test_a_server_that_says_503_is_asked_again(lab, wandb):
    made = lab.job("tracking.init_timeout=20", "tracking.finish_timeout=20")
    wandb.fail(2)
    assert lab.run(made) == 0
    assert wandb.failing == 0
    assert arrived(only(wandb)) == rows(made)
    assert only(wandb).exit_code == 0


def test_503s_in_the_middle_lose_nothing(lab, wandb):
    made = lab.job("tracking.finish_timeout=30")
    process = lab.start(made, troubles.hold, 4, str(lab.folder / "flag"))
    until((lab.folder / "flag.held").exists)
    wandb.fail(2)
    (lab.folder / "flag.go").touch()
    process.join()
    assert process.exitcode == 0
    assert wandb.failing == 0
    assert arrived(only(wandb)) == rows(made)


def test_a_network_that_comes_back_gets_every_row(lab, wandb):
    made = lab.job("tracking.finish_timeout=60")
    process = lab.start(made, troubles.hold, 4, str(lab.folder / "flag"))
    until((lab.folder / "flag.held").exists)
    with wandb.away(2):
        (lab.folder / "flag.go").touch()
        process.join()
    assert process.exitcode == 0
    assert arrived(only(wandb)) == rows(made)
    assert only(wandb).exit_code == 0


def test_a_network_that_stays_away_costs_its_limit_and_push_completes_the_run(lab, wandb):
    made = lab.job()
    process = lab.start(made, troubles.hold, 8, str(lab.folder / "flag"))
    until((lab.folder / "flag.held").exists)
    assert services(process.pid)
    wandb.down()
    began = time.monotonic()
    (lab.folder / "flag.go").touch()
    process.join()
    assert time.monotonic() - began < LIMITS["finish_timeout"] + SLACK
    assert process.exitcode == 0
    until(lambda: not services(process.pid), seconds=30)
    assert read_json(made.folder.result)["outcome"] in ("trained", "at_chance")
    assert [row["step"] for row in rows(made)] == [0, 4, 8, 12]
    wandb.up()
    before = len(only(wandb).history)
    assert before < 4
    code, said = lab.push()
    assert code == 0, said
    assert f"completed  {4 - before} rows" in said
    assert arrived(wandb.runs[f"{made.cell[:12]}-s0-a1"]) == rows(made)
    assert wandb.runs[f"{made.cell[:12]}-s0-a1"].exit_code == 0
