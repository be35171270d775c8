"""What cannot be built is refused with a sentence that says what can."""

import pytest

from cells import cell
from reslab import api
from reslab.launch.build import build_net
from reslab.launch.compose import compose
from reslab.launch.construct import describe, make_net
from reslab.launch.freeze import resolve


def refused(*choices, **values):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the sentence is what the caller looks at
        make_net(cell(*choices, **values))
    return str(caught.value)


@pytest.mark.parametrize(
    ("depth", "block", "said"),
    [
        (21, "basic", "nearest valid depths are 20 and 26"),
        (25, "basic", "nearest valid depths are 20 and 26"),
        (9, "basic", "nearest valid depths are 8 and 14"),
        (7, "basic", "smallest is 8"),
        (2, "basic", "smallest is 8"),
        (0, "basic", "smallest is 8"),
        (-4, "basic", "smallest is 8"),
        (21, "bottleneck", "nearest valid depths are 20 and 29"),
        (32, "bottleneck", "nearest valid depths are 29 and 38"),
        (10, "bottleneck", "smallest is 11"),
    ],
)
def test_depth(depth, block, said):
    message = refused(f"block={block}", depth=depth)
    assert said in message
    assert f"depth {depth} " in message


@pytest.mark.parametrize("depth", [20, 26])
def test_the_depths_that_are_named_are_valid(depth):
    assert make_net(cell(depth=depth)).choices.depth == depth


def test_depth_on_the_way_from_the_command_line():
    with pytest.raises(ValueError, match="nearest valid depths are 20 and 26"):
        api.net("depth=21")


@pytest.mark.parametrize(
    ("depth", "block", "valid"),
    [
        (50, "basic", ("valid depths are 18, 34", "50 has 3 convolutions a unit")),
        (18, "bottleneck", ("valid depths are 50, 101, 152", "18 has 2 convolutions a unit")),
        (20, "basic", ("valid depths are 18, 34",)),
    ],
)
def test_depth_of_imagenet(depth, block, valid):
    message = refused("net=imagenet", f"block={block}", depth=depth, width=64, image=(3, 224, 10))
    assert all(part in message for part in valid)


def test_groups_that_do_not_divide_the_channels():
    message = refused("norm=group", depth=8, width=12)
    assert "norm.groups=8 does not divide 12 channels" in message
    assert "6 does" in message


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 6, 12])
def test_groups_that_divide_are_not_refused(groups):
    made = cell("norm=group", depth=8, width=12)
    assert make_net(made | {"norm": made["norm"] | {"groups": groups}})


@pytest.mark.parametrize(
    ("size", "said"), [(10, "use 8 or 12"), (7, "use 4 or 8"), (3, "use 4"), (33, "use 32 or 36"), (2, "use 4")]
)
def test_size_that_the_strides_do_not_divide(size, said):
    message = refused(depth=8, image=(1, size, 10))
    assert f"images of {size} x {size} pixels" in message
    assert message.endswith(said)


def test_size_of_imagenet():
    message = refused("net=imagenet", depth=18, width=64, image=(3, 200, 10))
    assert "strides (32)" in message
    assert message.endswith("use 192 or 224")


@pytest.mark.parametrize("width", [0, -16])
def test_width(width):
    assert f"width {width} is not a positive number" in refused(depth=8, width=width)


def test_identity_cannot_drop_channels():
    made = cell("shortcut=identity", depth=8)
    with pytest.raises(ValueError, match="cannot shrink 16 channels to 8"):
        build_net(made | {"net": made["net"] | {"widths": [2, 1, 1]}, "width": 8})
    projected = cell("shortcut=projection", depth=8)
    assert build_net(projected | {"net": projected["net"] | {"widths": [2, 1, 1]}, "width": 8})


def test_unknown_padding_from_a_config():
    made = cell(depth=8)
    with pytest.raises(ValueError, match="'reflect' is unknown"):
        build_net(made | {"block": made["block"] | {"padding": "reflect"}})


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("init.conv.shape=cauchy", "it is normal, truncated or uniform"),
        ("init.linear.fan=both", "it is in, out or average"),
        ("init.conv.gain=-1", "is not positive"),
        ("net.widths=[]", "positive integers"),
        ("net.widths=[1,0,2]", "positive integers"),
        ("net.stem.kernel=4", "has no centre"),
        ("norm.groups=0", "does not divide"),
    ],
)
def test_refused_before_any_worker_starts(override, words):
    group = ["norm=group"] if override.startswith("norm") else []
    with pytest.raises(ValueError, match=words):
        describe(resolve(*compose("train", ["depth=8", *group, override])))


@pytest.mark.parametrize(
    ("override", "words"), [("block.stride_at=3", "is not 1"), ("block.expansion=0", "leaves no channels")]
)
def test_bottlenecks_that_make_no_sense(override, words):
    with pytest.raises(ValueError, match=words):
        describe(resolve(*compose("train", ["block=bottleneck", "depth=11", override])))


def test_imagenet_has_four_stages():
    with pytest.raises(ValueError, match="the nets of the table have 4"):
        describe(resolve(*compose("train", ["net=imagenet", "data.size=32", "depth=18", "net.widths=[1,2,4]"])))


def test_width_without_expansion():
    message = refused("block=keras_bottleneck", "net=keras_v2", depth=11, width=8)
    assert "block.expansion has no entry for inner width 8" in message
    assert "[16, 64, 128]" in message


def test_foreign_targets():
    made = cell(depth=8)
    with pytest.raises(ValueError, match=r"trust=\[os\]"):
        make_net(made | {"norm": {"_target_": "os.getcwd"}})
