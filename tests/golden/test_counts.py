"""Golden table of trainable parameters and multiply-adds, counted from shapes alone."""

import pytest
from cells import cell, composed

from reslab.launch.construct import describe
from reslab.specs import cost


def cifar(depth, *choices):
    return cost(describe(cell(*choices, image=(3, 32, 10), depth=depth)))


def imagenet(depth, block, **values):
    made = cell("net=imagenet", "shortcut=projection", f"block={block}", image=(3, 224, 1000), depth=depth, width=64)
    return cost(describe(made | {"block": made["block"] | values}))


# papers.md 1.8, "plain = option A"; 75,290 and 269,722 also in an independent reproduction, 1,727,962 in a log of
# akamaster/pytorch_resnet_cifar10, 19.4M (1202) in He 2015, Table 6.
PLAIN_AND_A = {
    8: 75_290,
    14: 172_506,
    20: 269_722,
    32: 464_154,
    44: 658_586,
    56: 853_018,
    110: 1_727_962,
    1202: 19_421_274,
}

# papers.md 1.8, "option B (1x1+BN)"; 272,474 also in open_lth, issue 7.
OPTION_B = {
    8: 78_042,
    14: 175_258,
    20: 272_474,
    32: 466_906,
    44: 661_338,
    56: 855_770,
    110: 1_730_714,
    1202: 19_424_026,
}

# papers.md 1.8, "option C (1x1+BN, all 3n)".
OPTION_C = {
    8: 78_330,
    14: 181_146,
    20: 283_962,
    32: 489_594,
    44: 695_226,
    56: 900_858,
    110: 1_826_202,
    1202: 20_538_714,
}

# papers.md 1.8, bottleneck of expansion 4, option B: 1.7M (164) and 10.2M without norms (1001) in He 2016.
BOTTLENECK_POST = {20: 220_378, 56: 591_322, 110: 1_147_738, 164: 1_704_154, 1001: 10_328_602}
BOTTLENECK_PRE = {20: 219_482, 56: 590_426, 110: 1_146_842, 164: 1_703_258, 1001: 10_327_706}


@pytest.mark.parametrize("shortcut", ["none", "identity"])
@pytest.mark.parametrize(("depth", "params"), PLAIN_AND_A.items())
def test_plain_and_option_a(depth, params, shortcut):
    assert cifar(depth, f"shortcut={shortcut}").params == params


@pytest.mark.parametrize(("depth", "params"), OPTION_B.items())
def test_option_b(depth, params):
    assert cifar(depth, "shortcut=projection").params == params


@pytest.mark.parametrize(("depth", "params"), OPTION_C.items())
def test_option_c(depth, params):
    assert cifar(depth, "shortcut=projection_all").params == params


@pytest.mark.parametrize(("order", "table"), [("post", BOTTLENECK_POST), ("pre", BOTTLENECK_PRE)])
def test_bottleneck_with_option_b(order, table):
    found = {d: cifar(d, "block=bottleneck", "shortcut=projection", f"order={order}").params for d in table}
    assert found == table


@pytest.mark.parametrize("depth", [20, 56, 110])
def test_plain_bottleneck_is_smaller_by_three_projections(depth):
    # papers.md 1.8: 42,880 at every n
    plain = cifar(depth, "block=bottleneck", "shortcut=none").params
    assert cifar(depth, "block=bottleneck", "shortcut=projection").params - plain == 42_880


# By hand: pre-activation moves norms but has as many in branches, stem and head as post (the head's 2 * 64 replace
# the last norm of the branches of stage 3, and so on); its projections have none, so option B is papers.md's
# "option B (1x1, no BN)", and option C is less than post by 2 * n * (16 + 32 + 64).
PRE = {
    ("none", 20): 269_722,
    ("none", 110): 1_727_962,
    ("identity", 20): 269_722,
    ("identity", 110): 1_727_962,
    ("projection", 20): 272_282,
    ("projection", 110): 1_730_522,
    ("projection_all", 20): 283_962 - 2 * 3 * 112,
    ("projection_all", 110): 1_826_202 - 2 * 18 * 112,
}


@pytest.mark.parametrize(("shortcut", "depth"), PRE)
def test_pre_activation(shortcut, depth):
    assert cifar(depth, "order=pre", f"shortcut={shortcut}").params == PRE[shortcut, depth]


# Multiply-adds of one 32 x 32 image. papers.md 1.8 to two decimals; 40,551,040 and 125,485,696 from its 3 stages by
# hand: stem 442,368, stages 2,359,296 * (2n), (2n - 1/2) and (2n - 1/2), classifier 640. Option B adds 262,144:
# two projections of 16 * 32 * 16**2 and 32 * 64 * 8**2. With option B, chenyaofo/pytorch-cifar-models prints
# 40.81M, 69.12M, 97.44M and 125.75M.
MACS = {
    ("none", 20): 40_551_040,
    ("identity", 20): 40_551_040,
    ("none", 56): 125_485_696,
    ("identity", 56): 125_485_696,
    ("identity", 110): 252_887_680,
    ("projection", 20): 40_813_184,
    ("projection", 32): 69_124_736,
    ("projection", 44): 97_436_288,
    ("projection", 56): 125_747_840,
    ("projection", 110): 253_149_824,
}


@pytest.mark.parametrize("order", ["post", "pre"])
@pytest.mark.parametrize(("shortcut", "depth"), MACS)
def test_multiply_adds(shortcut, depth, order):
    assert cifar(depth, f"shortcut={shortcut}", f"order={order}").macs == MACS[shortcut, depth]


@pytest.mark.parametrize(
    ("depth", "millions"),  # papers.md 1.8, "MACs C"
    [(8, 12.76), (14, 27.71), (20, 42.65), (32, 72.53), (44, 102.42), (56, 132.30), (110, 266.78), (1202, 2986.26)],
)
def test_multiply_adds_of_option_c(depth, millions):
    assert round(cifar(depth, "shortcut=projection_all").macs / 1e6, 2) == millions


@pytest.mark.parametrize("n", [1, 2, 7, 18])
def test_plain_counts_in_closed_form(n):
    # He 2015, section 4.2: stem, 2n layers of 16, 32 and 64 channels at 32, 16 and 8 pixels, classifier; two numbers
    # per channel and norm, one norm after every convolution
    weights = macs = norms = 0
    for c_in, c_out, side, layers in ((3, 16, 32, 1), (16, 16, 32, 2 * n), (16, 32, 16, 1), (32, 32, 16, 2 * n - 1)):
        weights += 9 * c_in * c_out * layers
        macs += 9 * c_in * c_out * layers * side**2
        norms += 2 * c_out * layers
    for c_in, c_out, side, layers in ((32, 64, 8, 1), (64, 64, 8, 2 * n - 1)):
        weights += 9 * c_in * c_out * layers
        macs += 9 * c_in * c_out * layers * side**2
        norms += 2 * c_out * layers
    counts = cifar(6 * n + 2, "shortcut=none")
    assert counts.params == weights + norms + 64 * 10 + 10
    assert counts.norm_params == norms
    assert counts.macs == macs + 640


def test_the_command_line_counts_the_same():
    made = composed("data=cifar10", "depth=56", "shortcut=projection", "order=post", "block=basic")
    assert cost(describe(made)) == cifar(56, "shortcut=projection")
    words = ("net=imagenet", "width=64", "data=synthetic", "data.channels=3", "data.size=224", "data.classes=1000")
    made = composed(*words, "depth=50", "shortcut=projection", "block=bottleneck", "block.stride_at=2")
    assert cost(describe(made)) == imagenet(50, "bottleneck", stride_at=2)


def test_norms_are_what_differs_without_them():
    with_norms, without = cifar(20), cifar(20, "norm=absent")
    assert without.params == with_norms.params - with_norms.norm_params
    assert without.norm_params == 0
    assert cifar(20, "norm=group").params == with_norms.params


# Parameters: documentation of torchvision.models. Multiply-adds in units of 1e9: `_ops` of its default weights, which
# stride in the 3x3 convolution of a bottleneck (block.stride_at=2).
TORCHVISION = {
    18: ("basic", 11_689_512, 1.814),
    34: ("basic", 21_797_672, 3.664),
    50: ("bottleneck", 25_557_032, 4.089),
    101: ("bottleneck", 44_549_160, 7.801),
    152: ("bottleneck", 60_192_808, 11.514),
}


@pytest.mark.parametrize("depth", TORCHVISION)
def test_imagenet(depth):
    block, params, giga = TORCHVISION[depth]
    counts = imagenet(depth, block, **({"stride_at": 2} if block == "bottleneck" else {}))
    assert counts.params == params
    assert counts.macs / 1e9 == pytest.approx(giga, abs=5.1e-4)


# He 2015, Table 1: 3.8e9, 7.6e9 and 11.3e9 with the stride in the first 1x1 (ours 3.86, 7.57, 11.28); the paper
# rounds 3.86 down.
@pytest.mark.parametrize(("depth", "giga"), [(50, 3.8), (101, 7.6), (152, 11.3)])
def test_imagenet_with_the_stride_of_the_paper(depth, giga):
    counts = imagenet(depth, "bottleneck")
    assert counts.params == TORCHVISION[depth][1]
    assert counts.macs / 1e9 == pytest.approx(giga, abs=0.06)


def test_keras_version_1():
    # papers.md 4.3: 273,066 trainable at n=3; by hand 269,722 + 688 biases of 3x3 convolutions + 2,656 of projections
    assert cost(describe(composed("experiment=keras_v1"))).params == 269_722 + 688 + 2_656 == 273_066


def test_keras_version_2():
    # by hand from the layers of cifar10_resnet.py, as (in, out, kernel) below, each convolution biased
    convs = [(3, 16, 3)]
    norms = [16]
    c_in = 16
    for inner, out in ((16, 64), (64, 128), (128, 256)):
        for unit in range(2):
            convs += [(c_in, inner, 1), (inner, inner, 3), (inner, out, 1)]
            norms += ([c_in] if unit or inner > 16 else []) + [inner, inner]
            convs += [(c_in, out, 1)] if unit == 0 else []
            c_in = out
    norms += [256]
    params = sum(i * o * k * k + o for i, o, k in convs) + 2 * sum(norms) + 256 * 10 + 10
    assert cost(describe(composed("experiment=keras_v2"))).params == params == 570_602
