"""Several ranks are one: norms, scores, steps and what they tell one another, against one process."""

import pytest
import torch
from torch import nn

from ranks import work
from reslab.training.synchronised import SynchronisedBatchNorm, alone, synchronise


@pytest.mark.parametrize("number", [2, 3])
def test_a_synchronised_norm_is_the_norm_of_the_whole_batch(tmp_path, number):
    found = work.together(tmp_path, number, work.normed)
    whole = work.pass_through(nn.BatchNorm2d(3, momentum=0.3), 0, 1)
    for name in ("output", "entered"):
        torch.testing.assert_close(torch.cat([rank[name] for rank in found]), whole[name], rtol=1e-4, atol=1e-5)
    for name in ("weight", "bias"):
        torch.testing.assert_close(sum(rank[name] for rank in found), whole[name], rtol=1e-4, atol=1e-4)
    for rank in found:
        for name in ("mean", "var"):
            torch.testing.assert_close(rank[name], whole[name], rtol=1e-5, atol=1e-5)


def test_norms_by_themselves_would_differ(tmp_path):
    """The test above can fail: without synchronisation it would."""
    whole = work.pass_through(nn.BatchNorm2d(3, momentum=0.3), 0, 1)
    half = work.pass_through(nn.BatchNorm2d(3, momentum=0.3), 0, 2)
    assert (half["output"] - whole["output"][:6]).abs().max() > 0.05


def test_exchanging_norms_keeps_every_tensor_and_comes_back():
    net = work.small_net()
    before = dict(net.state_dict(keep_vars=True))
    synchronise(net)
    assert type(net[1]) is SynchronisedBatchNorm
    assert {name: id(t) for name, t in net.state_dict(keep_vars=True).items()} == {n: id(t) for n, t in before.items()}
    alone(net)
    assert type(net[1]) is nn.BatchNorm2d
    assert net.state_dict().keys() == before.keys()


def test_a_synchronised_norm_on_one_rank_is_an_ordinary_one():
    given = torch.randn(4, 3, 5, 5)
    ordinary, ours = nn.BatchNorm2d(3), SynchronisedBatchNorm(3)
    assert torch.equal(ordinary(given), ours(given))
    assert torch.equal(ordinary.running_var, ours.running_var)


@pytest.mark.parametrize("number", [2, 3])
def test_evaluation_counts_each_of_103_images_once_and_is_bitwise_that_of_one_rank(tmp_path, number):
    expected = work.scored(0, 1)
    assert [score[1] for score in expected] == [103, 103]
    for rank in work.together(tmp_path, number, work.scored):
        assert [tuple(score) for score in rank] == expected


def test_ranks_that_hold_different_configs_are_told_apart(tmp_path):
    assert work.together(tmp_path / "same", 3, work.asked, None) == ["", "", ""]
    for said in work.together(tmp_path / "one", 3, work.asked, 1):
        assert said.startswith("rank 1 has another config than rank 0")


@pytest.mark.parametrize(("steps", "first"), [((-1, -1), -1), ((7, -1), 7), ((-1, 0), 0), ((9, 4), 4)])
def test_the_first_bad_step_is_that_of_any_rank(tmp_path, steps, first):
    assert work.together(tmp_path, 2, work.earliest, steps) == [first, first]


def test_lightnings_broadcast_in_every_batch_is_left_out(tmp_path):
    assert work.together(tmp_path / "as it comes", 2, work.broadcasts, False) == [8, 8]
    assert work.together(tmp_path / "left out", 2, work.broadcasts, True) == [0, 0]
