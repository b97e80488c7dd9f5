"""The summary, the JSON file and the table of `evaluate`."""

import json
import os
import statistics

import numpy as np
import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate, score_table
from nnunet_plugins.evaluation.aggregates import describe
from nnunet_plugins.evaluation.definitions import METRICS, PIXELS
from nnunet_plugins.evaluation.more import MORE
from nnunet_plugins.evaluation.parallel import each

LABELS = {"background": 0, "vertebra": 1, "disc": 2, "canal": 3, "tumour": 4}


@pytest.fixture
def folders(tmp_path, save, spine, declare):
    """Case a perfect; b one slice off, canal missed; c with a false tumour."""
    prediction, reference = tmp_path / "pred", tmp_path / "ref"
    shifted = np.roll(spine, 1, axis=0)
    wrong = {
        "a": spine,
        "b": np.where(shifted == 3, 0, shifted),
        "c": np.where((spine == 3) & (np.arange(8) > 4)[:, None, None], 4, spine),
    }
    for name, voxels in wrong.items():
        save(prediction / f"{name}.nii.gz", voxels)
        save(reference / f"{name}.nii.gz", spine)
    declare(prediction, LABELS)
    return prediction, reference


def test_means_have_a_number_of_cases(folders):
    summary = evaluate(*folders).summary
    # b: vertebra (3 slices) shifted by one: 2 / 3.
    dice = summary["vertebra"].metrics["dice"]
    assert dice.n == 3
    assert dice.mean == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert dice.sd == pytest.approx(statistics.stdev([1, 2 / 3, 1]))
    assert dice.median == 1


def test_missing_distances_are_counted(folders):
    summary = evaluate(*folders).summary
    canal, tumour = summary["canal"], summary["tumour"]
    assert (canal.missed, canal.false_alarm, canal.both_empty) == (1, 0, 0)
    assert (canal.metrics["dice"].n, canal.metrics["hd95_mm"].n) == (3, 2)
    assert (tumour.missed, tumour.false_alarm, tumour.both_empty) == (0, 1, 2)
    assert (tumour.metrics["dice"].n, tumour.metrics["recall"].n) == (1, 0)


def test_mean_foreground_dice_is_the_mean_of_the_labels_means(folders):
    scores = evaluate(*folders)
    means = [scores.summary[name].metrics["dice"].mean for name in scores.labels.values]
    assert scores.mean_foreground_dice == pytest.approx(statistics.mean(means))


def test_a_label_that_does_not_occur_is_left_out_of_the_mean(tmp_path, save, spine, declare):
    declare(tmp_path, LABELS)
    file = save(tmp_path / "a.nii.gz", spine)
    assert evaluate(file, file).mean_foreground_dice == 1


def test_one_value_has_no_standard_deviation():
    assert describe([0.5, None]).sd is None
    assert describe([None]).mean is None
    assert describe([1.0, 2.0]).sd == pytest.approx(0.5**0.5)


def test_json_holds_what_a_reader_needs_and_no_paths(folders, tmp_path):
    out = tmp_path / "deep" / "scores.json"
    scores = evaluate(*folders, output=out)
    content = json.loads(out.read_text())
    assert content["format"] == "nnunet-plugins scores"
    assert content["format_version"] == 2
    assert content["tolerance_mm"] == 2.0
    assert content["metrics"].keys() == METRICS.keys() - set(PIXELS) - set(MORE)
    assert "both masks empty" in content["empty_rule"].lower()
    assert content["labels"] == {"vertebra": [1], "disc": [2], "canal": [3], "tumour": [4]}
    assert list(content["cases"]) == ["a", "b", "c"]
    canal = content["cases"]["b"]["labels"]["canal"]
    assert (canal["state"], canal["dice"], canal["hd95_mm"]) == ("missed", 0.0, None)
    assert content["summary"]["canal"]["missed"] == 1
    assert content["mean_foreground_dice"] == scores.mean_foreground_dice
    assert str(tmp_path) not in out.read_text()
    assert out.read_text() == scores.to_json()


def test_json_is_reproducible(folders):
    assert evaluate(*folders).to_json() == evaluate(*folders).to_json()


def test_json_is_written_atomically(folders, tmp_path, monkeypatch):
    out = tmp_path / "out" / "scores.json"
    evaluate(*folders, output=out)
    before = out.read_text()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(UserError, match=r"cannot be written .*No space left"):
        evaluate(*folders, output=out)
    assert out.read_text() == before
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("name", ["", "scores.nii.gz"])
def test_a_path_that_could_overwrite_a_label_map_is_rejected(folders, tmp_path, name):
    with pytest.raises(UserError, match=r"written to a \.json or \.csv file"):
        evaluate(*folders, output=tmp_path / name)


def test_progress_wraps_the_pairs(folders):
    seen = []
    evaluate(*folders, progress=lambda pairs: (seen.append(pair.name) or pair for pair in pairs))
    assert seen == ["a", "b", "c"]


def test_the_table(folders):
    scores = evaluate(*folders)
    lines = score_table(scores).splitlines()
    assert lines[0].startswith("3 cases, 4 labels; mean foreground Dice 0.")
    row = next(line for line in lines if line.startswith("canal"))
    assert row.split()[:4] == ["canal", "3", "0.600", "±"]  # 1, 0, and 4 of 6 slices: 0.8
    assert any(line.split() == ["canal", "1", "0", "0"] for line in lines)
    assert any(line.split() == ["tumour", "0", "1", "2"] for line in lines)
    assert max(map(len, lines)) <= 100


@pytest.mark.integration
def test_processes_give_the_same_scores(folders):
    assert evaluate(*folders, jobs=2).to_json() == evaluate(*folders).to_json()


@pytest.mark.integration
def test_an_error_in_a_process_is_a_user_error(folders, save, spine):
    save(folders[1] / "b.nii.gz", spine[1:])
    with pytest.raises(UserError, match=r"b\.nii\.gz: size"):
        evaluate(*folders, jobs=2)


def test_a_process_that_is_killed(folders):
    with pytest.raises(UserError, match=r"2 processes \(-j, jobs\): one was killed, .*use 1"):
        list(each(os._exit, [1, 1], 2))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"jobs": 0}, r"0 processes .*: allowed are 1 and more"),
        ({"tolerance": -1.0}, "--tolerance -1.0: a distance in mm"),
        ({"tolerance": float("nan")}, "--tolerance nan"),
    ],
)
def test_invalid_options_are_rejected(folders, options, match):
    with pytest.raises(UserError, match=match):
        evaluate(*folders, **options)


def test_the_tolerance_is_stated(folders):
    scores = evaluate(*folders, tolerance=0.7)
    assert scores.to_dict()["tolerance_mm"] == 0.7
    assert "NSD at 0.7 mm" in score_table(scores, ["nsd"])
    wide = evaluate(*folders, tolerance=100.0)
    assert wide.cases[1].labels["vertebra"].nsd == 1 > scores.cases[1].labels["vertebra"].nsd


def test_all_metrics_fit_the_terminal(folders):
    scores = evaluate(*folders, pixels=True, metrics=tuple(MORE))
    shown = score_table(scores, ["all"])
    assert max(map(len, shown.splitlines())) <= 100
    for name in METRICS:
        assert METRICS[name].title in shown
    with pytest.raises(UserError, match=r"--metrics jaccard: not measured; known: dice, iou"):
        score_table(scores, ["jaccard"])
    with pytest.raises(UserError, match=r"--metrics hd_px: not measured; --pixels measures it"):
        score_table(evaluate(*folders), ["hd_px"])


def test_pixels_are_in_the_json_on_request(folders):
    case = evaluate(*folders, pixels=True).to_dict()["cases"]["b"]["labels"]["vertebra"]
    assert (case["hd_px"], case["hd_mm"]) == (1.0, pytest.approx(3.0))
    assert "hd_px" not in evaluate(*folders).to_dict()["cases"]["b"]["labels"]["vertebra"]


def test_the_command(folders, tmp_path, capsys):
    out, labels = tmp_path / "scores.json", folders[0] / "dataset.json"
    command = ["evaluate", *folders, "-o", out, "-djfile", labels, "-j", "1"]
    assert main([*map(str, command)]) == 0
    assert "mean foreground Dice" in capsys.readouterr().out
    assert out.is_file()
