"""Names of cases in nnU-Net's JSON, and hints on names that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.pairs import find_pairs
from nnunet_plugins.evaluation.validation import case_name, fold_of, is_fold


@pytest.mark.parametrize(
    ("path", "ending", "name"),
    [
        ("/x/a.nii.gz", ".nii.gz", "a"),
        ("/x/1.2.840.3.nii.gz", ".nii.gz", "1.2.840.3"),
        ("/x/1.2.840.3.NII.GZ", ".nii.gz", "1.2.840.3"),
        ("1.2.840.3.nii", ".nii", "1.2.840.3"),
        ("C:\\x\\v1.5_a.nrrd", "", "v1.5_a"),
        ("/x/a.b.png", ".png", "a.b"),
        ("/x/a.b.tiff", "", "a.b"),
        ("/x/a.b.gipl", "", "a.b"),
    ],
)
def test_a_case_has_its_whole_name(path: str, ending: str, name: str) -> None:
    assert case_name(path, ending) == name


def test_only_validation_in_a_model_folder_is_that_of_a_fold(tmp_path: Path) -> None:
    validation = tmp_path / "M" / "fold_0" / "validation"
    validation.mkdir(parents=True)
    assert fold_of(validation) is None
    for name in ("plans.json", "dataset.json"):
        (tmp_path / "M" / name).write_text("{}")
    (validation / "a.nii.gz").touch()
    assert fold_of(validation) == fold_of(validation / "a.nii.gz") == validation.parent
    assert is_fold(validation.parent)
    assert fold_of(validation.parent) is None
    (tmp_path / "M" / "other").mkdir()
    assert not is_fold(tmp_path / "M" / "other")


def save(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(exist_ok=True)
        sitk.WriteImage(sitk.Image(2, 2, 2, sitk.sitkUInt8), str(file))


@pytest.mark.parametrize(
    ("predicted", "true", "words"),
    [
        ("a_0000.nii.gz", "a.nii.gz", "a_0000.nii.gz is named like an image (channel 0000), not "
         "like a label map: rename it to a.nii.gz"),
        ("a_0000.nrrd", "a.nii.gz", "rename it to a.nrrd"),
        ("a.nii.gz", "a_0000.nii.gz", "a_0000.nii.gz is named like an image (channel 0000), not "
         "like a reference: pass the folder of the reference label maps"),
        ("a_pred.nii.gz", "a.nii.gz", "predict these cases too (the predictions without a "
         "reference begin with a_pred)"),
    ],
)  # fmt: skip
def test_a_name_that_does_not_fit_is_explained(
    tmp_path: Path, predicted: str, true: str, words: str
) -> None:
    save(tmp_path / "p" / predicted, tmp_path / "r" / true)
    with pytest.raises(UserError) as error:
        find_pairs(tmp_path / "p", tmp_path / "r")
    assert words in str(error.value)


def test_several_files_named_like_images_are_counted(tmp_path: Path) -> None:
    save(*(tmp_path / "p" / f"{case}_0000.nii.gz" for case in "abc"))
    save(*(tmp_path / "r" / f"{case}.nii.gz" for case in "abc"))
    with pytest.raises(
        UserError, match=r"a_0000\.nii\.gz and 2 more files are named like an image"
    ):
        find_pairs(tmp_path / "p", tmp_path / "r")
