"""Real files through the converters: right in world coordinates, or a clear error."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets import hospital_ct, sij_mri
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.world import check_values, orientation, read, stored

pytestmark = pytest.mark.usefixtures("no_picture")


def folder_of(tmp_path, *files):
    """Folder of one patient with copies of files or folders."""
    patient = tmp_path / "src" / "p"
    patient.mkdir(parents=True)
    for file in files:
        if file.is_dir():
            shutil.copytree(file, patient / "series")
        else:
            shutil.copy(file, patient)
    return tmp_path / "src"


def label_file(tmp_path, **names):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(names))
    return path


def convert(module, source, raw, **options):
    options = module.Options(**{"keep_names": True, **options})
    return module.convert(source, raw, 674, options=options).dataset


def check_mask(written, source, table):
    """Every voxel of a written mask has the source's label at that position; none is lost."""
    check_values(written, source, np.vectorize(lambda v: table.get(round(v), 0), otypes=[float]))
    values = np.rint(stored(source)[0])
    assert (read(written)[0] > 0).sum() == np.isin(values, list(table)).sum() > 0


def test_a_slicer_segmentation_on_a_chest_ct(shared_data, tmp_path):
    real = shared_data / "slicerio"
    source = folder_of(tmp_path, real / "CTChest4.nrrd", real / "Segmentation.seg.nrrd")
    dataset = convert(hospital_ct, source, tmp_path / "raw")
    image, mask = dataset / "imagesTr" / "p_0000.nii.gz", dataset / "labelsTr" / "p.nii.gz"
    check_values(image, real / "CTChest4.nrrd")
    names = json.loads((dataset / "dataset.json").read_text())["labels"]
    header = sitk.ReadImage(str(real / "Segmentation.seg.nrrd"))
    table = {}
    for index in range(len(names) - 1):
        name = header.GetMetaData(f"Segment{index}_Name")
        table[int(header.GetMetaData(f"Segment{index}_LabelValue"))] = names[name]
    check_mask(mask, real / "Segmentation.seg.nrrd", table)
    assert orientation(image) == orientation(mask) == "LPS"


def test_a_cervical_mri_with_float64_labels(shared_data, tmp_path):
    real = shared_data / "sct"
    drawn = real / "t2_cervical_seg_labeled_float64.nii.gz"
    source = folder_of(tmp_path, real / "t2_cervical.nii.gz", drawn)
    names = label_file(tmp_path, C2=2, C3=3, C4=4, C5=5)
    dataset = convert(sij_mri, source, tmp_path / "raw", labels=names, channel="T2")
    check_values(dataset / "imagesTr" / "p_0000.nii.gz", real / "t2_cervical.nii.gz")
    check_mask(dataset / "labelsTr" / "p.nii.gz", drawn, {2: 1, 3: 2, 4: 3, 5: 4})
    assert orientation(dataset / "labelsTr" / "p.nii.gz") == "LPS"  # stored in PSR


def test_an_mri_without_a_mask_is_not_a_training_set(shared_data, tmp_path):
    source = folder_of(tmp_path, shared_data / "sct" / "t2_lumbar.nii.gz")
    with pytest.raises(DatasetError, match=r"no case has a mask|none of 1 patients has a mask"):
        convert(sij_mri, source, tmp_path / "raw")


def test_an_abdominal_mri_and_its_automatic_labels(shared_data, tmp_path):
    real = shared_data / "mr_abdomen"
    source = folder_of(tmp_path, real / "example_mr_sm.nii.gz", real / "example_seg_mr.nii.gz")
    names = label_file(tmp_path, vertebrae=19, discs=20, cord=21)
    with pytest.raises(DatasetError, match=r"p: label values \[1, 2, 3, .* are not listed"):
        convert(sij_mri, source, tmp_path / "raw", labels=names)
    others = tuple(
        int(v)
        for v in np.unique(stored(real / "example_seg_mr.nii.gz")[0])
        if v not in (0, 19, 20, 21)
    )
    dataset = convert(sij_mri, source, tmp_path / "raw", labels=names, drop=others)
    check_values(dataset / "imagesTr" / "p_0000.nii.gz", real / "example_mr_sm.nii.gz")
    check_mask(
        dataset / "labelsTr" / "p.nii.gz", real / "example_seg_mr.nii.gz", {19: 1, 20: 2, 21: 3}
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("dicom_odd/failing/gantrytilting/001", "tilted by|another grid|Modality"),
        ("dicom_odd/failing/sliceincrement/001", "uneven gaps|have the position|Modality"),
        ("dicom_odd/failing/sliceincrement/002", "uneven gaps|have the position|Modality"),
        ("dicom_odd/generic/rgb/001", "RGB|Modality|no image found"),
        ("pydicom_small/CT_small.dcm", "1 slice, a volume needs|Modality"),
        ("pydicom_small/MR_small_bigendian.dcm", "1 slice, a volume needs|Modality"),
        ("pydicom_small/MR_truncated.dcm", "truncated"),
        ("pydicom_small/no_meta.dcm", "without a readable header"),
    ],
)
@pytest.mark.parametrize("module", [hospital_ct, sij_mri])
def test_odd_dicom_stops_and_leaves_nothing(shared_data, tmp_path, module, path, message):
    source = folder_of(tmp_path, shared_data / path)
    mask = sitk.Image(4, 4, 4, sitk.sitkUInt8)
    mask[1, 1, 1] = 1
    sitk.WriteImage(mask, str(source / "p" / "mask.nii.gz"))
    with pytest.raises(DatasetError, match=message):
        convert(module, source, tmp_path / "raw", labels=label_file(tmp_path, bone=1))
    assert not list((tmp_path / "raw").glob("Dataset*"))


def test_a_ct_series_converted_as_mri_stops(shared_data, tmp_path):
    source = folder_of(tmp_path, shared_data / "dicom_ct" / "series")
    with pytest.raises(DatasetError, match="Modality is CT, expected MR"):
        convert(sij_mri, source, tmp_path / "raw")
