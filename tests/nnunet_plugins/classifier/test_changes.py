"""A finished classifier and files that changed, and external sets of another kind: refused or noted."""

import json
import shutil

import pytest
import SimpleITK as sitk

from nnunet_plugins.api import classify, train_classifier
from nnunet_plugins.classifier.folder import EARLIER
from nnunet_plugins.errors import UserError
from tests.nnunet_plugins.classifier.cohort import NAME, write_cohort, write_table

CASES = [f"c{n}" for n in range(12)]
LABELS = {case: n % 2 for n, case in enumerate(CASES)}
SPLITS = dict(zip(CASES, ["train"] * 4 + ["val"] * 4 + ["test"] * 4, strict=True))
SETTINGS = {
    "network": "densenet-small", "size": (8, 16, 16), "spacing": (7.0, 1.5, 1.5), "epochs": 1, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with nnUNet_raw, table.csv and a finished classifier."""
    root = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        write_cohort(root, LABELS, test=4)
        write_table(root / "table.csv", LABELS, SPLITS)
        patch.setenv("nnUNet_raw", str(root / "nnUNet_raw"))
        train(root)
        yield root


@pytest.fixture
def kept(trained, tmp_path):
    """The same folder, which is restored after the test."""
    shutil.copytree(trained, tmp_path / "kept")
    yield trained
    shutil.rmtree(trained)
    shutil.copytree(tmp_path / "kept", trained)


def train(root, **more):
    said = []
    train_classifier(
        NAME, root / "table.csv", root / "clf", reference_masks=True, say=said.append, **{**SETTINGS, **more}
    )  # fmt: skip
    return said


def predict(root, **more):
    return classify(root / "clf", root / "out", device="cpu", **more)[0]


def change(path, factor=-1.0):
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(sitk.Cast(image * factor, image.GetPixelID()), str(path))


def external(root, number=702, **entries):
    """Another dataset of 6 patients with a table; entries change its dataset.json. Its options."""
    cases = {f"e{n}": n % 2 for n in range(6)}
    raw = write_cohort(root / "other", cases, seed=500).rename(
        root / f"nnUNet_raw/Dataset{number}_Other"
    )
    edit(raw / "dataset.json", **entries)
    rows = [f"{case},{case.replace('e', 'Q')},{label}" for case, label in cases.items()]
    (root / "external.csv").write_text("\n".join(["case,patient,label", *rows]))
    return raw, {"external": number, "diagnoses": root / "external.csv", "reference_masks": True}


def edit(path, **entries):
    content = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


@pytest.mark.parametrize(
    ("file", "case"),
    [("imagesTr/c1_0000.nii.gz", "c1"), ("labelsTr/c5.nii.gz", "c5"), ("labelsTs/c9.nii.gz", "c9")],
)
def test_a_finished_training_and_its_prediction_refuse_changed_files(kept, file, case):
    finished = (kept / "clf/finished.json").read_bytes()
    train(kept)
    change(kept / "nnUNet_raw" / NAME / file, 0.0 if "labels" in file else -1.0)
    with pytest.raises(UserError, match=f"image or mask of 1 cases has changed.*: {case};"):
        train(kept)
    assert (kept / "clf/finished.json").read_bytes() == finished
    if SPLITS[case] != "train":
        with pytest.raises(UserError, match=f"has changed since classify train: {case};"):
            predict(kept)


def test_a_classifier_of_an_earlier_version_is_used_with_a_note(kept):
    edit(kept / "clf/classifier.json", digests=None)
    finished = (kept / "clf/finished.json").read_bytes()
    for file in (kept / "nnUNet_raw" / NAME / "imagesTr").iterdir():
        change(file)
    assert any(EARLIER in line for line in train(kept))
    assert (kept / "clf/finished.json").read_bytes() == finished  # the threshold stays
    assert EARLIER in predict(kept).notes


def test_an_external_set_of_another_channel_is_refused(kept):
    raw, options = external(kept, channel_names={"0": "STIR"})
    with pytest.raises(UserError, match="channel 0 is STIR, that of the training T1"):
        predict(kept, **options)
    edit(raw / "dataset.json", channel_names={"0": "t1"})
    predict(kept, **options)
    edit(raw / "dataset.json", channel_names={"1": "T1"})
    with pytest.raises(UserError, match=r"--channel 0: the dataset has 1 \(T1\)"):
        predict(kept, **options)


def test_an_external_set_of_another_plane_is_refused(kept):
    raw, options = external(kept)
    for file in raw.glob("*/*.nii.gz"):
        image = sitk.ReadImage(str(file))
        image.SetDirection((0, 0, 1, 1, 0, 0, 0, 1, 0))
        sitk.WriteImage(image, str(file))
    with pytest.raises(UserError, match=r"slices run in PIR .*, those of the training in LPS"):
        predict(kept, **options)


def test_lesions_of_an_external_set_are_found_by_name(kept):
    labels = {"background": 0, "erosion": 1, "fat_metaplasia": 2}
    raw, options = external(kept, labels=labels)
    for file in (raw / "labelsTr").iterdir():
        change(file, 2)
    content = json.loads((kept / "clf/classifier.json").read_text())
    settings = {**content["settings"], "lesions": ["fat_metaplasia"]}
    edit(kept / "clf/classifier.json", settings=settings, values=[1])
    assert all(one.lesion_voxels for one in predict(kept, **options).cases)
    edit(raw / "dataset.json", labels={"background": 0, "erosion": 2})
    with pytest.raises(
        UserError, match="--lesions fat_metaplasia: unknown label; allowed: erosion"
    ):
        predict(kept, **options)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_training_table_that_changed_leaves_shared_patients_unknown(kept, earlier):
    _, options = external(kept)
    options["diagnoses"].write_text(options["diagnoses"].read_text().replace("Q0", "p c0"))
    if earlier:
        edit(kept / "clf/classifier.json", digests=None, table_digest=None)
    with pytest.raises(UserError, match="1 cases are of patients whose ids are in the training"):
        predict(kept, **options)
    (kept / "table.csv").write_text("case,patient,label,split\nzz,P0,1,train\n")
    assert any(
        "shares patients with the training is not known" in n
        for n in predict(kept, **options).notes
    )


def test_other_ids_for_the_cases_of_the_training_are_noticed(kept):
    _, options = external(kept)
    assert not any("shares patients" in note for note in predict(kept, **options).notes)
    (kept / "table.csv").write_text((kept / "table.csv").read_text().replace("P-c", "R"))
    assert any(
        "table of the training is not where it was, or has changed" in n
        for n in predict(kept, **options).notes
    )


def test_masks_with_undeclared_values_are_refused_and_partial_ones_noted(kept):
    raw, options = external(kept)
    mask = raw / "labelsTr" / "e0.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(mask))[:23], str(mask))
    notes = predict(kept, **options).notes
    assert any(note.endswith("it covers 23x24x8 voxels of 24x24x8: e0") for note in notes)
    change(mask, 7)
    with pytest.raises(UserError, match=r"e0.nii.gz: holds the values 7; allowed are 0, 1"):
        predict(kept, **options)


def test_an_image_of_two_patients_is_refused(kept):
    raw, options = external(kept)
    for kind, name in (("images", "e1_0000"), ("labels", "e1")):
        image = sitk.ReadImage(str(raw / f"{kind}Tr" / f"{name.replace('1', '0', 1)}.nii.gz"))
        sitk.WriteImage(sitk.DICOMOrient(image, "RAS"), str(raw / f"{kind}Tr" / f"{name}.nii.gz"))
    with pytest.raises(
        UserError, match="e0 and e1 have the same image and are of different patients"
    ):
        predict(kept, **options)
    predict(kept, **{**options, "diagnoses": None})  # nothing is counted
    rows = options["diagnoses"].read_text()
    options["diagnoses"].write_text(rows.replace("e1,Q1,1", "e1,Q0,0"))
    predict(kept, **options)


def test_an_image_of_two_patients_stops_the_training(kept):
    raw = kept / "nnUNet_raw" / NAME
    for part, tail in (("imagesTr", "_0000"), ("labelsTr", "")):
        shutil.copy(raw / part / f"c1{tail}.nii.gz", raw / part / f"c3{tail}.nii.gz")
    shutil.rmtree(kept / "clf")
    with pytest.raises(
        UserError, match="c1 and c3 have the same image and are of different patients"
    ):
        train(kept)


@pytest.mark.parametrize("entries", [{"threshold": None}, {"threshold": "0.5"}, {"images": [1]}])
def test_a_damaged_end_of_the_training_is_made_again(kept, entries):
    finished = kept / "clf/finished.json"
    whole = json.loads(finished.read_text())
    edit(finished, **entries)
    with pytest.raises(UserError, match=r"finished.json: damaged .*; remove the file, and run"):
        predict(kept)
    finished.unlink()
    train(kept)
    assert json.loads(finished.read_text()) == whole
