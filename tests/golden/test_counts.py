"""Parameters and multiply-adds, counted from shapes, against published and hand-summed tables."""

import pytest

from cells import cell, composed
from reslab.launch.construct import describe
from reslab.specs import cost


def cifar(*choices, depth):
    return cost(describe(cell(*choices, image=(3, 32, 10), depth=depth)))


def imagenet(depth, *choices, **block):
    kind = "basic" if depth < 50 else "bottleneck"
    made = cell("net=imagenet", f"block={kind}", *choices, image=(3, 224, 1000), depth=depth, width=64)
    return cost(describe(made | {"block": made["block"] | block}))


# The nets of He 2015, section 4.2, with BN scales and shifts and 10 classes; hand sum. Seen elsewhere: 75,290 and
# 269,722 in a public reproduction, 1,727,962 in a log of akamaster/pytorch_resnet_cifar10, 272,474 in open_lth
# issue 7, 19.4M (1202) in He 2015, Table 6.
BASIC = {  # depth: (plain = option A, option B, option C)
    8: (75_290, 78_042, 78_330),
    14: (172_506, 175_258, 181_146),
    20: (269_722, 272_474, 283_962),
    32: (464_154, 466_906, 489_594),
    44: (658_586, 661_338, 695_226),
    56: (853_018, 855_770, 900_858),
    110: (1_727_962, 1_730_714, 1_826_202),
    1202: (19_421_274, 19_424_026, 20_538_714),
}
COLUMNS = {"none": 0, "identity": 0, "projection": 1, "projection_all": 2}


@pytest.mark.parametrize("shortcut", COLUMNS)
@pytest.mark.parametrize("depth", BASIC)
def test_parameters_of_basic_nets(depth, shortcut):
    assert cifar(f"shortcut={shortcut}", depth=depth).params == BASIC[depth][COLUMNS[shortcut]]


@pytest.mark.parametrize("shortcut", COLUMNS)
@pytest.mark.parametrize("depth", [8, 20, 110])
def test_multiply_adds_of_basic_nets(depth, shortcut):
    # Hand sum at 32x32: every 3x3 convolution within a stage costs 16*16*9*32*32 = 2,359,296, the two that stride
    # half of that, the stem 3*16*9*32*32, the classifier 64*10; a 1x1 projection 16*16*32*32 = 262,144 within a
    # stage and 131,072 where the shape changes.
    n = (depth - 2) // 6
    plain = 6 * n * 2_359_296 - 2 * 1_179_648 + 442_368 + 640
    extra = {"none": 0, "identity": 0, "projection": 2 * 131_072, "projection_all": 2 * 131_072 + (3 * n - 2) * 262_144}
    assert cifar(f"shortcut={shortcut}", depth=depth).macs == plain + extra[shortcut]


@pytest.mark.parametrize(
    ("shortcut", "depth", "macs"),
    [
        ("none", 20, 40_551_040),  # hand sum
        ("none", 56, 125_485_696),  # hand sum
        ("projection", 56, 125_747_840),  # chenyaofo/pytorch-cifar-models: 125.75M
        ("projection", 110, 253_149_824),  # hand sum
    ],
)
def test_multiply_adds_literally(shortcut, depth, macs):
    assert cifar(f"shortcut={shortcut}", depth=depth).macs == macs


@pytest.mark.parametrize(
    ("depth", "millions"),
    [(20, 40.81), (32, 69.12), (44, 97.44), (56, 125.75)],  # README of chenyaofo/pytorch-cifar-models (option B)
)
def test_multiply_adds_as_published(depth, millions):
    assert round(cifar("shortcut=projection", depth=depth).macs / 1e6, 2) == millions


# Closed forms, hand-summed: shifting norms in front of the convolutions keeps their number, and the projections
# lose theirs: 2 * (32 + 64) in basic nets, 2 * (64 + 128 + 256) in bottlenecks.
@pytest.mark.parametrize(
    ("shortcut", "depth", "params"),
    [
        ("none", 20, 269_722),
        ("identity", 20, 269_722),
        ("projection", 20, 272_282),  # the column "B without BN" of the reference table
        ("projection", 56, 855_578),
        ("projection", 110, 1_730_522),
        ("projection", 1202, 19_423_834),
        ("projection_all", 20, 283_962 - 2 * 3 * (16 + 32 + 64)),
    ],
)
def test_parameters_of_preactivation_nets(shortcut, depth, params):
    assert cifar("order=pre", f"shortcut={shortcut}", depth=depth).params == params


BOTTLENECK = {  # depth: (post, pre); He 2016 names 164 "1.7M" and 1001 "10.2M" (10,178,490 without norms)
    20: (220_378, 219_482),
    56: (591_322, 590_426),
    110: (1_147_738, 1_146_842),
    164: (1_704_154, 1_703_258),
    1001: (10_328_602, 10_327_706),
}


@pytest.mark.parametrize("depth", BOTTLENECK)
def test_parameters_of_bottlenecks(depth):
    post = cifar("block=bottleneck", "shortcut=projection", depth=depth)
    pre = cifar("block=bottleneck", "shortcut=projection", "order=pre", depth=depth)
    assert (post.params, pre.params) == BOTTLENECK[depth]
    assert post.params - cifar("block=bottleneck", "shortcut=none", depth=depth).params == 42_880  # three projections


def test_he2016_counts_resnet_1001_without_norms():
    counts = cifar("block=bottleneck", "shortcut=projection", "order=pre", depth=1001)
    # The quoted 10,178,490 is what is left of 10,327,706 without its 149,216 norm parameters.
    assert counts.params - counts.norm_params == 10_178_490


@pytest.mark.parametrize(
    ("depth", "millions"),  # hand-summed reference table for option B
    [(20, 30.6), (56, 84.1), (110, 164.3), (164, 244.5), (1001, 1490.0)],
)
def test_multiply_adds_of_bottlenecks(depth, millions):
    macs = cifar("block=bottleneck", "shortcut=projection", depth=depth).macs
    assert macs / 1e6 == pytest.approx(millions, abs=0.05 if depth < 1001 else 5)


# Parameters and GFLOPs (multiply-adds) as torchvision lists them for its weights ResNet*_Weights.IMAGENET1K_V1.
TORCHVISION = {
    18: (11_689_512, 1.81),
    34: (21_797_672, 3.66),
    50: (25_557_032, 4.09),
    101: (44_549_160, 7.80),
    152: (60_192_808, 11.51),
}


@pytest.mark.parametrize("depth", TORCHVISION)
def test_imagenet_nets_are_torchvisions(depth):
    place = {"stride_at": 2} if depth >= 50 else {}
    counts = imagenet(depth, "shortcut=projection", **place)
    assert (counts.params, round(counts.macs / 1e9, 2)) == TORCHVISION[depth]


@pytest.mark.parametrize(
    ("depth", "shortcut", "billions"),  # He 2015, Table 1, last row; 18 and 34 with option A, the others with B
    [
        (18, "identity", 1.8),
        (34, "identity", 3.6),
        (50, "projection", 3.8),
        (101, "projection", 7.6),
        (152, "projection", 11.3),
    ],
)
def test_imagenet_multiply_adds_of_the_paper(depth, shortcut, billions):
    assert imagenet(depth, f"shortcut={shortcut}").macs / 1e9 == pytest.approx(billions, abs=0.06)  # 50 is cut: 3.858


def test_keras_version_1():
    # Known count of examples/cifar10_resnet.py, version 1, n=3: 273,066 trainable. By hand: 269,722, biases of 19
    # convolutions (688), two projections' weights (2,560) and biases (96).
    assert cost(describe(composed("experiment=keras_v1"))).params == 269_722 + 688 + 2_560 + 96 == 273_066


def test_keras_version_2():
    # n=2, by hand from the layers of the same file: every convolution biased, projections without norm.
    convs, norms, c_in = [(3, 16, 3)], [16], 16
    for inner, out in ((16, 64), (64, 128), (128, 256)):
        for unit in range(2):
            convs += [(c_in, inner, 1), (inner, inner, 3), (inner, out, 1)] + ([(c_in, out, 1)] if unit == 0 else [])
            norms += ([] if unit == 0 and inner == 16 else [c_in]) + [inner, inner]
            c_in = out
    params = sum(a * b * k * k + b for a, b, k in convs) + 2 * sum([*norms, 256]) + 256 * 10 + 10
    assert cost(describe(composed("experiment=keras_v2"))).params == params == 570_602


def test_the_command_line_counts_the_same():
    made = composed("data=cifar10", "depth=56", "shortcut=projection", "order=post", "block=basic")
    assert cost(describe(made)) == cifar("shortcut=projection", depth=56)
    words = ("net=imagenet", "width=64", "data=synthetic", "data.channels=3", "data.size=224", "data.classes=1000")
    made = composed(*words, "depth=50", "shortcut=projection", "block=bottleneck", "block.stride_at=2")
    assert cost(describe(made)) == imagenet(50, "shortcut=projection", stride_at=2)


def test_input_channels_and_classes_count_only_at_the_ends():
    colour = cifar(depth=20)
    grey, many = (cost(describe(cell(image=image, depth=20))) for image in ((1, 32, 10), (3, 32, 100)))
    assert colour.params - grey.params == 2 * 16 * 9  # two channels fewer into the stem
    assert colour.macs - grey.macs == 2 * 16 * 9 * 32 * 32
    assert many.params - colour.params == 90 * 65
    assert many.macs - colour.macs == 90 * 64
    assert many.norm_params == colour.norm_params == 2 * (16 + 6 * (16 + 32 + 64))


def test_norms_are_counted_apart():
    batch, absent, group = (cifar(f"norm={norm}", depth=56) for norm in ("batch", "absent", "group"))
    assert absent.norm_params == 0
    assert batch.params - absent.params == batch.norm_params == 2 * (16 + 18 * (16 + 32 + 64))
    assert batch.macs == absent.macs
    assert group == batch


def test_the_order_does_not_change_multiply_adds():
    for shortcut in COLUMNS:
        post, pre = (cifar(f"order={order}", f"shortcut={shortcut}", depth=20) for order in ("post", "pre"))
        assert post.macs == pre.macs
