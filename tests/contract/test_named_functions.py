"""Fields of plans that nnU-Net resolves by name: only the network's can name another package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from .making import plans

#: Field -> how nnU-Net resolves it, within its own folders.
OF_PLANS = ("image_reader_writer", "label_manager", "experiment_planner_used")
OF_CONFIGURATIONS = (
    "preprocessor_name",
    "resampling_fn_data",
    "resampling_fn_seg",
    "resampling_fn_probabilities",
)
RESOLVED = {
    "image_reader_writer": "image_reader_writer_class",
    "label_manager": "label_manager_class",
    "experiment_planner_used": "experiment_planner_class",
    "preprocessor_name": "preprocessor_class",
}
FOREIGN = ("subprocess.getoutput", "named_trap.act", "named_trap", "os.system")


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "named_trap.py").write_text("open('PWNED', 'w').close()\ndef act(**_): pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "PWNED"


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("field", [*OF_PLANS, *OF_CONFIGURATIONS])
def test_nnunet_finds_these_fields_in_its_own_package_only(
    trap: Path, field: str, name: str
) -> None:
    content = plans()
    entry = content if field in OF_PLANS else content["configurations"]["3d_fullres"]
    entry[field] = name
    manager = PlansManager(content)
    holder = manager if field in OF_PLANS else manager.get_configuration("3d_fullres")
    try:
        found = getattr(holder, RESOLVED.get(field, field))
    except RuntimeError as error:
        assert "Unable to find" in str(error)  # noqa: PT017
    else:
        assert found is None
    assert not trap.exists()
    assert "named_trap" not in sys.modules
