"""The curve of the rounds, and when to stop."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from nnunet_plugins.rounds.curve import Round, curve_of, interval, status_text
from nnunet_plugins.rounds.ingest import ingest
from nnunet_plugins.rounds.next_round import next_round
from nnunet_plugins.rounds.plot import DICE, write_curve
from tests.nnunet_plugins.rounds.making import begun, box, own, return_all, save


def test_the_curve_says_when_to_stop(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch, blind=1, most_rounds=9)
    assert "no round was exported" in status_text(rounds)
    next_round(rounds.folder)
    assert "open     round 1: 6 cases to return" in status_text(rounds)
    minutes = tmp_path / "minutes.csv"
    minutes.write_text("case,minutes\na,10\nc,20\n")
    return_all(rounds, 1, tmp_path / "one", minutes=minutes, confirmed=["f"])
    first = status_text(rounds)
    assert f"next     nnunet-plugins rounds next {rounds.folder}" in first
    next_round(rounds.folder)
    save(rounds, 2, tmp_path / "two", own(rounds.export(2)["cases"]))
    ingest(rounds.folder, tmp_path / "two", "R2")
    text = status_text(rounds)
    assert "stop     the median Dice to the round before, 1.000, is not below 0.95" in text
    assert str(rounds.raw) in text
    one, two = curve_of(rounds)
    assert sorted(one.minutes) == [10, 20]
    assert one.complete
    assert two.before == [1.0] * two.exported
    assert two.readers == ("R2",)
    assert len(one.hidden) == len(two.hidden) > 0
    write_curve([one, two], tmp_path / "curve.png", 0.95)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_figure_explains_what_it_draws(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, **_: (drawn.append(self), path.touch())
    )
    values = {name: [0.5, 0.7] for name in (*DICE, "minutes")}
    write_curve([Round(1, 2, 2, ("R1",), **values)], tmp_path / "curve.png", 0.95)
    figure = drawn[0]
    figure.canvas.draw()
    (legend,) = figure.legends
    assert "one case; large: the median" in [text.get_text() for text in legend.get_texts()]
    assert legend.get_window_extent().width < 0.8 * figure.bbox.width
    dice, minutes = ({line.get_color() for line in axes.get_lines()} for axes in figure.axes)
    assert not dice & minutes


def test_a_few_compared_cases_do_not_end_the_rounds(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch)
    next_round(rounds.folder)
    masks = {case: box(at=2 + place % 3) for place, case in enumerate("abcd")}  # as they were
    save(rounds, 1, tmp_path / "back", own("ef") | masks)
    ingest(rounds.folder, tmp_path / "back", "R1", confirmed=["d"])  # equal to a
    text = status_text(rounds)
    assert "1.000, is not below 0.95, but 2 cases of 6 had no reference" in text
    assert "stop" not in text
    assert f"next     nnunet-plugins rounds next {rounds.folder}" in text


def test_rounds_end_after_their_number(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch, most_rounds=1, stop_dice=1.0)
    next_round(rounds.folder)
    return_all(rounds, 1, tmp_path / "back")
    assert "stop     1 round of 1 are done" in status_text(rounds)


def test_the_interval_of_a_difference_of_medians_is_by_patient():
    shown, hidden = [0.9, 0.92, 0.94, 0.96], [0.7, 0.72, 0.74, 0.76]
    low, high = interval(shown, hidden, [1, 2, 3, 4], [5, 6, 7, 8])
    assert low < 0.2 < high
    assert low >= 0.9 - 0.76
    assert high <= 0.96 - 0.70 + 1e-9
    assert interval(shown, hidden, [1, 2, 3, 4], [5, 5, 6, 6]) is None
    # Ten equal cases of each patient are no more than one.
    many = interval(
        np.repeat(shown, 10), np.repeat(hidden, 10), [*np.repeat([1, 2, 3, 4], 10)],
        [*np.repeat([5, 6, 7, 8], 10)],
    )  # fmt: skip
    assert many == pytest.approx((low, high))
    as_cases = interval(np.repeat(shown, 10), np.repeat(hidden, 10), range(40), range(40))
    assert as_cases[1] - as_cases[0] < 0.7 * (high - low)
