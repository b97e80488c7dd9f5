"""Files by kind, and files that are not read: never silently a patient without a mask."""

import pytest

from dataset_conversion.datasets.file_kinds import kind_of, sort_files, stem
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets.hospital import read
from tests.dataset_conversion.making import ct, nifti, patient, series

UNREAD_MASKS = (
    "mask.gipl", "mask.vtk", "mask.tif", "mask.png", "mask.npy", "mask.zip", "mask.nii (1).gz",
    "mask.mha.gz", "mask.nii.bz2", "mask.nhdr", "mask.nii.gz.part", "mask.nii.gz.lnk", "mask.nii.gz~",
    "mask.nii.gz.tmp", "mask.stl", "mask.mat", "mask.mgz", "mask.7z", "mask.gz", "mask", "ROI.tif",
)  # fmt: skip


@pytest.mark.parametrize("name", UNREAD_MASKS)
def test_a_mask_that_is_not_read_stops_its_patient(tmp_path, name):
    nifti(tmp_path / "ct.nii.gz", ct())
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert name in str(error.value)
    assert "not read" in str(error.value)
    (tmp_path / name).unlink()
    assert read(tmp_path).mask is None


def test_archives_are_to_be_unpacked(tmp_path):
    patient(tmp_path)
    (tmp_path / "ct.nii.gz").rename(tmp_path / "ct.zip")
    with pytest.raises(DatasetError, match=r"no image found; not read: ct\.zip; unpack it"):
        read(tmp_path)
    nifti(tmp_path / "ct.nii.gz", ct())
    assert read(tmp_path).notes == ("an archive was passed over",)


def test_the_users_pattern_decides_about_files_that_are_not_read(tmp_path):
    nifti(tmp_path / "ct.nii.gz", ct())
    (tmp_path / "auto_P1.npy").write_bytes(b"x")
    assert read(tmp_path).notes == ("files of formats that are not read were passed over (.npy)",)
    with pytest.raises(DatasetError, match=r"auto_P1\.npy; save it as \.nii\.gz"):
        read(tmp_path, "auto")


def test_files_without_image_data_are_passed_over_silently(tmp_path):
    patient(tmp_path)
    for name in ("notes.txt", "labels.json", "report.pdf", "run.exe", "mask.csv", "photo.jpg",
                 "mask_preview.png", "x.tmp.nii.gz"):  # fmt: skip
        (tmp_path / name).write_bytes(b"something" * 20)
    assert read(tmp_path).notes == ()


def test_a_table_with_the_name_of_a_mask_is_noted(tmp_path):
    nifti(tmp_path / "ct.nii.gz", ct())
    (tmp_path / "labels.json").write_text("{}")
    assert "the name of a mask but no image format" in read(tmp_path).notes[0]


def test_content_decides_about_dicom(tmp_path):
    first, second, *_ = series(tmp_path)
    first = first.rename(tmp_path / "IM0001.txt")
    second = second.rename(tmp_path / "1.2.840.113619.2")
    (tmp_path / "IMG7").write_bytes(b"no image" * 40)
    assert [kind_of(path) for path in (first, second)] == ["dicom", "dicom"]
    assert kind_of(tmp_path / "IMG7") == "others"


def test_a_header_and_its_data_file_are_one_volume(tmp_path):
    (tmp_path / "a.mhd").write_text(
        "NDims = 3\nDimSize = 1 1 1\nElementType = MET_UCHAR\nElementDataFile = a.raw\n"
    )
    (tmp_path / "a.raw").write_bytes(b"\1")
    (tmp_path / "b.raw").write_bytes(b"\1")
    found = sort_files(sorted(tmp_path.iterdir()))
    assert [path.name for path in found.volumes] == ["a.mhd"]
    assert [path.name for path in found.unread] == ["b.raw"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("P1.seg.nrrd", "P1.seg"),
        ("P1.nii.gz.part", "P1"),
        ("P1.tar.gz", "P1"),
        ("P1.5_ct.nii", "P1.5_ct"),
    ],
)
def test_names_without_their_endings(name, expected):
    assert stem(name) == expected


@pytest.mark.parametrize("name", ["001.png", "iliac.vtk", "part"])
def test_files_in_a_folder_of_masks_that_are_not_read_stop(tmp_path, name):
    folder = patient(tmp_path / "p")
    (folder / "mask.nii.gz").unlink()
    (folder / "Segmentations").mkdir()
    (folder / "Segmentations" / name).write_bytes(b"x" * 40)
    with pytest.raises(DatasetError, match=f"but is not read: {name}; save it as"):
        read(folder)


def test_an_archive_may_hold_the_mask_that_is_missing(tmp_path):
    folder = patient(tmp_path / "p")
    (folder / "export.zip").write_bytes(b"PK")
    assert read(folder).mask is not None
    (folder / "mask.nii.gz").unlink()
    with pytest.raises(DatasetError, match=r"no mask found, and not read: export\.zip; unpack it"):
        read(folder)
