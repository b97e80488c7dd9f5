"""`pytest -p nnunet_plugins.checks.plugin --pyargs nnunet_plugins.checks`, from an installed wheel."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.dataset_conversion.making import labels, nifti, tree

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.integration
#: The documented command.
CHECKS = ("-p", "nnunet_plugins.checks.plugin", "--pyargs", "nnunet_plugins.checks")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The content of a wheel, unpacked as by an installer."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "src", ignore=shutil.ignore_patterns(
        ".*", "build", "*.egg-info", "__pycache__", "tests", "benchmarks"))  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(folder / "src"), "--no-deps",
         "--no-build-isolation", "-q", "-w", str(folder)], check=True, cwd=folder,
    )  # fmt: skip
    zipfile.ZipFile(next(folder.glob("*.whl"))).extractall(folder / "site")
    return folder / "site"


def run_pytest(site, cwd, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=cwd, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": str(site)},
    )  # fmt: skip


def test_an_installed_wheel_runs_one_test_per_case(site, theirs, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    before = tree(theirs)
    arguments = (*CHECKS, "--dataset", str(theirs), "-v")
    good = run_pytest(site, elsewhere, *arguments)
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.count("PASSED") == 7  # the dataset, five cases, one test case
    assert "test_case[Dataset012_Theirs-c3] PASSED" in good.stdout
    assert tree(theirs) == before  # no cache of pytest in the dataset
    nifti(theirs / "labelsTr" / "c1.nii.gz", labels(values=(1, 7)))
    bad = run_pytest(site, theirs, *arguments)
    assert bad.returncode == 1
    assert "test_case[Dataset012_Theirs-c1] FAILED" in bad.stdout
    assert "label values [7] are not in dataset.json" in bad.stdout
    assert bad.stdout.count("PASSED") == 6
    assert not list(theirs.rglob(".pytest_cache"))


def test_without_a_dataset_the_option_is_named(site, tmp_path):
    done = run_pytest(site, tmp_path, *CHECKS)
    assert done.returncode != 0
    assert "--dataset DIR is required" in done.stdout


def test_other_runs_of_pytest_do_not_load_the_plugin(site):
    entry_points = next(site.glob("*.dist-info")) / "entry_points.txt"
    assert "pytest11" not in entry_points.read_text()
