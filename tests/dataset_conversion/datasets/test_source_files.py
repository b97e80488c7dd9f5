"""Files that are passed over, links, loops of links, and files that were not fetched."""

import os

import pytest

from dataset_conversion.datasets.source_files import (
    check_access,
    check_not_pointer,
    children,
    files_below,
    ignored,
)
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.making import patient

LEFTOVERS = (
    "__MACOSX", "._ct.nii.gz", ".DS_Store", "Thumbs.db", "@eaDir", ".AppleDouble", "#recycle",
    "System Volume Information", "$RECYCLE.BIN", ".Trashes", ".git", "DICOMDIR", "~$report.docx",
)  # fmt: skip


def names(paths):
    return sorted(path.name for path in paths)


@pytest.mark.parametrize("name", LEFTOVERS)
def test_leftovers_are_passed_over_at_every_level(tmp_path, name):
    patient(tmp_path / "p" / "deep")
    for folder in (tmp_path, tmp_path / "p", tmp_path / "p" / "deep"):
        patient(folder / name)
    assert ignored(name)
    assert names(children(tmp_path)) == ["p"]
    assert names(files_below(tmp_path)) == ["ct.nii.gz", "mask.nii.gz"]


def test_names_that_only_contain_one_of_a_leftover_are_data():
    assert not any(ignored(name) for name in ("ct.nii.gz", "MACOSX", "eaDir", "recycle_1"))


def test_links_are_refused_with_the_option_that_follows_them(tmp_path):
    patient(tmp_path / "annex")
    (tmp_path / "p").symlink_to(tmp_path / "annex")
    with pytest.raises(DatasetError, match="p: a symbolic link; pass --follow-links to read"):
        children(tmp_path)
    assert names(files_below(tmp_path / "p", follow_links=True)) == ["ct.nii.gz", "mask.nii.gz"]


@pytest.mark.parametrize("follow", [False, True])
def test_a_link_to_nowhere_stops_with_its_name(tmp_path, follow):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "ct.nii.gz").symlink_to(".git/annex/objects/x/ct.nii.gz")
    with pytest.raises(DatasetError, match=r"ct\.nii\.gz: a symbolic link to nowhere.*annex get"):
        files_below(tmp_path / "p", follow)
    (tmp_path / "self").symlink_to("self")
    with pytest.raises(DatasetError, match="self: a symbolic link to nowhere"):
        check_access(tmp_path / "self", follow)


def test_a_loop_of_links_ends(tmp_path):
    patient(tmp_path / "p" / "inner")
    (tmp_path / "p" / "inner" / "up").symlink_to(tmp_path / "p")
    with pytest.raises(DatasetError, match="up: a symbolic link to a folder that contains it"):
        files_below(tmp_path / "p", follow_links=True)


def test_files_without_read_permission_stop(tmp_path, monkeypatch):
    patient(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, _: path.name != "ct.nii.gz")
    with pytest.raises(DatasetError, match=r"ct\.nii\.gz: permission denied; fix its permissions"):
        files_below(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer"),
        ("/annex/objects/SHA256E-s9--0.nii.gz\n", "a git-annex pointer, .* git annex get"),
        ("../else/ct.nii.gz", "a text file with the path '../else/ct.nii.gz'.* file is missing"),
    ],
)
def test_files_that_were_not_fetched_stop(tmp_path, text, message):
    (tmp_path / "ct.nii.gz").write_text(text)
    with pytest.raises(DatasetError, match=message):
        check_not_pointer(tmp_path / "ct.nii.gz")


def test_links_that_became_text_files_are_followed_on_request(tmp_path):
    patient(tmp_path / "annex")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "ct.nii.gz").write_text("../annex/ct.nii.gz")
    with pytest.raises(DatasetError, match="pass --follow-links to read that file"):
        check_not_pointer(tmp_path / "p" / "ct.nii.gz")
    (found,) = files_below(tmp_path / "p", follow_links=True)
    assert found.samefile(tmp_path / "annex" / "ct.nii.gz")


def test_small_volumes_are_not_taken_for_pointers(tmp_path):
    patient(tmp_path)
    for path in tmp_path.iterdir():
        check_not_pointer(path)


def test_a_file_that_is_only_in_icloud_stops(tmp_path):
    patient(tmp_path / "p")
    (tmp_path / "p" / "mask.nii.gz").rename(tmp_path / "p" / ".mask.nii.gz.icloud")
    with pytest.raises(
        DatasetError, match=r"mask\.nii\.gz\.icloud: .* only in iCloud; download it"
    ):
        files_below(tmp_path / "p")


def test_a_link_that_became_text_may_lead_to_another_name(tmp_path):
    folder = patient(tmp_path / "p")
    (folder / "mask.nii.gz").rename(tmp_path / "drawn.nii.gz")
    (folder / "mask.nii.gz").write_text("../drawn.nii.gz")
    assert (tmp_path / "p" / "../drawn.nii.gz") in files_below(folder, follow_links=True)
