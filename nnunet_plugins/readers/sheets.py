"""A reader study as tables of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nnunet_plugins.comparison.tables import NOTHING, Sheet, p_text
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.readers import calls, masks, several
from nnunet_plugins.readers.design import Period
from nnunet_plugins.readers.findings import GAIN, SHARES, Finding, in_percent
from nnunet_plugins.readers.reads import ARMS

CHI_SQUARE = (
    "p by chi-square: of Pearson's test, which takes the calls of one reader alone and assisted for calls of "
    "different cases. They are paired, so it is not valid here: McNemar's test counts the cases whose call changed. "
    "It is shown because papers print it, sij-fm-25d-attention-unet among them."
)


def period_sheet(periods: Sequence[Period], arms: Sequence[str]) -> Sheet:
    """Numbers of reads, dates and washout."""
    rows = [
        (
            one.reader,
            *(str(one.reads.get(arm, 0)) for arm in arms),
            *(one.dates.get(arm) or NOTHING for arm in arms),
            f"{one.days[0]:g}" if one.days else NOTHING,
            f"{one.days[1]:g}" if one.days else NOTHING,
        )
        for one in periods
    ]
    head = ("reader", *(f"reads {arm}" for arm in arms), *(f"dates {arm}" for arm in arms))
    return Sheet(
        "Reads", (*head, "days between, shortest", "median"), tuple(rows), 1,
        ("Days between: between both reads of a case.",) if len(arms) > 1 else (),
    )  # fmt: skip


def sheets_of(findings: Sequence[Finding]) -> list[Sheet]:
    """All tables that the findings fill."""

    def of(*tables: str) -> list[Finding]:
        return [one for one in findings if one.table in tables]

    made = [
        _calls(of(calls.CALLS)),
        _gains("Calls, assisted against alone", of(calls.GAINS), unpaired=True),
        _agreement(of(calls.AGREEMENT)),
        _areas(of(several.AUC)),
        _gains("AUC, assisted against alone", of(several.AUC_GAINS)),
        *(
            _all_readers(title, of(table))
            for title, table in (
                ("All readers, for readers and cases like these", several.MRMC),
                ("All readers, for these readers only", several.MRMC_FIXED),
            )
        ),
        *_masks(of(masks.MASKS)),
        _gains("Masks, assisted against alone", of(masks.GAINS)),
        _gains("Masks, model against reader alone", of(masks.AGAINST_MODEL)),
        _minutes(of(several.TIME)),
    ]
    return [sheet for sheet in made if sheet and sheet.rows]


def with_interval(one: Finding) -> str:
    """Value and interval; in percent for proportions and overlaps.

    >>> with_interval(Finding("calls", "accuracy", "A", "alone", 0.5, 0.25, 0.75))
    '50.0 (25.0 to 75.0)'
    """
    if one.value is None:
        return NOTHING
    scale, digits = _scale(one.measure)
    text = f"{scale * one.value:.{digits}f}"
    limits = one.interval
    return text + (
        f" ({scale * limits[0]:.{digits}f} to {scale * limits[1]:.{digits}f})" if limits else ""
    )


def title_of(measure: str) -> str:
    """Name of a measure, with its unit."""
    if measure in SHARES:
        return f"{measure} %"
    if measure not in METRICS:
        return measure
    return METRICS[measure].title + (" %" if in_percent(measure) else "")


def _scale(measure: str) -> tuple[int, int]:
    """Factor and decimals."""
    if in_percent(measure):
        return 100, 1
    return (1, 1) if measure.endswith("minutes") else (1, 3)


def _calls(found: Sequence[Finding]) -> Sheet:
    rows = []
    for reader, arm in _keys(one for one in found if one.measure != "kappa"):
        own = {one.measure: one for one in found if one.reader == reader and one.arm == arm}
        kappa = next(
            one
            for one in found
            if one.measure == "kappa" and one.reader == reader and one.arm.startswith(f"{arm} ")
        )
        cells = [with_interval(own[measure]) for measure in SHARES]
        rows.append((reader, arm, str(own["accuracy"].n), *cells, with_interval(kappa)))
    return Sheet(
        "Calls",
        ("reader", "arm", "n", *map(title_of, SHARES), "kappa with the truth"),
        tuple(rows),
        2,
        ("Intervals of 95 %: Wilson's for proportions, large-sample for Cohen's kappa.",),
    )


def _gains(title: str, found: Sequence[Finding], *, unpaired: bool = False) -> Sheet:
    labels = any(one.label for one in found)
    order = list(dict.fromkeys((one.measure, one.label) for one in found))
    rows = [
        (
            title_of(one.measure),
            *((one.label,) if labels else ()),
            one.reader,
            str(one.n) + (f" (test: {one.n_test})" if one.n_test not in (None, one.n) else ""),
            with_interval(one),
            *(() if one.better is None else (str(one.better), str(one.worse))),
            p_text(one.p),
            p_text(one.p_holm),
            *((p_text(one.p_unpaired),) if unpaired else ()),
        )
        for one in sorted(found, key=lambda one: order.index((one.measure, one.label)))
    ]
    counted = any(one.better is not None for one in found)
    head = (
        "measure",
        *(("label",) if labels else ()),
        *("reader", "n", "difference"),
        *(("better", "worse") if counted else ()),
        *("p", "p (Holm)"),
        *(("p by chi-square",) if unpaired else ()),
    )
    notes = sorted({one.method for one in found})
    turned = any(one.table in (masks.GAINS, masks.AGAINST_MODEL) for one in found)
    notes = [
        f"Differences with 95 % intervals, in the unit of the measure. Methods: {' / '.join(notes)}."
    ]
    if unpaired:
        notes.append(CHI_SQUARE)
    if turned:
        notes.append(
            "n, better and worse count patients where a patient has several cases. A case without a value of one "
            "mask, e.g. a distance of an empty one, is not in the difference; the test ranks it worst or best, and "
            "its n is shown where it differs."
        )
    return Sheet(title, head, tuple(rows), 3 if labels else 2, tuple(notes))


def _agreement(found: Sequence[Finding]) -> Sheet:
    rows = [(one.reader, one.arm, str(one.n), with_interval(one)) for one in found]
    return Sheet("Agreement of the calls", ("readers", "arm", "n", "kappa"), tuple(rows), 2)


def _areas(found: Sequence[Finding]) -> Sheet:
    rows = [(one.reader, one.arm, str(one.n), with_interval(one)) for one in found]
    notes = (
        "Area below the empirical ROC curve of the confidences; interval by the jackknife over cases.",
    )
    return Sheet("AUC", ("reader", "arm", "n", "AUC"), tuple(rows), 2, notes)


def _all_readers(title: str, found: Sequence[Finding]) -> Sheet:
    rows, methods, marked = [], [], False
    for measure, label in dict.fromkeys((one.measure, one.label) for one in found):
        own = {one.arm: one for one in found if (one.measure, one.label) == (measure, label)}
        gain = own[GAIN]
        name = title_of(measure) + (f", {label}" if label else "")
        short = {arm: " †" * (several.TOO_SHORT in one.method) for arm, one in own.items()}
        p = p_text(gain.p) + short[GAIN]
        cells = (with_interval(own[arm]) + short[arm] for arm in (*ARMS, GAIN))
        rows.append((name, str(gain.n), *cells, p))
        methods += [f"{name}: {part}" for part in gain.method.split("; ") if part.startswith("F")]
        marked = marked or any(short.values())
    about = found[0].method.partition("; ")[0] if found else ""
    notes = [
        f"{about}. Differences are {masks.TURNED}. Intervals are cut where shares end. P-values are not "
        "corrected for the number of measures.",
        *methods,
    ]
    if any(several.NO_VARIANCE in one.method for one in found):
        notes.append(
            "Neither interval nor test: nothing varies in these cases, by chance; the value is not certain."
        )
    if marked:
        notes.append(
            "† Shorter than for these readers only, by chance: the readers seem more alike than readers can be. "
            "Interval and p-value are too small; report those for these readers only."
        )
    return Sheet(title, ("measure", "n", *ARMS, "difference", "p"), tuple(rows), 1, tuple(notes))


def _masks(found: Sequence[Finding]) -> list[Sheet]:
    made = []
    for label in dict.fromkeys(one.label for one in found):
        of_label = [one for one in found if one.label == label]
        metrics = list(dict.fromkeys(one.measure for one in of_label))
        rows = []
        for reader, arm in _keys(of_label):
            own = {one.measure: one for one in of_label if (one.reader, one.arm) == (reader, arm)}
            most = max(one.n or 0 for one in own.values())
            cells = (
                _mean(own[metric]) + (f", n = {own[metric].n}" if own[metric].n != most else "")
                for metric in metrics
            )
            rows.append((reader, "" if arm == reader else arm, str(most), *cells))
        head = ("reader", "arm", "n", *map(title_of, metrics))
        notes = (
            "Mean ± standard deviation over the cases (95 % bootstrap interval of the mean). n = below the row's n: "
            "the other masks have no value and are left out, e.g. precision and distances of an empty mask.",
        )
        made.append(Sheet(f"Masks: {label}", head, tuple(rows), 2, notes))
    return made


def _mean(one: Finding) -> str:
    text = with_interval(one)
    if one.sd is None:
        return text
    scale, digits = _scale(one.measure)
    value, space, rest = text.partition(" ")
    return f"{value} ± {scale * one.sd:.{digits}f}{space}{rest}"


def _minutes(found: Sequence[Finding]) -> Sheet:
    rows = [
        (
            one.reader,
            one.arm,
            one.measure,
            str(one.n),
            with_interval(one),
            p_text(one.p) if one.arm == GAIN else "",
            p_text(one.p_holm) if one.arm == GAIN else "",
        )
        for one in found
    ]
    head = ("reader", "arm", "measure", "n", "value", "p", "p (Holm)")
    notes = (
        "Medians with intervals by order statistics; change with a bootstrap interval and Wilcoxon's test.",
    )
    return Sheet("Reading time", head, tuple(rows), 3, notes)


def _keys(found: Iterable[Finding]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one.reader, one.arm) for one in found))
