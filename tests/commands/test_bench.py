"""`reslab bench`: fakes that leave real records, figures that mean what they say, a file with its evidence."""

import json
import multiprocessing
import pickle
import time

import pytest
from rich.console import Console as Terminal

from reslab.analysis import table
from reslab.commands.bench import main
from reslab.launch.bench import fake, figures, grid, sweep, verbs
from reslab.launch.bench.figures import Figure
from reslab.launch.bench.verbs import Took
from reslab.launch.console import Console
from reslab.runs.folder import read_json
from reslab.runs.plan import plan_file, read_plan


def test_the_grid_of_a_command_is_the_grid_in_here(tmp_path, train, capsys):
    """What `plan` is asked for are the runs that were written."""
    from reslab.commands.plan import main as plan

    made = grid.jobs(41, tmp_path / "outputs")
    assert plan([*grid.words(41, tmp_path / "outputs"), "format=json"]) == 0
    assert {run["folder"] for run in json.loads(capsys.readouterr().out)} == {str(job.folder.path) for job in made}
    assert len(made) == len({job.folder.path for job in made}) == 60


@pytest.mark.parametrize("few", [20, 100, 200])
def test_a_smaller_grid_is_part_of_a_larger_one(tmp_path, few):
    small, large = (
        {(key, value) for key, values in grid.axes(n).items() for value in values.split(",")} for n in (few, 400)
    )
    assert small <= large


def test_what_lies_on_disk_is_whole(tmp_path):
    """Every reader takes the fakes for runs of ours."""
    assert verbs.fill(20, tmp_path) == verbs.fill(1, tmp_path) == 20
    found = table.runs(tmp_path, "adhoc")
    assert found["problem"].drop_nulls().to_list() == []
    assert sorted(found["state"].value_counts().iter_rows()) == [("ended", 19), ("running", 1)]
    assert found["train_error"].n_unique() > 10
    assert len(read_plan(plan_file(tmp_path, "adhoc"))) == 20


def test_a_sweep_of_fakes(tmp_path):
    swept = sweep.sweep(20, 0.01, tmp_path)
    assert table.runs(tmp_path, "adhoc")["outcome"].to_list() == ["trained"] * 20
    assert [n for n, _ in swept.memory] == list(range(21))
    assert min(memory for _, memory in swept.memory) > 10
    assert swept.launching * swept.slots >= 20 * 0.01
    assert 0 < swept.start < swept.launching
    assert swept.overhead > 0
    assert swept.cpu > 0
    children = [child.name for child in multiprocessing.active_children()]
    assert children == []


def test_a_start_is_timed_from_when_it_is_asked_for():
    """By pickling, as multiprocessing does; and a start that took long is told as long."""
    training = fake.Training(1.0)
    before = time.monotonic()
    sent = pickle.dumps(training)
    after = time.monotonic()
    for arrived in (pickle.loads(sent), pickle.loads(sent)):
        assert before <= arrived.asked <= after
        assert arrived.seconds == 1.0
    assert training.asked is None


def test_a_fake_that_fails_is_no_measurement(tmp_path, capsys):
    engine, jobs = sweep.Faked(training=-1.0), grid.jobs(20, tmp_path)[:1]  # sleep refuses it
    with open(tmp_path / "said", "w") as said, pytest.raises(RuntimeError, match=r"failed: .*exit code 1"):
        engine.run(jobs, Console(Terminal(file=said, width=160)), {})
    assert read_json(jobs[0].folder.result)["outcome"] == "failed"


def test_the_figures_of_a_sweep_by_hand():
    """Ten runs of 2 s on two slots in 11 s: each held its slot for 2.2 s, 0.15 s of which went to start."""
    memory = tuple((n, 40.0 + 0.002 * n) for n in range(11))
    swept = sweep.Swept(
        runs=10, slots=2, training=2.0, start=0.15, planning=1.0, planned=9.0, launching=11.0, cpu=0.5, memory=memory
    )
    assert swept.overhead == pytest.approx(0.05)
    assert swept.growth == pytest.approx(2.0)
    values = [figure.value for figure in figures.of_sweep(swept)]
    assert values == pytest.approx([50.0, 150.0, 50.0, 40.02, 2.0, 9.0, 100.0])


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_growth_is_a_power(power):
    few, many = (Took("plan", n, 99.0, 3.0 * n**power) for n in (100, 1000))
    assert figures.growth(few, many) == pytest.approx(power)


def test_growth_is_that_of_the_largest_two():
    took = [Took("status", n, 1.0, seconds) for n, seconds in ((10_000, 12.0), (100, 1.0), (1000, 3.0))]
    found = {figure.name: figure for figure in figures.of_commands(took)}
    assert found["status, 1,000 to 10,000 runs: processor time of a further run"].value == pytest.approx(1.0)
    assert found["status, 1,000 to 10,000 runs: exponent of growth"].value == pytest.approx(0.602, abs=1e-3)
    assert [figure.most for figure in found.values() if figure.most is not None] == [3.0]
    assert len(figures.of_commands(took[:1])) == 1


@pytest.mark.parametrize(("value", "most", "met"), [(1.0, None, None), (1.0, 1.0, True), (1.1, 1.0, False)])
def test_a_target_is_met_or_missed(value, most, met):
    figure = Figure("name", value, "s", most)
    assert figure.met is met
    assert ("missed" in figure.cells()[2]) == (met is False)


def test_the_command_writes_what_it_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = main(["runs=20", "seconds=0.01", "sizes=[20]", "repeats=1"])
    made = json.loads((tmp_path / "experiments/speed/sweep.json").read_text())
    assert code == (1 if any(figure["met"] is False for figure in made["figures"]) else 0)
    assert (made["runs"], made["sizes"], made["repeats"]) == (20, [20], 1)
    assert made["hardware"]["cores"] >= 1
    assert made["versions"]["torch"]
    names = [figure["name"] for figure in made["figures"]]
    page, said = (tmp_path / "experiments/speed/sweep.md").read_text(), capsys.readouterr().out
    for verb in verbs.COMMANDS:
        assert any(name.startswith(f"{verb} of 20 runs") for name in names)
    for name in names:
        assert name in page
        assert name in said
    assert str(tmp_path) not in page + json.dumps(made)
    assert list((tmp_path / "outputs").iterdir()) == []


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("part=speed", "part=speed is unknown; it is sweep, "),
        ("runs=0", "runs=0 measures nothing"),
        ("repeats=0", "repeats=0 measures nothing"),
        ("seconds=0.0", "seconds=0.0 is no length of a training"),
        ("sizes=[0]", r"sizes=\[0\] are not numbers of runs"),
        ("sizes=[x]", r"sizes=\['x'\] are not numbers of runs"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path, monkeypatch, word, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        main([word])
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(RuntimeError, match=r"reslab report ended with exit code 2: reslab: no runs of exp"):
        verbs.measure("report", 20, tmp_path, 1)
