"""A race by hand: who takes turns when, ratios that are paired, figures and tables with the right answers."""

from dataclasses import replace

import pytest

from reslab.launch.bench import standing
from reslab.launch.bench.figures import Figure, Measured, page, record
from reslab.launch.bench.race import Spread, faster, race, share, spread
from reslab.launch.bench.standing import LABELS, Heat

LIMITS = {"fp32": 1e9, "bf16": 4e9, "copy": 1e9, "copied": 2**28, "capability": "AVX", "threads": 2}


def test_everyone_takes_a_turn_before_anyone_takes_a_second():
    order = []

    def turn(name):
        return lambda: order.append(name) or float(len(order))

    taken = race({name: turn(name) for name in "ABC"}, 3)
    assert "".join(order) == "ABCABCABC"
    assert taken == {"A": [1, 4, 7], "B": [2, 5, 8], "C": [3, 6, 9]}


def test_median_and_quartiles():
    assert spread([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(3.0, 2.0, 4.0)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)


def test_what_disturbs_a_whole_repeat_does_not_change_a_ratio():
    """Twice as fast in every repeat, on a machine that is up to ten times slower in some."""
    load = [1.0, 10.0, 3.0, 1.5, 7.0]
    assert faster([1.0 * x for x in load], [2.0 * x for x in load]) == Spread(2.0, 2.0, 2.0)
    assert share([2.0 * x for x in load], [1.5 * x for x in load]) == Spread(0.25, 0.25, 0.25)


def test_a_ratio_is_the_median_of_ratios_and_not_the_ratio_of_medians():
    ours, theirs = [1.0, 2.0, 4.0], [4.0, 2.0, 6.0]
    assert faster(ours, theirs).middle == 1.5
    assert spread(theirs).middle / spread(ours).middle == 2.0


def test_a_contestant_is_as_fast_as_itself():
    assert faster([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).middle == 1.0
    assert share([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == Spread(0.0, 0.0, 0.0)


def heat(depth=20, **seconds):
    names = {"usual fp32": 3.0, "strong fp32": 1.9, "strong bf16": 1.0, "ours fp32": 2.0, "ours bf16": 1.0}
    names |= {"alone bf16": 0.98, "alone fp32": 1.97, "strong bf16 compiled": 1.5, "strong fp32 compiled": 2.5}
    names |= {name.replace("_", " "): value for name, value in seconds.items()}
    return Heat(
        title=f"net {depth}",
        depth=depth,
        seconds={name: [value, 2 * value, value] for name, value in names.items()},
        batch=10,
        macs=1_000_000,
        elements=1000,
        first={"strong bf16 compiled": 30.0},
        gates=[{"name": "logits", "found": 1e-7, "most": 1e-5}],
        workers={"0": 2.0, "1": 1.5},
        memory={"ours bf16": 123.4},
        limits=LIMITS,
    )


def on_gpu(depth=20, batch=128, **changed):
    """A step of ours takes half a millisecond, of the strong loops 0.6 and 2."""
    names = {"usual fp32": 10.0, "strong fp32": 3.0, "strong bf16": 2.0, "strong bf16 graphs": 0.6, "ours fp32": 1.0}
    names |= {"ours bf16": 0.5, "alone bf16": 0.49}
    looks = {"ours bf16": {"syncs": 0.0, "kernels": 1.5, "graphs": 1.0, "memory": 321.4}}
    looks |= {"strong bf16": {"syncs": 0.0, "kernels": 1234.0, "graphs": 0.0, "memory": 500.0}}
    made = {"seconds": {name: [value / 1000] * 2 for name, value in names.items()}, "looks": looks, "gpu": True}
    made |= {"memory": {name: found["memory"] for name, found in looks.items()}, "depth": depth, "batch": batch}
    return replace(heat(), title=f"net {depth}", **made | changed)


def of(measured, words):
    return next(figure for figure in measured.figures if all(word in figure.name for word in words))


def test_figures_and_their_targets():
    found = standing.found([heat(20), heat(56)], [heat(8)])
    against = [figure for figure in found.figures if "over a usual trainer" in figure.name]
    assert [(figure.value, figure.least) for figure in against] == [(3.0, 2.8), (1.5, 1.4), (3.0, 3.0), (1.5, 1.4)]
    assert all(figure.met for figure in against)
    strong = of(found, ["d ours, bf16, over c strong loop, bf16"])
    assert (strong.value, strong.least, strong.met) == (1.0, 0.97, True)
    shares = [figure for figure in found.figures if "Lightning" in figure.name]
    assert [(round(figure.value, 6), figure.most) for figure in shares] == [(2.0, 3.0), (2.0, 3.0), (1.5, 5.0)]


def test_best_precision_is_the_faster_one():
    assert heat().best("ours") == "ours bf16"
    assert heat(ours_bf16=5.0).best("ours") == "ours fp32"


@pytest.mark.parametrize("form", ["compiled", "blocks", "foreach"])
def test_the_strong_loop_is_the_fastest_of_its_forms(form):
    """On a CPU, too; the other forms are compared with, but without a target."""
    one = heat(**{f"strong_bf16_{form}": 0.5})
    assert (heat().strong(), one.strong()) == ("strong bf16", f"strong bf16 {form}")
    found = standing.found([one], [])
    figures = [figure for figure in found.figures if "over c strong loop, bf16" in figure.name]
    assert [(figure.value, figure.least) for figure in figures if LABELS[one.strong()] in figure.name] == [(0.5, 0.97)]
    assert [figure.least for figure in figures if figure.name.endswith(LABELS["strong bf16"])] == [None]
    rows = {row[0]: dict(zip(found.sheets[0].columns, row, strict=True)) for row in found.sheets[0].rows}
    assert rows[LABELS["ours bf16"]]["x c"] == "0.500"
    assert not [label for label in LABELS.values() if "tried" in label]


def test_ours_is_compared_compiled_where_that_is_faster():
    one = heat(ours_fp32_compiled=1.6, ours_bf16_compiled=0.8)
    assert (heat().ours(), one.ours(), one.ours_fp32()) == ("ours bf16", "ours bf16 compiled", "ours fp32 compiled")
    found = standing.found([one], [])
    figures = [figure for figure in found.figures if figure.least is not None]
    assert [(round(figure.value, 6), figure.least) for figure in figures] == [(3.75, 2.8), (1.875, 1.4), (1.25, 0.97)]
    assert all("trainer.compile=true" in figure.name for figure in figures)
    assert round(of(found, ["Lightning"]).value, 6) == 2.0


def test_in_fp32_the_strong_loop_may_be_compiled_but_nothing_may_be_rounded():
    one = heat(strong_fp32_compiled=1.6, strong_fp32_rounded=0.4)
    assert (heat().strong_fp32(), one.strong_fp32()) == ("strong fp32", "strong fp32 compiled")
    assert one.strong() == "strong fp32 rounded"
    found = standing.found([one], [one])
    exact = [figure for figure in found.figures if "d ours, fp32, over c" in figure.name]
    assert [figure.value for figure in exact] == [0.8, 0.8]
    assert all(LABELS["strong fp32 compiled"] in figure.name for figure in exact)


def test_a_share_has_its_quartiles_and_every_repeat_is_kept():
    one, pairs = heat(), [1.1, 1.0, 0.98, 0.96, 0.9]
    seconds = {name: [taken[0]] * 5 for name, taken in one.seconds.items()} | {"alone bf16": pairs}
    found = standing.found([replace(one, seconds=seconds)], [])
    figure = of(found, ["Lightning"])
    assert figure.name == "net 20: Lightning's share of a step (quartiles 0.0 to 4.0 %)"
    assert (round(figure.value, 6), figure.most, figure.met) == (2.0, 3.0, True)
    assert record(found)["turns"] == {"net 20": seconds}


def test_the_table_of_a_race():
    sheet = standing.found([heat()], []).sheets[0]
    rows = {row[0]: dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows}
    ours = rows[LABELS["ours bf16"]]
    assert (ours["ms/step"], ours["quartiles"], ours["img/s"]) == ("1000.00", "1000.00 to 1500.00", "10")
    assert (ours["x a"], ours["x c"], ours["over c"], ours["MiB"]) == ("3.00", "1.000", "+0.0%", "123")
    assert ours["arithmetic"] == "2%"  # 6 x 1e6 x 10 in a second, of 4e9
    assert rows[LABELS["strong fp32"]]["over c"] == "+90.0%"
    assert "1: 1500 ms" in sheet.title
    assert "first steps 30 s" in sheet.title


def test_a_nets_convolutions_alone_say_what_no_loop_can_pass():
    one = heat(convolutions_fp32=1.0, convolutions_bf16=0.5)
    assert (one.strong(), one.strong_fp32(), one.ours()) == ("strong bf16", "strong fp32", "ours bf16")
    found = standing.found([one], [])
    most = [figure for figure in found.figures if "convolutions alone" in figure.name]
    assert [(figure.value, figure.least, figure.most) for figure in most] == [(3.0, None, None), (6.0, None, None)]
    sheet = found.sheets[0]
    rows = {row[0]: dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows}
    alone = rows[LABELS["convolutions bf16"]]
    assert (alone["x a"], alone["x c"], alone["arithmetic"]) == ("6.00", "2.000", "3%")
    assert (alone["traffic"], rows[LABELS["strong bf16"]]["traffic"]) == ("", "0%")


def test_a_race_is_held_against_the_limits_of_its_own_threads():
    alone = replace(heat(8), limits={**LIMITS, "fp32": 5e8, "threads": 1})
    large, small, _, limits = standing.found([heat()], [alone]).sheets
    shares = [{row[0]: row[-3] for row in sheet.rows}[LABELS["ours fp32"]] for sheet in (large, small)]
    assert shares == ["3%", "6%"]  # 6 x 1e6 x 10 in 2 s, of 1e9 and of half as much
    assert [row[0] for row in limits.rows if "in fp32" in row[0]] == [
        "fastest 3 x 3 convolution in fp32, threads: 2",
        "fastest 3 x 3 convolution in fp32, threads: 1",
    ]


def test_on_a_gpu_the_strong_loop_is_the_fastest_of_its_forms():
    assert on_gpu().strong() == "strong bf16 graphs"
    found = standing.found([on_gpu(), on_gpu(110), on_gpu(56), on_gpu(20, batch=64)], [])
    rates = [figure for figure in found.figures if figure.unit == "img/s"]
    assert [(round(rate.value), rate.least) for rate in rates] == [
        (256_000, 150_000),
        (256_000, 30_000),
        (256_000, None),
        (128_000, None),
    ]
    strong = of(found, ["over c strong loop", "CUDA graphs"])
    assert (round(strong.value, 6), strong.least) == (1.2, 0.97)
    assert round(of(found, ["Lightning"]).value, 6) == 2.0


def test_ours_is_compared_as_fast_as_it_can_be_asked_to_be():
    seconds = {**on_gpu().seconds, "ours bf16 compiled": [0.0004, 0.0004]}
    there = on_gpu(seconds=seconds)
    assert on_gpu().ours() == "ours bf16"
    assert there.ours() == "ours bf16 compiled"
    found = standing.found([there], [])
    assert round(of(found, ["trainer.compile=true", "over c strong loop", "CUDA graphs"]).value, 6) == 1.5
    assert round(of(found, ["trainer.compile=true, over d ours, bf16"]).value, 6) == 1.25
    assert round(of(found, ["Lightning"]).value, 6) == 2.0


def test_a_table_of_a_gpu_says_how_often_the_host_takes_part():
    plain, there = (standing.found([one], []).sheets[0] for one in (heat(), on_gpu()))
    assert there.columns[: len(plain.columns)] == plain.columns
    rows = {row[0]: dict(zip(there.columns, row, strict=True)) for row in there.rows}
    ours = rows[LABELS["ours bf16"]]
    assert (ours["syncs"], ours["kernels + graphs"], ours["MiB"], ours["x c"]) == ("0", "1.5 + 1", "321", "1.200")
    assert rows[LABELS["strong bf16"]]["kernels + graphs"] == "1,234 + 0"
    assert rows[LABELS["usual fp32"]]["kernels + graphs"] == ""


def test_who_is_left_out_is_named_with_the_reason():
    seconds = {name: taken for name, taken in heat().seconds.items() if name != "usual fp32"}
    found = standing.found([replace(heat(), seconds=seconds, left_out={"usual fp32": "OSError: no memory"})], [])
    assert f"{LABELS['usual fp32']}: left out, OSError: no memory" in found.sheets[0].title
    assert not [figure for figure in found.figures if "usual" in figure.name]


@pytest.mark.parametrize(("value", "least", "met"), [(1.0, None, None), (1.0, 1.0, True), (0.9, 1.0, False)])
def test_a_target_can_be_a_least(value, least, met):
    figure = Figure("name", value, "x", least=least)
    assert figure.met is met
    assert figure.cells()[2] == ("" if met is None else f"at least 1 x: {'met' if met else 'missed'}")


def test_tables_are_on_the_page_and_in_the_record():
    found = standing.found([heat()], [])
    known = {
        "hardware": dict.fromkeys(("processor", "machine", "system", "file_system"), "it")
        | {"cores": 2, "memory_gib": 4.0, "load_before": 0.5},
        **{"python": "3.11", "versions": {"torch": "2", "reslab": "0"}, "commit": ""},
    }
    text = page("steps", found, known, "part=steps")
    for sheet in found.sheets:
        assert f"{sheet.title}:\n\n| {' | '.join(sheet.columns)} |" in text
        for row in sheet.rows:
            assert f"| {' | '.join(row)} |" in text
    assert [table["title"] for table in record(found)["tables"]] == [sheet.title for sheet in found.sheets]
    assert record(Measured([])) == {"figures": [], "tables": []}
