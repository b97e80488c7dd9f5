"""Conversion from the command line: hospital folder, exit status, anonymity, key file."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.errors import DatasetError
from nnunet_plugins.cli import main
from tests.dataset_conversion.making import ct, label_file, labels, nifti, patient, tree

pytestmark = pytest.mark.usefixtures("no_picture")


@pytest.fixture
def source(tmp_path):
    for number in range(3):
        patient(tmp_path / "src" / f"p{number}", number)
    label_file(tmp_path / "labels.json")
    return tmp_path / "src"


def command(source, raw, *more):
    return main(["convert", "hospital-ct", str(source), "-d", "660", "-o", str(raw),
                 "--labels", str(source.parent / "labels.json"), *more])  # fmt: skip


def test_every_option_of_the_command_takes_effect(source, tmp_path, capsys):
    empty = labels(values=())
    nifti(source / "p9" / "ct.nii.gz", ct(9))
    nifti(source / "p9" / "mask.nii.gz", empty)
    status = command(source, tmp_path / "raw", "--split", "2-fold", "--test", "3:1", "--seed", "5",
                     "-j", "2", "--allow-empty", "--name", "Mine", "--window", "-200", "600",
                     "--drop-empty-slices", "--drop", "7", "8")  # fmt: skip
    assert status == 0
    assert "3 cases for training, 1 for testing" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "raw" / "Dataset660_Mine" / "conversion.json").read_text())
    assert manifest["splits"] == {"split": "2-fold", "test": "3:1", "seed": 5}
    settings = manifest["settings"]
    assert settings["window"] == [-200, 600]
    assert settings["drop"] == [7, 8]
    assert settings["allow_empty"] is True
    assert settings["steps"] == [{"step": "DropEmptySlices", "ignore": None}]


def test_status_is_1_where_cases_were_left_out_and_2_where_all_stopped(source, tmp_path, capsys):
    nifti(source / "p1" / "mask.nii.gz", labels(values=(1, 60)))
    assert command(source, tmp_path / "raw") == 2
    assert not (tmp_path / "raw").exists()
    assert "p1: label values [60]" in capsys.readouterr().err
    assert command(source, tmp_path / "raw", "--dry-run") == 1
    assert not (tmp_path / "raw").exists()
    assert command(source, tmp_path / "raw", "--keep-going") == 1
    assert "2 cases converted, 0 unchanged, 1 left out" in capsys.readouterr().out
    assert command(source, tmp_path / "raw", "--keep-going", "--drop", "60") == 0


def test_resampling_a_mask_must_be_allowed(source, tmp_path, capsys):
    from tests.dataset_conversion.making import AFFINE

    fine = np.kron(labels(), np.ones((2, 2, 2), np.uint8))
    matrix = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    matrix[:3, 3] = (AFFINE @ [-0.25, -0.25, -0.25, 1])[:3]
    nifti(source / "p1" / "mask.nii.gz", fine, matrix)
    assert command(source, tmp_path / "raw") == 2
    assert "pass --resample-mask" in capsys.readouterr().err
    assert command(source, tmp_path / "raw", "--resample-mask") == 0
    assert "mask resampled (nearest) from 0.4 x 0.45 x 1.25 mm" in capsys.readouterr().out


def test_a_salt_changes_every_id_and_is_not_written(source, tmp_path):
    salt = tmp_path / "salt"
    salt.write_bytes(b"pepper and 32 bytes of nonsense")
    ids = []
    for name, more in (("a", {}), ("b", {"salt": salt}), ("c", {"salt": salt})):
        options = Options(labels=tmp_path / "labels.json", key=tmp_path / f"{name}.csv", **more)
        convert(source, tmp_path / name, 660, options=options)
        rows = list(csv.reader((tmp_path / f"{name}.csv").open()))[1:]
        ids.append({Path(row[1]).name: row[0] for row in rows})
    assert ids[1] == ids[2]
    assert not set(ids[0].values()) & set(ids[1].values())
    assert set(ids[0]) == {"p0", "p1", "p2"}
    assert b"pepper" not in b"".join(tree(tmp_path / "b").values())
    salt.write_bytes(b"short")
    with pytest.raises(DatasetError, match="5 bytes are too few for a salt"):
        convert(source, tmp_path / "d", 660,
                options=Options(labels=tmp_path / "labels.json", salt=salt))  # fmt: skip


def test_the_key_names_only_what_was_written_and_no_dry_run_writes_it(source, tmp_path):
    nifti(source / "p1" / "mask.nii.gz", labels(values=(1, 60)))
    key = tmp_path / "key.csv"
    command(source, tmp_path / "raw", "--key", str(key), "--dry-run")
    assert not key.exists()
    command(source, tmp_path / "raw", "--key", str(key), "--keep-going")
    rows = list(csv.reader(key.open()))
    assert [Path(row[1]).name for row in sorted(rows[1:], key=lambda row: row[1])] == ["p0", "p2"]


def test_an_unwritable_target_gives_one_sentence(source, tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    assert command(source, tmp_path / "file" / "raw") == 2
    assert "Dataset660_SacroiliacCT: cannot be written (" in capsys.readouterr().err


def test_removed_patients_leave_no_trace(source, tmp_path):
    command(source, tmp_path / "raw")
    shutil.rmtree(source / "p1")
    assert command(source, tmp_path / "raw") == 2
    assert command(source, tmp_path / "raw", "--overwrite") == 0
    command(source, tmp_path / "fresh")
    name = "Dataset660_SacroiliacCT"
    assert tree(tmp_path / "raw" / name) == tree(tmp_path / "fresh" / name)
