"""The wheel works outside the checkout, and contains our three packages and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-q",
         "-w", str(folder)], check=True, cwd=folder,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def test_wheel_holds_the_rooms_and_not_the_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    rooms = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert rooms == {"architectures", "dataset_conversion", "nnunet_plugins"}
    assert "nnunet_plugins/nnunet_ext/nnunet_plugins_trainers.py" in names
    assert "nnunet_plugins/export/terminology.csv" in names
    for template in ("page.html", "style.css", "viewer.js"):
        assert f"nnunet_plugins/reports/templates/{template}" in names
    assert "nnunet_plugins/reports/templates/base.html" in names
    assert "nnunet_plugins/readers/templates/readers.html" in names
    for file in ("Snakefile", "templates/study.html"):
        assert f"nnunet_plugins/study/{file}" in names
    for room in rooms:
        assert f"{room}/py.typed" in names


@pytest.mark.integration
def test_nnunet_finds_the_trainers_of_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        "import os, nnunet_plugins.environment as e\n"
        "os.environ.update(e.variables('nn'))\n"
        "from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as find\n"
        "from nnunet_plugins.training.trainers import MAGUNetTrainer\n"
        "import architectures, dataset_conversion\n"
        "assert find('MAGUNetTrainer') is MAGUNetTrainer\n"
        "print(MAGUNetTrainer.__module__, e.__file__, architectures.__file__, dataset_conversion.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].count(str(site)) == 3
