"""Verdicts: limits, orders that must hold, cases worked by hand."""

import math
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats

from analysis.samples import IMAGES, failures, sample
from reslab.analysis import gaps
from reslab.analysis.onset import onset
from reslab.analysis.study import Study
from reslab.analysis.verdict import Look, Sample, holm, settle

ONE_LOOK = Study(looks=(3,))


def judge(samples, study):
    return gaps.judge(samples, study, gaps.family(samples, study))


def only(samples, study=ONE_LOOK):
    (gap,) = judge(samples, study)
    return gap


def test_a_clear_gap_by_hand():
    """One hypothesis, one comparison, one look: plain Welch at 0.025."""
    deep, shallow = [10.0, 11.0, 12.0], [1.0, 1.5, 2.0]
    gap = only({("none", 20): sample(*shallow), ("none", 56): sample(*deep)})
    low, high = stats.ttest_ind(deep, shallow, equal_var=False).confidence_interval(0.95)
    assert (gap.lower_points, gap.upper_points) == pytest.approx((low, high))
    assert gap.gap_points == pytest.approx(9.5)
    assert (gap.verdict, gap.against, gap.n, gap.look) == ("degrades", 20, 3, 3)
    assert gap.needed == ""


def test_no_gap_does_not_degrade():
    gap = only({("identity", 20): sample(0.0, 0.0, 0.0), ("identity", 56): sample(0.0, 0.0, 0.0)})
    assert gap.verdict == "does not degrade"
    assert gap.upper_points < 0.25


def test_noise_is_undecided_and_says_what_would_tell():
    gap = only({("none", 20): sample(1.0, 2.0, 3.0), ("none", 56): sample(2.0, 1.0, 4.0)}, Study())
    assert gap.verdict == "undecided"
    assert "next look at n = 5" in gap.needed
    assert "seeds" in gap.needed


@pytest.mark.parametrize("n", [1, 2])
def test_before_the_first_look_nothing_is_decided(n):
    gap = only({("none", 20): sample(*[1.0] * n), ("none", 56): sample(*[80.0] * n)})
    assert gap.verdict == "undecided"
    assert gap.look is None
    assert gap.gap_points == pytest.approx(79)
    assert (gap.lower_points is None) == (n == 1)


def test_what_is_drawn_decides():
    """Over many random families: the verdict is where the interval lies, and nothing else."""
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(200):
        samples = {
            (s, d): sample(*np.abs(rng.normal(g, 0.2, rng.integers(3, 9))))
            for s, means in (("none", (1, 1.2, 3)), ("identity", (1, 1, 1)))
            for d, g in zip((8, 20, 56), means, strict=True)
        }
        for gap in judge(samples, Study()):
            word = "degrades" if gap.lower_points > 0.25 else "undecided"
            word = "does not degrade" if gap.upper_points < 0.25 else word
            assert gap.verdict == word
            seen.add(word)
    assert seen == {"degrades", "does not degrade", "undecided"}


def test_a_poor_shallow_net_hides_nothing():
    """Plain-8 is worse than plain-56; against plain-20 the gap is clear (intersection-union would never see it)."""
    samples = {
        ("none", 8): sample(9.0, 9.1, 9.2),
        ("none", 20): sample(1.4, 1.5, 1.6),
        ("none", 56): sample(5.6, 5.7, 5.8),
    }
    found = {gap.depth: gap for gap in judge(samples, ONE_LOOK)}
    assert found[56].verdict == "degrades"
    assert found[56].against == 20
    assert found[20].verdict == "does not degrade"


def test_more_comparisons_and_larger_families_widen():
    deep, shallow = sample(1.2, 1.5, 1.9), sample(1.0, 1.2, 1.3)  # undecided, so at Holm's first step
    alone = only({("none", 20): shallow, ("none", 56): deep})
    two = next(
        g for g in judge({("none", 8): shallow, ("none", 20): shallow, ("none", 56): deep}, ONE_LOOK) if g.depth == 56
    )
    family = Study(looks=(3,), shortcuts=("none", "identity"), depths=(20, 56))
    declared = only({("none", 20): shallow, ("none", 56): deep}, family)
    three = only({("none", 20): shallow, ("none", 56): deep}, Study(looks=(3, 5, 8)))
    for wider in (two, declared, three):
        assert wider.lower_points < alone.lower_points


def test_the_word_changes_only_at_a_look():
    """Seeds 3 and 4 would turn it; until the look at 5 is complete the interval of the look at 3 stands."""
    flat = [1.0, 1.3, 1.6, 1.3, 1.3]
    deep = [1.2, 3.0, 2.4, 4.0, 4.0]
    study = Study(looks=(3, 5))
    at = {n: only({("none", 20): sample(*flat[:n]), ("none", 56): sample(*deep[:n])}, study) for n in (3, 4, 5)}
    assert at[4].lower_points == at[3].lower_points
    assert at[4].gap_points == at[3].gap_points
    assert (at[4].look, at[4].n_now) == (3, 4)
    assert at[4].now_points != at[3].now_points
    assert at[5].look == 5
    assert at[5].lower_points > at[3].lower_points


def test_every_look_speaks_for_itself():
    """At n = 3 it degrades, at n = 5 nobody knows: the interval is that of the last look and holds its estimate."""
    study = Study(looks=(3, 5))
    samples = {("none", 20): sample(*[1.0] * 5), ("none", 56): sample(30.0, 30.2, 30.1, 0.5, 70.0)}
    assert only({key: value.first(4) for key, value in samples.items()}, study).verdict == "degrades"
    gap = only(samples, study)
    assert (gap.look, gap.verdict) == (5, "undecided")
    assert gap.lower_points < gap.gap_points < gap.upper_points


def test_no_interval_leaves_out_its_estimate():
    rng = np.random.default_rng(4)
    for _ in range(200):
        draws = {("none", d): sample(*np.abs(rng.exponential(1, rng.integers(2, 9)))) for d in (8, 20, 56)}
        for gap in judge(draws, Study()):
            assert gap.lower_points is None or gap.lower_points <= gap.gap_points + 1e-9
            assert gap.upper_points is None or gap.upper_points >= gap.gap_points - 1e-9


def test_a_look_with_missing_cells_does_not_replace_a_complete_one():
    study = Study(looks=(3, 5))
    samples = {
        ("none", 8): sample(1.0, 1.1, 1.2),
        ("none", 20): sample(1.0, 1.1, 1.2, 1.1, 1.1),
        ("none", 56): sample(9.0, 9.1, 9.2, 9.1, 9.1),
    }
    gap = next(gap for gap in judge(samples, study) if gap.depth == 56)
    assert (gap.look, gap.verdict) == (3, "degrades")
    assert gap.upper_points is not None


def test_failures_are_compared_by_permutation_and_n_is_told():
    study = Study(looks=(3, 5))
    gap = only({("none", 20): sample(1.0, 1.2, 1.1), ("none", 110): failures(3)}, study)
    assert gap.verdict == "undecided"
    assert gap.method == "exact permutation"
    assert gap.lower_points is None
    assert gap.failures == 3
    assert "3 of 3 failed against 0 of 3" in gap.needed
    assert "p = 0.05 is the smallest n = 3 can give" in gap.needed
    assert "2 more seeds settle it" in gap.needed
    settled = only({("none", 20): sample(1.0, 1.2, 1.1, 1.0, 1.3), ("none", 110): failures(5)}, study)
    assert settled.verdict == "degrades"


def test_one_more_seed_settles_it():
    """The wording of the plan: 3 of 3 against 0 of 3, p = 0.05 at best; at n = 4 one in 70 is below 0.025."""
    samples = {("none", 20): sample(1.0, 1.2, 1.1), ("none", 110): failures(3)}
    gap = only(samples, Study(looks=(4,)))
    assert gap.look is None
    assert gap.needed == (
        "3 of 3 failed against 0 of 3; p = 0.05 is the smallest n = 3 can give and 0.025 is needed; "
        "1 more seed settles it if they go the same way"
    )
    settled = only({("none", 20): sample(1.0, 1.2, 1.1, 1.0), ("none", 110): failures(4)}, Study(looks=(4,)))
    assert settled.verdict == "degrades"


def test_more_seeds_are_not_promised_where_cells_overlap():
    """One of three failed and the others are no worse than the shallow net: nobody knows what more seeds would do."""
    gap = only({("none", 20): sample(1.0, 1.2, 1.1), ("none", 110): sample(1.0, 1.1, 0.0, failed=(2,))}, Study())
    assert "1 of 3 failed" in gap.needed
    assert "smallest" not in gap.needed
    assert "next look at n = 5" in gap.needed


def test_missing_cells_of_the_family_still_count():
    study = Study(looks=(3,), shortcuts=("none", "identity"), depths=(20, 56))
    samples = {("none", 20): sample(1.0, 1.1, 1.2), ("none", 56): sample(1.2, 1.5, 1.9)}
    one, free = only(samples, study), only(samples)
    assert one.lower_points < free.lower_points


def test_upper_bound_needs_every_shallower_depth():
    study = Study(looks=(3,), shortcuts=("none",), depths=(8, 20, 56))
    gap = only({("none", 20): sample(1.0, 1.0, 1.0), ("none", 56): sample(1.0, 1.0, 1.0)}, study)
    assert gap.upper_points is None
    assert gap.verdict == "undecided"


def test_holm_by_hand():
    """p = 0.01, 0.02, 0.04 at 0.05: 0.01 <= 0.05/3, 0.02 <= 0.05/2, 0.04 <= 0.05: all. 0.03 instead of 0.02 stops."""
    assert holm([0.04, 0.01, 0.02], 0.05) == pytest.approx(0.05)
    assert holm([0.04, 0.01, 0.03], 0.05) == pytest.approx(0.025)
    assert holm([0.04, 0.02, 0.03], 0.05) == pytest.approx(0.05 / 3)


def test_holm_rejects_exactly_what_is_below_its_last_step():
    rng = np.random.default_rng(2)
    for _ in range(300):
        p = sorted(rng.random(6) * 0.1)
        rejected = 0
        while rejected < 6 and p[rejected] <= 0.05 / (6 - rejected):
            rejected += 1
        assert sum(value <= holm(p, 0.05) for value in p) == rejected


def test_settle_without_anything_found():
    assert settle([Look(3, {("none", 56): []}, {("none", 56): 1})], planned=1, margin=0.1) == {}


D, F, U = "degrades", "does not degrade", "undecided"


def words(*verdicts):
    base = only({("none", 20): sample(1.0, 1.0, 1.0), ("none", 56): sample(1.0, 1.0, 1.0)})
    return [replace(base, depth=20 + 12 * at, verdict=word) for at, word in enumerate(verdicts) if word is not None]


@pytest.mark.parametrize(
    ("verdicts", "after", "first", "said"),
    [
        ((F, F, D), 32, 44, "begins in (32, 44]"),
        ((F, U, D), 20, 44, "begins in (20, 44] (32 undecided)"),
        ((U, F, D), 8, 44, "begins in (8, 44] (20 undecided)"),
        ((D, F, D), 8, 20, "begins in (8, 20]"),
        ((F, F, F), 44, None, "no degradation up to depth 44"),
        ((F, U, F), 20, None, "no depth is known to degrade: fine up to 20 (32 undecided)"),
        ((F, None, D), 20, 44, "begins in (20, 44] (32 undecided)"),
        ((F, D, U), 20, 32, "begins in (20, 32]"),
        ((U, D, None), 8, 32, "begins in (8, 32] (20 undecided)"),
    ],
)
def test_onset(verdicts, after, first, said):
    found = onset("none", (8, 20, 32, 44), words(*verdicts), begun=True)
    assert (found.after, found.onset) == (after, first)
    assert found.sentence.endswith(said)


@pytest.mark.parametrize("verdicts", list(product((D, F, U, None), repeat=3)))
def test_what_is_undecided_lies_where_it_matters(verdicts):
    """Over all verdicts of three depths: below the onset or, without one, anywhere; deeper ones widen nothing."""
    found = onset("none", (8, 20, 32, 44), words(*verdicts), begun=True)
    assert found.onset == next((d for d, word in zip((20, 32, 44), verdicts, strict=True) if word == D), None)
    open_ones = [d for d, word in zip((20, 32, 44), verdicts, strict=True) if word in (U, None)]
    assert list(found.undecided) == [d for d in open_ones if found.onset is None or d < found.onset]
    assert ("undecided" in found.sentence) is bool(found.undecided)


def test_onset_without_the_shallowest_depth_has_no_lower_end():
    """Depth 8 was declared and has no result: that 20 does not degrade was never looked at."""
    found = onset("none", (8, 20, 32, 44), words(F, F, D), begun=False)
    assert (found.after, found.onset) == (None, 44)
    assert "(?, 44]" in found.sentence


def test_a_row_belongs_to_one_set_of_cells_and_seeds():
    """Depth 8 has one seed, so the look at 3 is 56 against 20: gap, n, method and interval all say so."""
    samples = {
        ("none", 8): sample(0.0),
        ("none", 20): sample(1.0, 1.1, 1.2),
        ("none", 56): sample(50.0, 51.0, 52.0),
    }
    gap = next(gap for gap in judge(samples, ONE_LOOK) if gap.depth == 56)
    assert (gap.look, gap.against, gap.n, gap.method) == (3, 20, 3, "Welch t")
    assert gap.lower_points < gap.gap_points == pytest.approx(49.9)
    assert gap.upper_points is None  # depth 8 may yet be better


def test_seeds_of_a_look_are_the_first_planned_ones():
    """Seed 1 has not ended: three others have, but the look at 3 waits for it; late low seeds change nothing."""
    late = Sample((0, 1, 2, 3), (0, 2, 3), (0.5, 0.5, 0.5), (False,) * 3, 1 / IMAGES)
    assert late.ready == 1
    assert only({("none", 20): sample(1.0, 1.0, 1.0), ("none", 56): late}).look is None
    added = Sample((5, 6, 7, 0), (5, 6, 7, 0), (0.5, 0.51, 0.5, 0.0), (False,) * 4, 1 / IMAGES)
    assert added.first(3).seeds == (5, 6, 7)


def test_interim_bounds_are_over_all_shallower_depths():
    samples = {
        ("none", 8): sample(1.0, 3.0),
        ("none", 20): sample(1.9, 2.0),
        ("none", 56): sample(2.0, 2.1),
    }
    gap = next(gap for gap in judge(samples, ONE_LOOK) if gap.depth == 56)
    alone = only({key: value for key, value in samples.items() if key[1] != 8})
    assert gap.look is None
    assert gap.upper_points > alone.upper_points


def test_needed_seeds_are_a_range():
    rng = np.random.default_rng(3)
    gap = only({("none", 20): sample(*rng.normal(3, 1, 3)), ("none", 56): sample(*rng.normal(4, 1, 3))}, Study())
    least, most = (int(word) for word in gap.needed.replace(",", "").split() if word.isdigit() and int(word) > 5)
    assert math.isfinite(most)
    assert least < most


ALIVE, HALF = [1.0, 1.1, 1.2, 1.0, 1.1, 1.2, 1.0, 1.1], sample(*[1.0] * 4, *[90.0] * 4, failed=range(4, 8))


@pytest.mark.parametrize("deep", [failures(8), HALF, sample(*ALIVE)])
def test_depth_takes_nothing_from_nets_that_never_learned(deep):
    """No run of depth 20 learned: that 56 is no worse is no finding, however surely it is so."""
    gap = only({("none", 20): failures(8), ("none", 56): deep}, Study(looks=(8,)))
    assert gap.upper_points < 0.25
    assert (gap.verdict, gap.needed) == ("undecided", gaps.NOTHING)


@pytest.mark.parametrize("shallow", [{"failed": ()}, {"failed": range(7)}])
def test_one_run_that_learned_could_have_been_lost(shallow):
    """With one of the shallow runs there is something that depth could have taken away: the rule is about none."""
    study = Study(looks=(8,))
    gap = only({("none", 20): sample(*ALIVE, **shallow), ("none", 56): sample(*ALIVE)}, study)
    assert gap.needed != gaps.NOTHING
    both = {("none", 8): failures(8), ("none", 20): sample(*ALIVE), ("none", 56): sample(*ALIVE)}
    found = {gap.depth: gap for gap in judge(both, study)}
    assert {gap.verdict for gap in found.values()} <= {"does not degrade", "undecided"}
    assert found[20].needed == gaps.NOTHING  # against depth 8, of which none learned
    assert found[56].verdict == "does not degrade"  # against depth 20


def seeds_said(gap):
    return [int(number) for number in re.search(r"about (\d+)(?: to (\d+))? seeds", gap.needed).groups() if number]


@pytest.mark.parametrize(
    "study",
    [
        Study(looks=(5,)),
        Study(looks=(5, 8, 12)),
        Study(looks=(5,), shortcuts=("none", "identity"), depths=(20, 32, 44, 56)),
        Study(looks=(8,)),  # not there yet
    ],
)
def test_the_seeds_that_would_tell_are_those_of_the_level_that_decides(study):
    """Slowly: from two seeds on, up to the first n at which scipy's t of Welch's freedom is narrower than the gap."""
    shallow, deep = (1.0, 1.6, 1.2, 1.4, 1.3), (1.0, 2.6, 2.2, 3.0, 0.7)
    gap = only({("none", 20): sample(*shallow), ("none", 56): sample(*deep)}, study)
    assert gap.verdict == "undecided"
    level = gap.lower_level or 0.025 / len(study.looks)
    values = [sample(*x).values for x in (deep, shallow)]
    distance = np.mean(values[0]) - np.mean(values[1]) - 0.0025
    for said, end in zip(seeds_said(gap), (0.9, 0.1), strict=True):
        variances = [np.var(x, ddof=1) * 4 / stats.chi2.ppf(end, 4) for x in values]
        n, total = 2, sum(variances)
        while stats.t.isf(level, total**2 / sum(v**2 for v in variances) * (n - 1)) * math.sqrt(total / n) >= distance:
            n += 1
        assert said == max(n, 6)


def test_a_stricter_level_asks_for_more_seeds():
    samples = {("none", 20): sample(1.0, 1.6, 1.2), ("none", 56): sample(1.0, 2.6, 2.2)}
    studies = [Study(looks=(3,)), Study(), Study(shortcuts=("none", "identity"), depths=(20, 56))]
    few, more, most = (seeds_said(only(samples, study)) for study in studies)
    assert few < more < most
    failing = {("none", 20): sample(1.0, 1.2), ("none", 110): failures(2)}
    assert "p = 0.17 is the smallest n = 2 can give and 0.0083 is needed" in only(failing, Study()).needed
