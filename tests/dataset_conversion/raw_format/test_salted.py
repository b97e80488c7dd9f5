"""With a salt, conversion.json holds no digest that can be made from a source."""

import hashlib
import json
import re

import pytest

from dataset_conversion.checks.dataset import check
from dataset_conversion.datasets.hospital_ct import Options, convert
from tests.dataset_conversion.making import label_file, patient

NAME = "Dataset660_SacroiliacCT"
pytestmark = pytest.mark.usefixtures("no_picture")


def convert_to(raw, **how):
    options = Options(labels=raw.parent / "labels.json", **how)
    return convert(raw.parent / "src", raw, 660, options=options)


def digests(raw):
    """Return the text of conversion.json, and all digests of its cases but that of the settings."""
    text = (raw / NAME / "conversion.json").read_text()
    cases = json.loads(text)["cases"]
    settings = {case["settings"] for case in cases.values()}
    return text, set(re.findall(r"\b[0-9a-f]{32,64}\b", json.dumps(cases))) - settings


@pytest.fixture
def salted(tmp_path):
    for number in range(2):
        patient(tmp_path / "src" / f"p{number}", number)
    label_file(tmp_path / "labels.json")
    (tmp_path / "salt").write_bytes(bytes(range(32)))
    convert_to(tmp_path / "salted", salt=tmp_path / "salt")
    return tmp_path


@pytest.mark.parametrize("keep_names", [False, True])
def test_no_digest_is_that_of_a_source_or_of_its_conversion(salted, keep_names):
    raw = salted / "named" if keep_names else salted / "salted"
    if keep_names:
        convert_to(raw, salt=salted / "salt", keep_names=True)
    convert_to(salted / "plain", keep_names=keep_names)
    text, own = digests(raw)
    _, plain = digests(salted / "plain")
    assert len(own) >= 8
    assert not own & plain
    for path in (salted / "src").rglob("*.nii.gz"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() not in text


def test_a_salted_dataset_is_checked_and_brought_up_to_date(salted):
    folder = salted / "salted" / NAME
    assert not check(folder).errors
    patient(salted / "src" / "p2", 2)
    report = convert_to(salted / "salted", salt=salted / "salt")
    assert (report.written, report.skipped) == (1, 2)
    assert not check(folder).errors


def test_the_same_image_is_found_in_a_salted_dataset(salted):
    """The keys that find copies are mixed with the salt, and still equal for equal images."""
    import nibabel as nib

    path = salted / "src" / "p1" / "ct.nii.gz"
    twin = patient(salted / "src" / "p9", 1) / "ct.nii.gz"
    image = nib.load(path)
    nib.save(nib.Nifti1Image(image.get_fdata().astype("float32"), image.affine), twin)
    report = convert_to(salted / "salted", salt=salted / "salt", keep_going=True)
    assert "hold the same image (equal voxels)" in report.problems[0]


def test_the_same_salt_gives_the_same_bytes(salted):
    convert_to(salted / "again", salt=salted / "salt")
    for path in (salted / "salted").rglob("*"):
        if path.is_file():
            other = salted / "again" / path.relative_to(salted / "salted")
            assert other.read_bytes() == path.read_bytes()
