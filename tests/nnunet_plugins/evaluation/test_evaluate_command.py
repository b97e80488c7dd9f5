"""`nnunet-plugins evaluate`: options for instances, tolerances, other tools and metrics on request."""

import json

import numpy as np
import pytest

from nnunet_plugins import compare, evaluate
from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError

LABELS = {"background": 0, "sacrum": 1, "L5": 2, "L4": 3, "lesion": 4}


@pytest.fixture
def folders(tmp_path, save, declare):
    """A sacrum, two vertebrae and a lesion; TotalSegmentator's numbers, with L4 and L5 exchanged."""
    declare(tmp_path / "r", LABELS)
    reference = np.zeros((16, 12, 12), dtype=np.uint8)
    reference[1:4, 2:9, 2:9], reference[5:8, 2:9, 2:9], reference[9:12, 2:9, 2:9] = 1, 2, 3
    reference[14, 4:6, 4:6] = 4
    prediction = np.zeros_like(reference)
    prediction[reference == 1], prediction[reference == 2], prediction[reference == 3] = 25, 28, 29
    save(tmp_path / "r" / "a.nii.gz", reference)
    save(tmp_path / "p" / "a.nii.gz", prediction)
    return str(tmp_path / "p"), str(tmp_path / "r")


def test_all_options_together(tmp_path, folders, capsys):
    file = tmp_path / "s.json"
    arguments = [
        *("evaluate", *folders, "--map", "totalsegmentator", "29=L5", "-o", str(file), "-j", "1"),
        *[
            "--tolerance",
            "1",
            "--tolerance",
            "sacrum=2",
            "--metrics",
            "dice",
            "nsd",
            "nsd_area",
            "masd_mm",
        ],
        *[
            "--instances",
            "vertebrae=2,3",
            "sacrum",
            "--instance-iou",
            "0.4",
            "--connectivity",
            "faces",
        ],
    ]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "NSD at 1 mm (sacrum 2 mm)" in shown
    assert "NSD area" in shown
    assert "note: left out: nothing is mapped to lesion" in shown
    assert "found at an IoU above 0.4" in shown
    content = json.loads(file.read_text(encoding="utf-8"))
    assert {"nsd_area", "masd_mm"} <= content["metrics"].keys()
    assert "cldice" not in content["metrics"]
    instances = content["instances"]
    assert (instances["iou_threshold"], instances["connectivity"]) == (0.4, "faces")
    assert instances["summary"]["vertebrae"]["numbering"]["wrongly_numbered"] == 2
    assert instances["summary"]["sacrum"]["pooled"]["f1"] == 1.0


def test_all_metrics_and_one_more(folders, capsys):
    options = ["--map", "totalsegmentator", "--metrics", "all", "boundary_iou", "-j", "1"]
    assert main(["evaluate", *folders, *options]) == 0
    shown = capsys.readouterr().out
    assert "boundary IoU" in shown
    assert "specificity" in shown
    assert "clDice" not in shown


def test_a_metric_of_pixels_still_names_its_option(folders, capsys):
    assert main(["evaluate", *folders, "--metrics", "hd_px"]) != 0
    assert "--pixels measures it" in capsys.readouterr().err


def test_compare_measures_on_request(tmp_path, folders, save):
    moved = np.zeros((16, 12, 12), dtype=np.uint8)
    moved[2:5, 2:9, 2:9] = 1
    other = save(tmp_path / "q" / "a.nii.gz", moved).parent
    runs = [folders[1], str(other)]
    found = compare(runs, reference=folders[1], metrics=["nsd_area"], tolerance={"sacrum": 3.0})
    assert {table.metric for table in found.tables} == {"nsd_area"}
    sacrum = [run.scores.summary["sacrum"].metrics["nsd_area"].mean for run in found.runs]
    assert sacrum == pytest.approx([1.0, 1.0])  # one slice of 3 mm
    file = tmp_path / "s.json"
    evaluate(folders[1], folders[1], output=file)
    with pytest.raises(
        UserError, match=r"--metrics cldice: not measured in a.*evaluate --metrics cldice"
    ):
        compare([f"a={file}", f"b={file}"], metrics=["cldice"])
