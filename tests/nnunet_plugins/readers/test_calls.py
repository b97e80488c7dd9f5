"""Calls of readers: counts, paired tests, agreement, cohort; published figures of paper 002."""

from __future__ import annotations

import unicodedata
from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from nnunet_plugins.errors import UserError
from nnunet_plugins.readers import several
from nnunet_plugins.readers.calls import (
    difference_interval,
    of_agreement,
    of_calls,
    of_gains,
    unpaired,
)
from nnunet_plugins.readers.cohort import cohort_sheet
from nnunet_plugins.readers.reads import Read, Reads
from tests.nnunet_plugins.readers.studies import write_csv


def reads(calls, truth, arms=("alone", "assisted")):
    """Reads of one reader: arm -> calls, in the order of the truth."""
    return Reads(
        tuple(
            Read(f"c{i:03d}", "R", arm, call=bool(call))
            for arm, of_arm in zip(arms, calls, strict=True)
            for i, call in enumerate(of_arm)
        ),
        {f"c{i:03d}": bool(one) for i, one in enumerate(truth)},
    )


def from_counts(tp, fn, tn, fp):
    return [1] * tp + [0] * fn + [0] * tn + [1] * fp, [1] * (tp + fn) + [0] * (tn + fp)


@pytest.mark.parametrize(
    ("counts", "published"),
    [
        # Table 5 of paper 002, readers alone: accuracy, sensitivity, specificity, PPV, NPV, kappa.
        ((29, 8, 12, 9), (70.69, 78.38, 57.14, 76.32, 60.00, 0.359)),
        ((33, 4, 13, 8), (79.31, 89.19, 61.90, 80.49, 76.47, 0.533)),
    ],
)
def test_the_readers_of_paper_002(counts, published):
    calls, truth = from_counts(*counts)
    found = of_calls(reads([calls], truth, ["alone"]))
    *shares, kappa = [one.value for one in found]
    assert [round(100 * one, 2) for one in shares] == list(published[:-1])
    assert round(kappa, 3) == published[-1]
    assert all(one.low < one.value < one.high for one in found)


def test_gains_are_mcnemars():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    alone = np.where(rng.random(60) < 0.3, 1 - truth, truth)
    assisted = np.where(rng.random(60) < 0.15, 1 - truth, truth)
    found = {one.measure: one for one in of_gains(reads([alone, assisted], truth))}
    for measure, where in (
        ("accuracy", truth >= 0),
        ("sensitivity", truth == 1),
        ("specificity", truth == 0),
    ):
        a, b = (alone == truth)[where], (assisted == truth)[where]
        table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
        one = found[measure]
        assert one.p == pytest.approx(mcnemar(table, exact=True).pvalue)
        assert one.value == pytest.approx(b.mean() - a.mean())
        assert (one.better, one.worse) == (table[1][0], table[0][1])
        assert one.low <= one.value <= one.high


def test_the_unpaired_test_ignores_which_calls_changed():
    truth = [1] * 30 + [0] * 30
    alone = [1] * 20 + [0] * 10 + [0] * 20 + [1] * 10
    better = [1] * 26 + [0] * 4 + [0] * 20 + [1] * 10  # six corrected
    # Twelve corrected, six spoiled: the same totals.
    other = [0] * 6 + [1] * 24 + [0] * 0 + [0] * 22 + [1] * 8
    first, second = (of_gains(reads([alone, one], truth))[0] for one in (better, other))
    assert first.value == second.value == pytest.approx(0.1)
    assert first.p_unpaired == second.p_unpaired
    assert first.p < 0.05 < second.p


def test_the_unpaired_test_is_pearsons():
    assert unpaired(41, 45, 58) == pytest.approx(
        stats.chi2_contingency([[41, 17], [45, 13]], correction=False).pvalue
    )
    assert unpaired(58, 58, 58) == 1.0


def test_coverage_of_the_interval_of_a_paired_difference():
    """Exact, over all tables of 25 pairs; 0.93 or more, on average 0.95 to 0.98."""
    n, cells = 25, []
    for better, worse in ((0.1, 0.1), (0.2, 0.05), (0.3, 0.1), (0.25, 0.25)):
        inside = sum(
            stats.multinomial.pmf([b, c, n - b - c], n, [better, worse, 1 - better - worse])
            for b, c in product(range(n + 1), repeat=2)
            if b + c <= n
            and (limits := difference_interval(b, c, n))[0] <= better - worse <= limits[1]
        )
        cells.append(inside)
    assert min(cells) > 0.93
    assert 0.94 < np.mean(cells) < 0.99


def test_agreement_within_and_between_readers():
    both = [
        Read(f"c{i}", reader, arm, call=call)
        for reader, flips in (("A", ()), ("B", (0, 1)))
        for arm in ("alone", "assisted")
        for i in range(12)
        for call in [(i % 2 == 0) != (i in flips and arm == "alone")]
    ]
    found = of_agreement(Reads(tuple(both), {f"c{i}": i % 2 == 0 for i in range(12)}))
    assert [(one.reader, one.arm) for one in found] == [
        ("A", "alone and assisted"),
        ("B", "alone and assisted"),
        ("A and B", "alone"),
        ("A and B", "assisted"),
    ]
    assert [one.value for one in found] == pytest.approx([1, 2 / 3, 2 / 3, 1])


def test_minutes_and_patients():
    """The change is by patient: two cases of one patient count once in Wilcoxon's test."""
    every = tuple(
        Read(f"c{i}", "A", arm, minutes=minutes)
        for i in range(6)
        for arm, minutes in (("alone", 5.0 + i), ("assisted", 3.0))
    )
    change = several.of_minutes(Reads(every))[-1]
    assert (change.value, change.better, change.n) == (-4.5, 6, 6)
    assert change.p == pytest.approx(2 / 2**6)
    patients = {f"c{i}": i // 2 for i in range(6)}
    assert several.of_minutes(Reads(every, patients=patients))[-1].p == pytest.approx(2 / 2**3)


COHORT = [
    {"patient": f"p{i}", "group": "new" if i < 8 else "old", "age": 20 + 3 * i % 17, "sex": "fm"[i % 3 == 0],
     "HLA-B27": ["+", "-", "unknown"][i % 3]}
    for i in range(20)
]  # fmt: skip


def test_cohort(tmp_path):
    sheet = cohort_sheet(write_csv(tmp_path / "cohort.csv", COHORT), "group")
    rows = {(row[0], row[1]): row[2:] for row in sheet.rows}
    ages = [row["age"] for row in COHORT]
    assert rows["patients", ""] == ("20", "8", "12", "")
    assert (
        rows["age", "median (quartiles)"][-1]
        == f"{stats.mannwhitneyu(ages[:8], ages[8:]).pvalue:.3f}"
    )
    assert rows["age", "median (quartiles)"][0].startswith(f"{np.median(ages):.4g} (")
    males = [row["sex"] == "m" for row in COHORT]
    table = [[sum(part), len(part) - sum(part)] for part in (males[:8], males[8:])]
    p = stats.chi2_contingency(table, correction=False).pvalue
    assert rows["sex", "f"][-1] == f"{p:.3f} *"
    assert rows["", "m"][:3] == ("7 (35.0 %)", "3 (37.5 %)", "4 (33.3 %)")
    # A hyphen is a category, not a missing value.
    assert rows["HLA-B27", "+"][0] == "7 (50.0 %)"
    assert rows["", "-"][0] == "7 (50.0 %)"
    assert rows["", "not known"][:3] == ("6", "2", "4")
    assert not any("p0" in cell for row in sheet.rows for cell in row)


@pytest.mark.parametrize(
    ("change", "by", "message"),
    [
        ({}, "arm", "no column 'arm'; --by names one of patient, group, age"),
        ({"group": "new"}, "group", "column group has 1 groups: new; expected two"),
    ],
)
def test_a_cohort_without_two_groups(tmp_path, change, by, message):
    with pytest.raises(UserError, match=message):
        cohort_sheet(write_csv(tmp_path / "cohort.csv", [row | change for row in COHORT]), by)


def rows_with(folder, **cells):
    """Sheet rows of the cohort with further columns; functions of the row's number."""
    table = [row | {name: of(i) for name, of in cells.items()} for i, row in enumerate(COHORT)]
    sheet = cohort_sheet(write_csv(folder / "cohort.csv", table), "group")
    return {(row[0], row[1]): row[2:5] for row in sheet.rows}


def test_one_category_in_several_spellings(tmp_path):
    found = rows_with(
        tmp_path,
        smoker=lambda i: ["Yes", "yes", "no", "NO"][i % 4],
        arthritis=lambda i: ["0", "0.0", "1", "1,0"][i % 4],
        drug=lambda i: ["none", "NSAID"][i % 2],
        site=lambda i: unicodedata.normalize(["NFC", "NFD"][i % 2], "Köln"),
        group=lambda i: ["new", "NEW", "old", "Old"][i % 4],
    )
    for first, second in (("smoker", "no"), ("arthritis", "1"), ("drug", "none")):
        (key,) = [key for key in found if key[0] == first]
        assert found[key][0] == found["", second][0] == "10 (50.0 %)"
    assert found["site", "Köln"][0] == "20 (100.0 %)"
    assert found["patients", ""] == ("20", "10", "10")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"patient": lambda i: ["P-1", "p_01"][i] if i < 2 else f"q{i}"}, "patient has a row above: 3; expected"),
        ({"group": lambda i: ["new", "old", "NA"][i % 3]}, "has 2 groups: new, old, and 6 cells that are not known"),
        ({"age": lambda i: "4O" if i == 2 else 30 + i % 6}, "numbers, and 1 of 20 cells that are none, in row 4;"),
    ],
)  # fmt: skip
def test_a_cohort_that_is_not_sound(tmp_path, cells, message):
    with pytest.raises(UserError, match=message):
        rows_with(tmp_path, **cells)


def test_a_column_of_a_cohort_that_is_given_twice(tmp_path):
    (tmp_path / "cohort.csv").write_text("group,age,age\nnew,20,1\nold,30,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="columns given twice: age"):
        cohort_sheet(tmp_path / "cohort.csv", "group")


def test_names_that_repeat_are_not_shown(tmp_path):
    found = rows_with(tmp_path, Name=lambda i: f"Miller{i // 4}", Patient_ID=lambda i: i // 4)
    assert not any("Name" in key or "Patient_ID" in key or "Miller0" in key for key in found)


def test_names_in_a_cohort_are_refused_and_not_shown(tmp_path):
    table = [row | {"family": f"Miller{i}"} for i, row in enumerate(COHORT)]
    with pytest.raises(
        UserError, match="column family has 20 different texts; is it an identifier"
    ) as caught:
        cohort_sheet(write_csv(tmp_path / "cohort.csv", table), "group")
    assert "Miller" not in str(caught.value)
