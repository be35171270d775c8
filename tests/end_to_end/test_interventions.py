"""Whole runs with interventions: resumed bit for bit, in bf16, and on two ranks."""

import pytest
import torch
from dying import run_and_die

from end_to_end.test_resume import attempt, job, science, start
from reslab import api
from reslab.launch.build import build_net
from reslab.runs.folder import read_json

LATER = ("norm_projection", "layer_rate_balance", "init_gain", "dirac_init")


@pytest.mark.real("SIGKILL of a worker, resumed bitwise")
@pytest.mark.parametrize("name", LATER)
def test_resumed_bitwise_equal(tmp_path, name):
    words = ("shortcut=none", f"intervention={name}")
    whole, cut = job(tmp_path / "a", *words), job(tmp_path / "b", *words)
    assert start(whole) == 0, whole.folder.log.read_text()
    assert attempt(cut, run_and_die, "after save", 15) == -9
    assert start(cut) == 0
    ours, theirs = science(cut), science(whole)
    assert all(ours[key] == theirs[key] for key in ("weights", "train", "test", "validation", "step", "cell"))


@pytest.mark.parametrize("precision", ["fp32", "bf16-mixed"])
def test_norms_stay_in_any_precision(tmp_path, precision):
    made = job(tmp_path, "shortcut=none", "intervention=norm_projection", f"recipe.precision={precision}")
    assert start(made) == 0, made.folder.log.read_text()
    trained, initial = api.load(made.folder.path).net, build_net(made.config)
    for (name, after), before in zip(trained.named_parameters(), initial.parameters(), strict=True):
        if after.ndim == 4:
            assert not torch.equal(after, before), name
            assert float(after.detach().norm()) == pytest.approx(float(before.detach().norm()), rel=1e-5)


@pytest.mark.real("two gloo ranks")
@pytest.mark.parametrize("name", ["norm_projection", "layer_rate_balance"])
def test_two_ranks_follow_one(train, tmp_path, name):
    """All ranks make the same step on the same gradients."""
    words = ("depth=8", "width=4", "recipe.steps=10", "recipe.lr=0.01", "evaluation.points=1", "trainer=ddp")
    words += ("tracking=disabled", "trainer.threads=1", "shortcut=none", f"intervention={name}")
    losses = []
    for ranks in (1, 2):
        assert train(*words, f"devices={ranks}", f"outputs={tmp_path / str(ranks)}") == 0
        (folder,) = (tmp_path / str(ranks) / "runs").glob("*/seed=0")
        losses.append(read_json(folder / "result.json")["train"]["cross_entropy"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
