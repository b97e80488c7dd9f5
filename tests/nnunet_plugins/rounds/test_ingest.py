"""What comes back from readers: taken completely, or refused with its name."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest
from nnunet_plugins.errors import UserError
from nnunet_plugins.rounds import training
from nnunet_plugins.rounds.ingest import ingest
from nnunet_plugins.rounds.next_round import next_round
from tests.nnunet_plugins.rounds.making import Commands, begun, box, save, write, write_source

REFUSED = (UserError, DatasetError)


@pytest.fixture
def rounds(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "run_logged", Commands())
    made = begun(tmp_path, monkeypatch)
    next_round(made.folder)
    return made


def refused(rounds, back, match, **options):
    """Nothing is taken, and the message names the cause."""
    with pytest.raises(REFUSED, match=match):
        ingest(rounds.folder, back, options.pop("reader", "R1"), **options)
    assert rounds.ingests(1) == []
    assert not (rounds.round(1) / "ingests").exists()


def test_it_measures_what_the_reader_changed(rounds, tmp_path):
    back = save(rounds, 1, tmp_path / "back", {"a": box(at=2, width=3)})
    minutes = tmp_path / "m.csv"
    minutes.write_text("\ufeffcase,minutes\na,12.5\n")
    taken = ingest(rounds.folder, back, "R1", minutes=minutes)
    found = taken.cases["a"]
    # The proposal of a is a box of 4 voxels from x = 1, of 8 rows in all; 3 of them are shared.
    assert found["changed_to_proposal"] == 8
    assert found["dice_to_proposal"] == pytest.approx(2 * 3 / (3 + 4))
    assert found["dice_to_proposal_by_label"]["disc"] is None
    assert found["dice_to_before"] == 1.0
    assert found["changed_to_before"] == 0
    assert found["minutes"] == 12.5
    assert found["shown"]
    assert not found["confirmed"]
    assert found["file_sha256"] == digest(back / "a.nii.gz")
    ((folder, record),) = rounds.ingests(1)
    assert record["reader"] == "R1"
    assert record["cases"]["a"] == found
    assert digest(folder / "masks" / "a.nii.gz") == found["mask_sha256"]
    assert taken.missing == ["b", "c", "d", "e", "f"]
    assert rounds.references(2)["a"].saw_model
    assert not rounds.references(1)["a"].saw_model


def test_the_same_files_again_change_nothing(rounds, tmp_path):
    back = save(rounds, 1, tmp_path / "back" / "masks", {"a": box()}).parent  # as for_readers
    ingest(rounds.folder, back, "R1")
    again = ingest(rounds.folder, back, "R1")
    assert again.known == ["a"]
    assert not again.cases
    assert len(rounds.ingests(1)) == 1


def test_minutes_that_come_later_are_recorded(rounds, tmp_path):
    back = save(rounds, 1, tmp_path / "back", {"a": box(), "f": box(0)})
    ingest(rounds.folder, back, "R1", confirmed=["f"])
    minutes = tmp_path / "m.csv"
    minutes.write_text("case,minutes\na,3\nf,4\n")
    assert not ingest(rounds.folder, back, "R1", minutes=minutes).known
    found = rounds.returned(1)
    assert (found["a"]["minutes"], found["f"]["minutes"]) == (3, 4)
    assert (found["a"]["confirmed"], found["f"]["confirmed"]) == (False, True)
    for more in ({"minutes": minutes}, {}):
        assert ingest(rounds.folder, back, "R1", **more).known == ["a", "f"]
    assert rounds.returned(1) == found


def test_a_proposal_that_changed_is_named(rounds, tmp_path):
    back = save(rounds, 1, tmp_path / "back", {"a": box()})
    shutil.copyfile(back / "a.nii.gz", rounds.proposals(1) / "a.nii.gz")
    refused(rounds, back, r"proposals/a.nii.gz: has changed since it was written")


def test_a_second_mask_of_a_case_needs_a_confirmation(rounds, tmp_path):
    ingest(rounds.folder, save(rounds, 1, tmp_path / "one", {"a": box()}), "R1")
    other = save(rounds, 1, tmp_path / "two", {"a": box(at=3)})
    with pytest.raises(REFUSED, match=r"a.nii.gz: replaces the mask that R1 returned.*--confirm a"):
        ingest(rounds.folder, other, "R2")
    ingest(rounds.folder, other, "R2", confirmed=["a"])
    assert rounds.returned(1)["a"]["reader"] == "R2"
    assert len(rounds.ingests(1)) == 2


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda r, b: save(r, 1, b, {"a": box(7)}), r"a.nii.gz: contains values \[7\] .*; correct the mask"),
        (lambda r, b: write(box(), b / "a.nii.gz", 10.0), "a.nii.gz: the mask is not aligned.*the grid of b"),
        (lambda r, b: write(box()[:, :4], b / "a.nii.gz", 3.0), "a.nii.gz: the mask is"),
        (lambda r, b: write(box(), b / "z.nii.gz"), r"not exported in round 1: z.nii.gz.*rename or remove"),
        (lambda r, b: save(r, 1, b, {"a": box(0)}), "a.nii.gz: is empty; if it is right, pass --confirm a"),
        (lambda r, b: write(box() * 0.5, b / "a.nii.gz"), "a.nii.gz: not a label map"),
        (lambda r, b: (b.mkdir(), (b / "a.nii.gz").write_bytes(b"\x1f\x8b"))[0], "a.nii.gz"),
    ],
    ids=["label", "grid", "size", "name", "empty", "fractions", "damaged"],
)  # fmt: skip
def test_what_does_not_fit_is_named_and_nothing_is_taken(rounds, tmp_path, make, match):
    back = tmp_path / "back"
    make(rounds, back)
    if "z.nii.gz" not in match:
        save(rounds, 1, back, {"c": box()})  # fits
    refused(rounds, back, match)


def test_all_problems_are_named_together(rounds, tmp_path):
    back = save(rounds, 1, tmp_path / "back", {"a": box(7), "b": box(0), "c": box()})
    refused(rounds, back, re.compile("a.nii.gz.*b.nii.gz.*no mask was taken back", re.DOTALL))


def test_an_untouched_export_is_not_a_reading(rounds):
    case = next(iter(rounds.export(1)["cases"]))
    refused(
        rounds,
        rounds.readers(1) / "masks",
        f"{case}.nii.gz: is the proposal as it was exported.*--confirm",
    )


def test_a_mask_of_another_patient_on_an_equal_grid_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "run_logged", Commands())
    made = begun(tmp_path, monkeypatch)
    next_round(made.folder)
    back = save(made, 1, tmp_path / "back", {"a": box(at=5, width=4)})  # the proposal of e
    refused(made, back, r"a.nii.gz: fits the proposal of e \(Dice 1.00\), not its own \(0.00\)")
    assert ingest(made.folder, back, "R1", confirmed=["a"]).cases["a"]["confirmed"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("case,time\na,1\n", "columns missing: minutes"),
        ("case;minutes\na;soon\n", "row 2, minutes is 'soon'; expected a number"),
        ("case,minutes\na,-1\n", "minutes is '-1'"),
        ("case,minutes\na,nan\n", "minutes is 'nan'"),
        ("case,minutes\na,1\na,2\n", "a has two rows"),
        ("case,minutes\nb,1\n", "no mask is returned for b"),
    ],
)
def test_minutes_are_checked(rounds, tmp_path, text, match):
    back = save(rounds, 1, tmp_path / "back", {"a": box()})
    file = tmp_path / "m.csv"
    file.write_text(text)
    refused(rounds, back, match, minutes=file)


def test_a_reader_is_a_pseudonym(rounds, tmp_path):
    back = save(rounds, 1, tmp_path / "back", {"a": box()})
    refused(rounds, back, "--reader 'Dr. Anna/Bert': expected a pseudonym", reader="Dr. Anna/Bert")


def test_a_round_is_closed_when_the_next_has_begun(rounds, tmp_path):
    back = save(rounds, 1, tmp_path / "back", {"a": box()})
    rounds.round(2).mkdir()
    refused(rounds, back, "round 1 is closed, as round 2 has begun")


def test_a_mask_that_covers_a_part_of_the_grid_is_completed(rounds, tmp_path):
    """3D Slicer may store only the box of the segments."""
    image = sitk.ReadImage(str(rounds.image("a")))
    mask = sitk.GetImageFromArray(box())
    mask.CopyInformation(image)
    (tmp_path / "back").mkdir()
    sitk.WriteImage(mask[2:7, 1:7, 1:3], str(tmp_path / "back" / "a.nii.gz"))
    taken = ingest(rounds.folder, tmp_path / "back", "R1")
    assert taken.cases["a"]["changed_to_before"] == 0
    assert "covers" in taken.notes[0]


def test_segments_are_read_by_name(tmp_path, monkeypatch):
    pytest.importorskip("slicerio")
    monkeypatch.setattr(training, "run_logged", Commands())
    made = begun(tmp_path, monkeypatch, format="seg.nrrd")
    next_round(made.folder)
    exported = made.readers(1) / "masks" / "a.seg.nrrd"
    header, blank, data = exported.read_bytes().partition(b"\n\n")
    names = header.replace(b"_Name:=bone", b"_Name:=X").replace(b"_Name:=disc", b"_Name:=bone")
    back = tmp_path / "back"
    back.mkdir()
    (back / "a.seg.nrrd").write_bytes(names.replace(b"_Name:=X", b"_Name:=disc") + blank + data)
    found = ingest(made.folder, back, "R1").cases["a"]
    assert found["dice_to_proposal_by_label"] == {
        "bone": 0.0,
        "disc": 0.0,
    }  # the two names are exchanged
    (back / "a.seg.nrrd").write_bytes(header.replace(b"_Name:=bone", b"_Name:=hip") + blank + data)
    with pytest.raises(REFUSED, match="'hip' is not a label"):
        ingest(made.folder, back, "R1")


def test_records_hold_no_paths(rounds, tmp_path):
    back = save(rounds, 1, tmp_path / "back", {"a": box()})
    ingest(rounds.folder, back, "R1")
    ((_, record),) = rounds.ingests(1)
    assert str(tmp_path) not in json.dumps(record)
    assert np.array_equal(
        sitk.GetArrayFromImage(sitk.ReadImage(str(rounds.references(2)["a"].file))), box()
    )


def test_masks_of_other_patients_are_found_without_proposals(tmp_path, monkeypatch):
    """Images that begin at one point: the smaller grid is a part of the larger one."""
    root = tmp_path / "nnUNet_raw"
    source = write_source(root)
    write(
        np.zeros((4, 8, 7), np.float32), source / "imagesTr" / "b_0000.nii.gz", 0.0
    )  # within the grid of a
    made = begun(tmp_path, monkeypatch, labels="none")
    next_round(made.folder)
    back = tmp_path / "back"
    write(box()[..., :7], back / "a.nii.gz", 0.0)
    refused(made, back, "a.nii.gz: has the grid of b, which is a part of that of its own case")
    write(box(), back / "a.nii.gz", 0.0)
    assert not ingest(made.folder, back, "R1").missing.count("a")
    (back / "a.nii.gz").rename(back / "c.nii.gz")
    with pytest.raises(REFUSED, match=r"c.nii.gz: the mask is not aligned"):
        ingest(made.folder, back, "R1")


def test_one_file_is_not_of_two_cases(tmp_path, monkeypatch):
    source = write_source(tmp_path / "nnUNet_raw")
    shutil.copyfile(source / "imagesTr" / "a_0000.nii.gz", source / "imagesTr" / "b_0000.nii.gz")
    made = begun(tmp_path, monkeypatch, labels="none")
    next_round(made.folder)
    back = save(made, 1, tmp_path / "back", {"a": box(), "b": box()})
    shutil.copyfile(back / "a.nii.gz", back / "b.nii.gz")
    refused(made, back, "b.nii.gz: is the mask that was returned for a; if it is right")


def test_one_mask_that_was_saved_twice_is_not_of_two_cases(rounds, tmp_path):
    back = save(rounds, 1, tmp_path / "back", {"a": box(), "c": box()})  # each on its own grid
    refused(rounds, back, "c.nii.gz: is the mask that was returned for a; if it is right")
    ingest(rounds.folder, back, "R1", confirmed=["c"])


def test_volumes_are_not_merged(rounds, tmp_path):
    stack = sitk.JoinSeries([sitk.GetImageFromArray(box() % 2)] * 2)
    (tmp_path / "back").mkdir()
    sitk.WriteImage(stack, str(tmp_path / "back" / "a.nii.gz"))
    with pytest.raises(REFUSED) as error:
        ingest(rounds.folder, tmp_path / "back", "R1")
    assert "4D with 2 volumes" in str(error.value)
    assert "--" not in str(error.value)
