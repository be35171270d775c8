"""All contestants train one net on one sequence of images; ours is the product itself."""

import copy
from collections import Counter
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest
import torch
from PIL import Image

from reslab.launch.bench import contestants, gates, heats, looks, rivals, usual
from reslab.launch.bench.contestants import Contestant, Track, make
from reslab.launch.bench.looks import Stopwatch
from reslab.launch.bench.ours import Alone, Ours
from reslab.launch.bench.race import Course
from reslab.launch.build import build_net

WORDS = ("data=synthetic", "data.size=32", "data.classes=10", "data.validation=0", "depth=8", "width=4")
WORDS += ("data.rows={train: 48, test: 8}", "recipe=he2015", "recipe.normalise=channel", "recipe.batch=6")
WORDS += ("recipe.schedule.at=[1.0,1.0]",)
OURS = ("ours fp32", "ours bf16")
OTHERS = ("naive fp32", "strong fp32", "strong bf16", "alone fp32", "ours bf16 nchw", "usual fp32", "alone bf16")
OTHERS += ("ours bf16 slices", "ours bf16 loader", "strong bf16 foreach", "strong fp32 rounded", "strong bf16 compiled")
NAMES = (*OURS, *OTHERS)
CPU = torch.device("cpu")

pytestmark = pytest.mark.filterwarnings("ignore:The `srun` command", "ignore::FutureWarning")  # Lightning's


@pytest.fixture
def track(tmp_path):
    return Track(Course(words=WORDS, warm=2, steps=3, outputs=tmp_path))


def through(track, made):
    field = heats.Field()
    field.present = dict(made)
    return field.through(track)


def beside_ours(track, name):
    """One contestant, and those of ours that it is compared with."""
    return {other: make(track, other) for other in dict.fromkeys((name, "ours fp32", "ours bf16"))}


def test_the_gates_are_open(track, monkeypatch):
    monkeypatch.setattr(contestants.torch, "compile", lambda net, dynamic: net)
    passed = through(track, {name: make(track, name) for name in NAMES})
    assert all(gate.found <= gate.most for gate in passed), passed
    kinds = ["parameters", "logits", "logits", "images", *("losses", "weights") * 3, "first"]
    assert [gate.name.split(" ")[0] for gate in passed] == kinds
    of_losses = " ".join(gate.name for gate in passed if gate.name.startswith("losses"))
    assert all(f"{name}," in of_losses or f"{name} against" in of_losses for name in NAMES if name not in OURS)


@pytest.mark.parametrize(
    ("name", "said"), [("strong fp32", "logits"), ("naive fp32", "logits"), ("ours bf16", "logits")]
)
def test_one_weight_that_differs_shuts_a_gate(track, name, said):
    field = {name: make(track, name) for name in NAMES[:7]}
    with torch.no_grad():
        next(iter(field[name].net.parameters()))[0, 0, 0, 0] += 0.01
    with pytest.raises(RuntimeError, match=f"do not train the same: {said}"):
        through(track, field)


def test_another_rate_shuts_a_gate(track):
    """Logits are equal, and so is the first loss; the second is not."""
    field = {name: make(track, name) for name in ("naive fp32", "ours fp32")}
    net = copy.deepcopy(field["naive fp32"].net)
    batches = rivals.stream(rivals.naive_batches(track.resident()))
    loop = rivals.Loop(net, torch.optim.SGD(net.parameters(), lr=0.2), batches, Stopwatch(CPU), warm=1, steps=1)
    field["naive fp32"] = Contestant(net, loop.turn, loop.losses)
    with pytest.raises(RuntimeError, match="losses of the first 5 steps of naive fp32 against ours fp32"):
        through(track, field)


@pytest.mark.parametrize("name", ["strong fp32", "strong bf16"])
def test_images_that_are_not_moved_shut_a_gate(track, name):
    field, plain = beside_ours(track, name), Track(track.course)
    still = copy.copy(track.resident())
    still.dy, still.dx = (torch.full_like(one, still.pad) for one in (still.dy, still.dx))
    still.flip = torch.zeros_like(still.flip)
    plain._resident.append(still)
    field[name] = make(plain, name)
    with pytest.raises(RuntimeError, match="losses of the first 5 steps"):
        through(track, field)


@pytest.mark.parametrize("name", [name for name in OTHERS if "compiled" not in name])
def test_losses_of_everyone_are_compared(track, name):
    field = beside_ours(track, name)
    losses = field[name].losses
    field[name] = replace(field[name], losses=lambda steps: [*losses(steps)[:-1], float("nan")])
    with pytest.raises(RuntimeError, match=f"losses of the first 5 steps of {name} against ours .* nan > "):
        through(track, field)


@pytest.mark.parametrize(("name", "more"), [("strong bf16", 0.006), ("ours bf16 nchw", 0.015), ("alone fp32", 0.002)])
def test_losses_may_differ_by_rounding_alone(track, name, more):
    field = beside_ours(track, name)
    losses = field[name].losses
    field[name] = replace(field[name], losses=lambda steps: [loss * (1 + more) for loss in losses(steps)])
    with pytest.raises(RuntimeError, match=f"losses of the first 5 steps of {name} against ours"):
        through(track, field)


@pytest.mark.parametrize("name", ["usual fp32", "strong bf16", "alone bf16", "ours bf16 nchw"])
def test_who_does_not_train_shuts_a_gate(track, name):
    """The losses are right, but the net is where it was; and the same of a turn that takes no step."""
    field = beside_ours(track, name)
    field[name] = replace(field[name], net=copy.deepcopy(field[name].net))
    with pytest.raises(RuntimeError, match=f"weights after them, how far from those of {name} .* 1 > "):
        through(track, field)
    field = beside_ours(track, name)
    field[name] = replace(field[name], turn=lambda: 1.0)
    with pytest.raises(RuntimeError, match=f"first turns of 3 nets that leave parameters as they were: {name} 1 > 0"):
        through(track, field)


def test_a_rival_that_cannot_make_a_step_is_left_out_of_the_gates(track, monkeypatch):
    def fails(net, dynamic):
        def forward(images):
            raise OSError("no compiler")

        return forward

    monkeypatch.setattr(contestants.torch, "compile", fails)
    field = heats.Field()
    field.make(track, ["strong fp32 compiled", "ours fp32"])
    field.through(track)
    assert list(field.present) == ["ours fp32"]
    assert field.left_out == {"strong fp32 compiled": "OSError: no compiler"}


def test_how_one_rounds_is_in_its_name():
    names = {"strong fp32 compiled": gates.EXACT, "alone bf16": gates.ROUNDED, "ours bf16 slices": gates.ROUNDED}
    names |= dict.fromkeys(("strong fp32 rounded", "ours bf16 nchw", "strong bf16 graphs"), gates.ROUNDED_OTHERWISE)
    assert {name: gates._group(name) for name in names} == names


def test_a_net_of_another_width_is_refused(track):
    other = rivals.CifarNet(8, width=5, channels=3, classes=10)
    with pytest.raises(ValueError, match="other parameters"):
        rivals.take_weights(other, build_net(track.job().config))


@pytest.mark.parametrize("step", [0, 5, 7])
def test_rivals_see_our_batches(track, step):
    """Image by image, and in one gather from what was padded before: bit for bit what our plan makes."""
    images, labels = track.data().batch(step)
    for batches in (rivals.naive_batches(track.resident()), rivals.strong_batches(track.resident(), torch.float32)):
        found, truth = batches(step)
        assert torch.equal(found, images)
        assert torch.equal(truth, labels)
    rounded, _ = rivals.strong_batches(track.resident(), torch.bfloat16)(step)
    assert torch.equal(rounded, images.bfloat16())
    assert rounded.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_lightning_changes_no_bit(track, precision):
    """Steps through Trainer, Classifier and ImageData against the bare step function."""
    job = track.job((precision,))
    ours, alone = (kind(job, Stopwatch(CPU), warm=2, steps=3, most=2) for kind in (Ours, Alone))
    ours.fit()
    alone._slice(0, 6)
    theirs = alone.module.net.state_dict()
    for name, value in ours.net.state_dict().items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.parametrize(("most", "stops"), [(1, (2, 3, 4, 5, 6)), (2, (2, 4, 5, 6)), (10, (2, 5, 6))])
def test_our_slices_end_where_the_clock_is_read(track, most, stops):
    ours = Ours(track.job(), track.watch, warm=2, steps=3, most=most)
    clock = ours.fit()
    assert tuple(clock.ends) == ours.stops == stops
    assert clock.seconds > 0
    assert clock.losses == []


@pytest.mark.parametrize(
    "name", ["usual fp32", "ours bf16 loader", "ours bf16 slices", "strong fp32 rounded", "alone bf16"]
)
def test_the_others_take_their_turn(track, name):
    assert make(track, name).turn() > 0
    assert torch.backends.mkldnn.conv.fp32_precision == "none"


def test_a_turn_warms_up_before_its_clock_runs(track, monkeypatch):
    """Each look at the clock is a second; so are the three timed steps together."""
    contestant, now = make(track, "strong fp32"), iter(range(10))
    monkeypatch.setattr(looks.time, "perf_counter", lambda: float(next(now)))
    assert contestant.turn() == pytest.approx(1 / 3)


def test_nchw_is_another_order_of_memory(track):
    seen = []
    for name in ("ours bf16", "ours bf16 nchw"):
        net = make(track, name).net
        conv = next(module for module in net.modules() if isinstance(module, torch.nn.Conv2d))
        conv.register_forward_hook(lambda module, args, out: seen.append((args[0], module.weight)))
        net(track.data().batch(0)[0])
    for (images, weight), last in zip(seen, (True, False), strict=True):
        for tensor in (images, weight):
            assert tensor.is_contiguous(memory_format=torch.channels_last) is last
            assert tensor.is_contiguous() is not last


def test_ours_without_resident_data_learns_from_the_loader(track, monkeypatch):
    asked = []
    endless = usual.endless
    monkeypatch.setattr(usual, "endless", lambda *arguments: asked.append(arguments) or endless(*arguments))
    make(track, "ours bf16").turn()
    assert asked == []
    make(track, "ours bf16 loader").turn()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("name", "asked"),
    [("", ""), ("uncaptured", "cuda_graph=false"), ("loader", "cuda_graph=false"), ("compiled", "compile=true")],
)
def test_what_is_off_or_on_is_asked_for_in_words(track, monkeypatch, name, asked):
    words, made = [], track.job()  # without a GPU such a run could not be frozen
    monkeypatch.setattr(contestants.ours, "job", lambda full, **settings: words.extend(full) or made)
    track.job(("bf16", *name.split()))
    assert [word for word in words if word.startswith("trainer.")] == ([f"trainer.{asked}"] if asked else [])


def test_on_a_gpu_those_that_the_host_holds_up_take_shorter_turns(track):
    course = replace(track.course, warm=50, steps=400)
    here, there = Track(course), Track(replace(course, device="cuda:0"))
    for words in (("usual", "fp32"), ("strong", "bf16"), ("bf16", "uncaptured"), ("bf16",)):
        assert here.length(words) == {"warm": 50, "steps": 400}
    assert there.length(("bf16",)) == there.length(("strong", "bf16", "graphs")) == {"warm": 50, "steps": 400}
    assert there.length(("strong", "bf16")) == there.length(("bf16", "uncaptured")) == {"warm": 20, "steps": 100}
    assert there.length(("usual", "fp32")) == there.length(("bf16", "loader")) == {"warm": 20, "steps": 50}


def test_cudnn_tries_kernels_for_strong_loops_and_for_ours_where_runs_do():
    seen = {}

    for kind in ("usual", "strong", "ours", "alone"):
        with contestants._tuned(kind):
            seen[kind] = torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.benchmark is False
    assert seen == {"usual": False, "strong": True, "ours": False, "alone": False}


def grey(n=6, size=5):
    return np.arange(n * size * size, dtype=np.uint8).reshape(n, size, size, 1)


def test_pictures_without_augmentation_are_normalised_images():
    mean_, std = torch.full((1, 1, 1), 0.25), torch.full((1, 1, 1), 0.5)
    made = usual.Pictures(grey(), np.arange(6), mean=mean_, std=std, pad=0, flip=False)
    assert len(made) == 6
    for row in range(6):
        image, label = made[row]
        assert np.allclose(image.numpy()[0], (grey()[row, :, :, 0] / 255 - 0.25) / 0.5, atol=1e-6)
        assert label == row


def test_the_usual_crop_reaches_every_window_equally_often():
    """A picture of one white pixel in the middle: where it ends up is where the window was."""
    torch.manual_seed(0)
    pixels = np.zeros((5, 5), dtype=np.uint8)
    pixels[2, 2] = 255
    found = Counter()
    for _ in range(900):
        cut = np.array(usual.random_crop(Image.fromarray(pixels), 1))
        assert cut.shape == (5, 5)
        found[tuple(np.argwhere(cut == 255)[0])] += 1
    assert set(found) == {(y, x) for y in (1, 2, 3) for x in (1, 2, 3)}
    assert max(abs(count - 100) for count in found.values()) < 45  # 4.8 standard deviations


def test_the_usual_flip_is_a_coin():
    torch.manual_seed(0)
    ones = torch.ones(1, 1, 1)
    made = usual.Pictures(grey(1), np.zeros(1, dtype=np.int64), mean=0 * ones, std=ones, pad=0, flip=True)
    plain = usual.to_tensor(Image.fromarray(grey(1)[0, :, :, 0]))
    found = [made[0][0] for _ in range(400)]
    same = [torch.equal(image, plain) for image in found]
    assert all(torch.equal(image, plain) or torch.equal(image, plain.flip(2)) for image in found)
    assert 0.4 < mean(same) < 0.6


def test_the_usual_loader_goes_on_after_an_epoch():
    made = usual.Pictures(grey(), np.arange(6), mean=torch.zeros(1, 1, 1), std=torch.ones(1, 1, 1), pad=1, flip=True)
    stream = usual.endless(made, 2, 0, CPU)
    labels = torch.cat([next(stream)[1] for _ in range(6)])
    assert sorted(labels[:6].tolist()) == sorted(labels[6:].tolist()) == list(range(6))
