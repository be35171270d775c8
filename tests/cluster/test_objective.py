"""What sweepers are told: finite for every run that has a result, nothing for a failure, in both directions."""

import pytest
from omegaconf import OmegaConf

from cluster.sweeps import RUN, Gate
from reslab.launch.objective import Objective
from reslab.runs.folder import read_json, write_json

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # Optuna 2's own
DIVERGES = "1.0e+30"
SWEEP = (
    *RUN,
    "norm=absent",
    f"recipe.lr=0.01,{DIVERGES}",
    "seed=0,1",
    "hydra/sweeper=optuna",
    "hydra.sweeper.n_trials=4",
)
# four different points, whatever the order: a grid is shuffled, and gives up where the point that it tells last failed
SWEEP += ("hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=5", "hydra.sweeper.n_jobs=4")


@pytest.mark.real("Optuna: minimises, maximises")
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_optuna_prefers_what_trains(train, tmp_path, capsys, monkeypatch, direction):
    """Of four trials one fails, and those with an absurd rate diverge: the best one is neither."""
    import optuna

    told = []
    real = optuna.study.Study.tell
    monkeypatch.setattr(
        optuna.study.Study, "tell", lambda self, trial, values=None, state=None, **rest: (
            told.append((trial.params, values)), real(self, trial, values=values, state=state, **rest))[1]
    )  # fmt: skip
    Gate(tmp_path, **{"raise": "1"})
    assert train("-m", *SWEEP, f"hydra.sweeper.direction={direction}") == 1
    said = capsys.readouterr().out
    assert "diverged 2 · failed 1 · trained 1" in said or "at_chance 1 · diverged 2 · failed 1" in said
    values = {(params["recipe.lr"], params["seed"]): value for params, value in told}
    worst = [1.0] if direction == "minimize" else [0.0]
    assert values[1e30, 0] == values[1e30, 1] == worst
    assert values[0.01, 1] is None
    (result,) = [
        r for p in tmp_path.glob("outputs/runs/*/seed=0/result.json") if (r := read_json(p))["outcome"] != "diverged"
    ]
    assert "best_value" in (tmp_path / "outputs/experiments/adhoc/optimization_results.yaml").read_text()
    error = result["train"]["error"]
    assert values[0.01, 0] == [error if direction == "minimize" else 1 - error]


@pytest.mark.real("Optuna: every trial fails")
@pytest.mark.parametrize(("sampler", "complaint"), [("random", "No trials are completed"), ("grid", "`Study.stop`")])
def test_optuna_without_any_result_ends_with_our_table(train, tmp_path, capsys, sampler, complaint):
    Gate(tmp_path, **{"raise": "0"})
    rates = ("recipe.lr=0.01,0.02", f"hydra/sweeper/sampler={sampler}")
    assert train("-m", *RUN, *rates, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2") == 1
    said = capsys.readouterr().out
    assert "told to raise" in said
    assert "trained" not in said
    assert f"the sweeper gave up: {complaint}" in said


@pytest.mark.parametrize(
    ("sweeper", "maximise"),
    [
        ({}, False),
        ({"direction": "minimize"}, False),
        ({"direction": "maximize"}, True),
        ({"direction": ["maximize"]}, True),
        ({"optim": {"maximize": True}}, True),
        ({"optim": {"maximize": False}}, False),
        ({"ax_config": {"experiment": {"minimize": False}}}, True),
        ({"ax_config": {"experiment": {"minimize": True}}}, False),
    ],
)
def test_each_sweeper_says_its_direction_in_its_own_words(sweeper, maximise):
    assert Objective.of(OmegaConf.create(sweeper)).maximise is maximise


def test_several_objectives_are_refused(train, tmp_path):
    with pytest.raises(ValueError, match="a run has one objective"):
        train("-m", *SWEEP, "hydra.sweeper.direction=[minimize,maximize]")
    assert not (tmp_path / "outputs").exists()


def test_a_result_that_was_tampered_with_is_none(train, tmp_path):
    from reslab.launch.compose import compose
    from reslab.launch.freeze import Freezer

    assert train(*RUN) == 0
    job = Freezer("test").job(*compose("train", list(RUN)), ())
    result = read_json(job.folder.result)
    assert Objective()(job) == result["train"]["error"]
    for edit in ({"train": result["train"] | {"error": 0.0}}, {"seed": 5}, {"outcome": "splendid"}):
        write_json(job.folder.result, result | edit)
        assert Objective()(job) is None
