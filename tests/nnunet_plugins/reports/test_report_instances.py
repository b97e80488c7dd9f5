"""`report` shows the instances that `evaluate` counted, and the tolerance of each structure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK

from nnunet_plugins.cli import main
from nnunet_plugins.comparison.runs import Options
from nnunet_plugins.reports.report import PageOptions, page
from nnunet_plugins.reports.sources import read_source


def test_instances_and_tolerances(tmp_path: Path) -> None:
    voxels = np.zeros((12, 8, 8), dtype=np.uint8)
    voxels[1:4, 2:6, 2:6], voxels[5:8, 2:6, 2:6] = 1, 2
    shifted = np.where(voxels == 1, 2, 0).astype(np.uint8)
    for folder, one in (("p", shifted), ("r", voxels)):
        (tmp_path / folder).mkdir()
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(one), str(tmp_path / folder / "a.nii.gz"))
    labels = {"labels": {"background": 0, "L4": 1, "L5": 2}}
    (tmp_path / "r" / "dataset.json").write_text(json.dumps(labels))
    options = ["--reference", str(tmp_path / "r"), "-o", str(tmp_path / "report.html"), "-j", "1"]
    options += ["--instances", "levels=1-2", "--tolerance", "L5=3", "--worst", "0"]
    assert main(["report", str(tmp_path / "p"), *options]) == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h3>Instances</h3>" in text
    assert "levels: labels" in text
    assert "Dice after best shift" in text
    assert "NSD at 2 mm (L5 3 mm)." in text


def test_without_instances_there_is_no_section(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.ones((3, 4, 4), dtype=np.uint8))
    for name in ("p", "r"):
        (tmp_path / name).mkdir()
        SimpleITK.WriteImage(image, str(tmp_path / name / "a.nii.gz"))
    source = read_source(tmp_path / "p", Options(reference=tmp_path / "r"))
    assert "<h3>Instances</h3>" not in page(source, PageOptions(worst=0))
