"""Phantoms of every dataset, written once per session; do not write into their folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dataset_conversion.phantoms import csig as csig_phantom
from dataset_conversion.phantoms import sij_mri as sij_mri_phantom
from dataset_conversion.phantoms import spider as spider_phantom
from dataset_conversion.phantoms.truth import Truth
from tests.dataset_conversion.making import label_file, patient

Phantom = tuple[Path, dict[str, Truth]]


@pytest.fixture(scope="session")
def spider(tmp_path_factory: pytest.TempPathFactory) -> Phantom:
    """Four patients (1, 2, 4, 5) with eight series."""
    folder = tmp_path_factory.mktemp("spider")
    return folder, {truth.name: truth for truth in spider_phantom.write_patients(folder, 4)}


@pytest.fixture(scope="session")
def csig(tmp_path_factory: pytest.TempPathFactory) -> Phantom:
    """Four patients, the third without T9, the fourth with a larger matrix."""
    folder = tmp_path_factory.mktemp("csig")
    return folder, {truth.name.lower(): truth for truth in csig_phantom.write_patients(folder, 4)}


@pytest.fixture(scope="session")
def sij_mri(tmp_path_factory: pytest.TempPathFactory) -> Phantom:
    """Three patients, the second without fat metaplasia."""
    folder = tmp_path_factory.mktemp("sij_mri")
    return folder, {truth.name: truth for truth in sij_mri_phantom.write_patients(folder, 3)}


@pytest.fixture
def spider_copy(spider: Phantom, tmp_path: Path) -> Path:
    """A copy of SPIDER's patients 1 and 2 that a test may change."""
    others = shutil.ignore_patterns("4_*", "5_*")
    return Path(shutil.copytree(spider[0], tmp_path / "src", ignore=others))


@pytest.fixture
def csig_copy(csig: Phantom, tmp_path: Path) -> Path:
    """A copy of CSIG's cases 1 and 2 that a test may change."""
    others = shutil.ignore_patterns("*3.nii.gz", "*4.nii.gz")
    return Path(shutil.copytree(csig[0], tmp_path / "src", ignore=others))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two tiny hospital patients, and labels.json in the parent folder."""
    for number in range(2):
        patient(tmp_path / "src" / f"p{number}", number)
    label_file(tmp_path / "labels.json")
    return tmp_path / "src"
