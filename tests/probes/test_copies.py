"""A measured copy shares nothing with the net, calls none of its hooks, and is the net's own function."""

import copy

import pytest
import torch

from probes import slow
from reslab.probes.branches import branch_ratio
from reslab.probes.copies import copy_of, settled
from reslab.probes.signal import signal_propagation
from reslab.training.synchronised import SynchronisedBatchNorm, synchronise

PROBES = {"signal_propagation": signal_propagation, "branch_ratio": branch_ratio}


def everything(model):
    tensors = [*model.state_dict().values(), *(p.grad for p in model.parameters() if p.grad is not None)]
    return [tensor.clone() for tensor in tensors], [module.training for module in model.modules()]


@pytest.mark.parametrize("bn", ["train", "eval", "frozen"])
@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_a_probe_leaves_weights_gradients_statistics_modes_and_generator(probe, bn):
    model, shown = slow.net("identity-post-batch"), slow.batch()
    model.trunk[1].eval()
    torch.nn.functional.cross_entropy(model(shown.images), shown.labels).backward()
    (tensors, modes), draws, threads = everything(model), torch.get_rng_state(), torch.get_num_threads()
    probe(model, shown, bn=bn)
    after, modes_after = everything(model)
    assert all(torch.equal(one, other) for one, other in zip(tensors, after, strict=True))
    assert modes == modes_after
    assert torch.equal(draws, torch.get_rng_state())
    assert threads == torch.get_num_threads()
    assert torch.is_grad_enabled()


def test_hooks_are_neither_called_nor_copied():
    class Heavy:
        def __deepcopy__(self, memo):
            raise AssertionError("copied")

        def __call__(self, *arguments):
            raise AssertionError("called")

    model = slow.net("none-post-batch")
    model.trunk[0][0].register_forward_hook(Heavy())
    model.stem.conv1.register_full_backward_hook(Heavy())
    model.register_forward_pre_hook(Heavy())
    assert signal_propagation(model, slow.batch(), bn="train")
    assert len(model._forward_pre_hooks) == 1


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_compiled_and_synchronised_nets_are_measured_as_what_they_hold(probe):
    model, shown = slow.net("identity-post-batch"), slow.batch()
    expected = probe(model, shown, bn="train")
    assert probe(torch.compile(model, backend="eager"), shown, bn="train") == expected
    within = copy.deepcopy(model)
    within.compile(backend="eager")
    assert probe(within, shown, bn="train") == expected
    together = synchronise(copy.deepcopy(model))
    assert any(isinstance(module, SynchronisedBatchNorm) for module in together.modules())
    assert probe(together, shown, bn="train") == expected


def test_dropout_draws_without_moving_the_generator():
    model, shown = slow.net("none-post-batch"), slow.batch()
    model.head = torch.nn.Sequential(model.head.pool, torch.nn.Dropout(0.5), model.head.linear)
    before = torch.get_rng_state()
    signal_propagation(model, shown, bn="train")
    assert torch.equal(before, torch.get_rng_state())


def test_it_is_fp32_whatever_surrounds_it():
    model, shown = slow.net("none-post-batch"), slow.batch()
    expected = signal_propagation(model, shown, bn="train")
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        assert signal_propagation(model, shown, bn="train") == expected
    assert copy_of(copy.deepcopy(model).bfloat16(), bn="eval").stem.conv1.weight.dtype == torch.float32


def test_frozen_statistics_leave_no_image_a_word_in_the_gradient_of_another():
    model, images = slow.net("identity-post-batch"), slow.batch(n=6, chunk=6).images
    for bn, alone in (("train", False), ("frozen", True), ("eval", True)):
        seen = images.clone().requires_grad_(True)
        settled(copy_of(model, bn=bn), images, bn=bn)(seen)[0].sum().backward()
        assert bool((seen.grad[1:] == 0).all()) is alone
    trained = copy_of(model, bn="train")(images)
    frozen = settled(copy_of(model, bn="frozen"), images, bn="frozen")(images)
    assert torch.allclose(trained, frozen, rtol=1e-4, atol=1e-5)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="bn=batch is no mode of BatchNorm; use train or eval"):
        copy_of(slow.net("none-post-batch"), bn="batch")
