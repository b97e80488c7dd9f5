"""Damaged inputs: no traceback, no output for the bad case, status 1, and the others unchanged."""

import gzip
import io
import random
import shutil
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nnunet_plugins.cli import main
from tests.dataset_conversion.making import (
    AFFINE,
    ct,
    image,
    label_file,
    labels,
    nifti,
    series,
    tree,
)

pytestmark = pytest.mark.usefixtures("no_picture")

NAME = "Dataset660_SacroiliacCT"
PATIENTS = ("nifti", "other", "meta", "nrrd", "dicom")
SHORT, LONG = 15, 100


def shifted(number: int) -> np.ndarray:
    """Each patient has a different position, so a swapped mask is noticed."""
    matrix = AFFINE.copy()
    matrix[:3, 3] += [0, 0, 40.0 * number]
    return matrix


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutated") / "patients"
    for number, name in enumerate(PATIENTS):
        place, matrix = folder / name, shifted(number)
        place.mkdir(parents=True)
        if name in ("nifti", "other"):
            nifti(place / "ct.nii.gz", ct(number), matrix)
        elif name == "dicom":
            series(place / "ct", number)
            matrix = AFFINE
        else:
            ending = {"meta": ".mha", "nrrd": ".nrrd"}[name]
            sitk.WriteImage(image(ct(number), matrix), str(place / f"ct{ending}"), True)
        nifti(place / "mask.nii.gz", labels(), matrix)
    label_file(folder.parent / "labels.json")
    return folder


def command(source, raw, *more):
    return main(["convert", "hospital-ct", str(source), "-d", "660", "-o", str(raw), "--keep-names",
                 "--labels", str(source.parent / "labels.json"), *more])  # fmt: skip


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """The converted dataset of the undamaged patients."""
    raw = tmp_path_factory.mktemp("whole")
    assert command(source, raw) == 0
    return tree(raw / NAME)


# Mutations: each damages the folder of one patient.


def truncate(folder: Path, chance: random.Random) -> None:
    path = chance.choice(files(folder))
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def flip(folder: Path, chance: random.Random) -> None:
    """Flip bits of a compressed file after the gzip header, where time and name do not matter."""
    path = chance.choice([p for p in files(folder) if p.suffix != ".dcm"])
    content = bytearray(path.read_bytes())
    packed = (
        10
        if path.suffix == ".gz"
        else content.index(b"\n\n" if path.suffix == ".nrrd" else b"LOCAL\n") + 6
    )
    for _ in range(chance.choice((1, 1, 8, 200))):
        content[chance.randrange(packed, len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def wrong_header(folder: Path, chance: random.Random) -> None:
    """Overwrite header fields that describe the data and their position."""
    path = chance.choice(files(folder))
    if path.suffix == ".dcm":
        data = pydicom.dcmread(path)
        name = chance.choice(("Rows", "Columns", "PixelSpacing", "ImagePositionPatient",
                              "ImageOrientationPatient", "BitsAllocated", "SamplesPerPixel"))  # fmt: skip
        if chance.random() < 0.5:
            delattr(data, name)
        else:
            old = data[name].value
            data[name].value = (
                [float(v) * 1.5 + 7 for v in old] if hasattr(old, "__len__") else old + 3
            )
        data.save_as(path)
    elif path.suffix == ".gz":
        content = bytearray(gzip.decompress(path.read_bytes()))
        # dim, datatype with bitpix, pixdim, vox_offset, scl_slope of a mask, quaternion or affine, magic
        spots = [(40, 16), (70, 4), (344, 4)]
        spots += [(112, 8)] if "mask" in path.name else [(108, 4)]
        start, length = chance.choice([*spots, (80, 12), (280, 48)])
        content[start : start + length] = bytes(chance.randrange(256) for _ in range(length))
        path.write_bytes(gzip.compress(bytes(content)))
    else:
        content = path.read_bytes()
        key, cut = chance.choice((b"DimSize", b"ElementSpacing", b"ElementType", b"NDims") if path.suffix == ".mha"
                                 else (b"sizes", b"space directions", b"type", b"dimension")), 9  # fmt: skip
        start = content.index(key) + len(key) + 2
        nonsense = bytes(chance.choice(b"0123456789.-x(") for _ in range(cut))
        path.write_bytes(content[:start] + nonsense + content[start + cut :])


def swap(folder: Path, chance: random.Random) -> None:
    """Put another file where one is expected: the mask as image, another patient's, a text, nothing."""
    path = chance.choice([p for p in files(folder) if p.suffix != ".dcm"])
    other = folder.parent / chance.choice([p for p in PATIENTS if p not in (folder.name, "dicom")])
    kind = chance.choice(("mask", "text", "empty", "turned"))
    if kind == "mask" and path.name == "mask.nii.gz":
        shutil.copy(other / "mask.nii.gz", path)
    elif kind == "text":
        path.write_text("<html>404: the file that you want is not here</html>" * 20)
    elif kind == "turned" and path.suffix == ".gz" and path.name != "mask.nii.gz":
        shutil.copy(folder / "mask.nii.gz", path)  # the mask twice, no image
    else:
        path.write_bytes(b"")


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


MUTATIONS = (truncate, flip, wrong_header, swap)


def check(seed: int, source: Path, whole: dict[str, bytes], folder: Path, capsys) -> str:
    chance = random.Random(seed)
    shutil.copytree(source.parent, folder / "copy")
    patient = PATIENTS[seed % len(PATIENTS)]
    mutation = MUTATIONS[seed // len(PATIENTS) % len(MUTATIONS)]
    if patient == "dicom" and mutation is flip:
        mutation = wrong_header  # a wrong bit in uncompressed pixels cannot be detected
    mutation(folder / "copy" / "patients" / patient, chance)
    what = f"{seed}: {mutation.__name__} of {patient}"
    status = command(folder / "copy" / "patients", folder / "raw", "--keep-going")
    said = "".join(capsys.readouterr())
    found = tree(folder / "raw" / NAME)
    volumes = {name: content for name, content in whole.items() if name.endswith(".gz")}
    shutil.rmtree(folder / "copy")
    shutil.rmtree(folder / "raw")
    assert "Traceback" not in said, what
    rest = {name: content for name, content in volumes.items() if f"/{patient}" not in name}
    assert {n: c for n, c in found.items() if n in rest} == rest, what
    bad = {name for name in found if f"/{patient}" in name}
    if status == 0:  # only damage without an effect may pass
        assert {name: found[name] for name in bad} == {
            name: content for name, content in volumes.items() if f"/{patient}" in name
        }, what
        return f"{what}: harmless"
    assert status == 1, what
    assert not bad, what
    assert patient in said, what
    return what


@pytest.mark.parametrize("seed", [*range(0, SHORT - 4), 33, 39, 196, 335])
def test_damage_is_reported_and_the_case_left_out(seed, source, whole, tmp_path, capsys):
    check(seed, source, whole, tmp_path, capsys)


@pytest.mark.integration
def test_a_hundred_kinds_of_damage(source, whole, tmp_path, capsys):
    done = [check(seed, source, whole, tmp_path, capsys) for seed in range(LONG)]
    harmless = [what for what in done if what.endswith("harmless")]
    assert len(harmless) < LONG // 10, harmless


# Fuzzed headers: any bytes and any values, in all formats.

TEXTS = ("", "0", "-1", "nan", "inf", "1e400", "99999999999", "a", "1 2", "1 2 3 4", "1\\2\\3", "\u00fc", "0 0 0",
         "NONE NONE NONE", "1e-320 1e-320 1e-320", "(1,0,0)", "\x1b[31m", "x" * 3000)  # fmt: skip


@st.composite
def edits(draw: st.DrawFn) -> list[tuple[float, str, bytes]]:
    """Edits of a header: a position from 0 to 1, a value for a field there, and bytes."""
    one = st.tuples(
        st.floats(0, 1, exclude_max=True), st.sampled_from(TEXTS), st.binary(min_size=1, max_size=8)
    )
    return draw(st.lists(one, min_size=1, max_size=3))


TEXT_VRS = ("AS", "CS", "DA", "DS", "IS", "LO", "PN", "SH", "ST", "TM", "UI")


def fuzz_dicom(folder: Path, changes: list[tuple[float, str, bytes]], values: bool) -> None:
    path = files(folder)[int(changes[0][0] * 3)]
    if not values:
        content = bytearray(path.read_bytes())
        end = content.index(b"\xe0\x7f\x10\x00")  # pixel data
        overwrite(content, 132, end, changes)
        path.write_bytes(content)
        return
    content = path.read_bytes()
    data = pydicom.dcmread(path)  # explicit VR: two bytes of length before each text
    raw = [one for one in map(data.get_item, list(data.keys())) if hasattr(one, "value_tell")]
    fields = [(one.value_tell, one.length) for one in raw if one.VR in TEXT_VRS]
    chosen = {fields[int(position * len(fields))]: text.encode() for position, text, _ in changes}
    for (start, length), text in sorted(chosen.items(), reverse=True):
        new = text + b" " * (len(text) % 2)
        content = (
            content[: start - 2] + len(new).to_bytes(2, "little") + new + content[start + length :]
        )
    path.write_bytes(content)


def fuzz_nifti(folder: Path, changes: list[tuple[float, str, bytes]], values: bool) -> None:
    path = folder / ("ct.nii.gz" if values else "mask.nii.gz")
    content = bytearray(gzip.decompress(path.read_bytes()))
    overwrite(content, 0, 352, changes)
    path.write_bytes(gzip.compress(bytes(content)))


def fuzz_text(folder: Path, changes: list[tuple[float, str, bytes]], values: bool) -> None:
    path = next(folder.glob("ct.*"))
    content = path.read_bytes()
    end = content.index(b"\n\n") if path.suffix == ".nrrd" else content.index(b"ElementDataFile")
    header, rest = content[:end], content[end:]
    if values:
        lines = header.split(b"\n")
        for position, text, _ in changes:
            at = int(position * len(lines))
            key, sign, _ = lines[at].partition(b":" if path.suffix == ".nrrd" else b"=")
            lines[at] = key + sign + b" " + text.encode("utf-8")
        path.write_bytes(b"\n".join(lines) + rest)
        return
    edited = bytearray(header)
    overwrite(edited, 0, len(edited), changes)
    path.write_bytes(bytes(edited) + rest)


def overwrite(
    content: bytearray, start: int, end: int, changes: list[tuple[float, str, bytes]]
) -> None:
    for position, _, new in changes:
        at = start + int(position * (end - start))
        content[at : at + len(new)] = new[: end - at]


FUZZED = {"dicom": fuzz_dicom, "nifti": fuzz_nifti, "meta": fuzz_text, "nrrd": fuzz_text}


def check_fuzzed(
    source: Path, patient: str, changes: list[tuple[float, str, bytes]], values: bool
) -> None:
    """An unreadable patient is left out with status 1; one that is converted has readable files."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copy(source.parent / "labels.json", folder)
        for name in (patient, "other"):
            shutil.copytree(source / name, folder / "patients" / name)
        FUZZED[patient](folder / "patients" / patient, changes, values)
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            status = command(folder / "patients", folder / "raw", "--keep-going")
        written = sorted((folder / "raw" / NAME).rglob("*.nii.gz"))
        assert "Traceback" not in said.getvalue()
        assert sum(path.name.startswith("other") for path in written) == 2
        of_patient = [path for path in written if not path.name.startswith("other")]
        assert status in (0, 1)
        assert len(of_patient) == (0 if status else 2)
        for path in of_patient:
            sitk.ReadImage(str(path))


FUZZING = {"deadline": None, "database": None, "derandomize": True, "phases": [Phase.generate]}
KEPT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.parametrize("patient", FUZZED)
@settings(max_examples=8, suppress_health_check=KEPT, **FUZZING)
@given(changes=edits(), values=st.booleans())
def test_any_header_is_converted_or_reported(patient, source, changes, values):
    check_fuzzed(source, patient, changes, values)


@pytest.mark.integration
@pytest.mark.parametrize("patient", FUZZED)
@settings(max_examples=300, suppress_health_check=KEPT, **FUZZING)
@given(changes=edits(), values=st.booleans())
def test_many_headers_are_converted_or_reported(patient, source, changes, values):
    check_fuzzed(source, patient, changes, values)


def test_an_overlong_field_of_an_nrrd_does_not_end_the_process(source):
    """ITK crashes while it formats its own error message."""
    for position in (0.35, 0.45, 0.95):
        check_fuzzed(source, "nrrd", [(position, "x" * 3000, b"")], values=True)
