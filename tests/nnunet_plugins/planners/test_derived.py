"""Configurations per seed: their names, what they inherit, and that existing ones stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.errors import UserError
from nnunet_plugins.planners.derived import add_derived, derive, derived_name
from tests.contract.making import plans


@pytest.fixture
def content() -> dict[str, Any]:
    made = plans(row={"inherits_from": "3d_fullres", "training": {"epochs": 5, "seed": 9}})
    made["configurations"]["3d_fullres"]["training"] = {"epochs": 50, "optimizer": "Adam"}
    return made


@pytest.fixture
def file(tmp_path: Path, content: dict[str, Any]) -> Path:
    path = tmp_path / "Plans.json"
    path.write_text(json.dumps(content))
    return path


def test_nnunet_reads_the_seeds_of_a_row_and_everything_else_from_the_row(file: Path) -> None:
    names = add_derived(file, "row", [{"seed": 0}, {"seed": 1}])
    assert names == ["row_seed0", "row_seed1"]
    manager = PlansManager(str(file))
    row = manager.get_configuration("row").configuration
    for seed, name in enumerate(names):
        found = manager.get_configuration(name).configuration
        assert found["training"] == {"epochs": 5, "seed": seed}
        ignored = ("training", "inherits_from")
        assert {k: v for k, v in found.items() if k not in ignored} == {
            k: v for k, v in row.items() if k not in ignored
        }


def test_existing_configurations_stay_as_they_are(file: Path, content: dict[str, Any]) -> None:
    add_derived(file, "3d_fullres", [{"seed": 1}])
    first = file.read_text()
    assert add_derived(file, "3d_fullres", [{"seed": 1}, {}]) == ["3d_fullres_seed1", "3d_fullres"]
    assert file.read_text() == first
    add_derived(file, "3d_fullres", [{"epochs": 3, "seed": 1}])
    now = json.loads(file.read_text())
    added = now["configurations"].pop("3d_fullres_epochs3_seed1")
    assert added["training"] == {"epochs": 3, "optimizer": "Adam", "seed": 1}
    assert now == json.loads(first)


def test_a_name_that_stands_for_other_entries_is_refused(file: Path) -> None:
    add_derived(file, "3d_fullres", [{"seed": 1}])
    edited = json.loads(file.read_text())
    edited["configurations"]["3d_fullres"]["training"]["epochs"] = 7
    file.write_text(json.dumps(edited))
    with pytest.raises(UserError, match="3d_fullres_seed1 is already there with other entries"):
        add_derived(file, "3d_fullres", [{"seed": 1}])
    assert json.loads(file.read_text()) == edited


@pytest.mark.parametrize(
    ("base", "training", "message"),
    [
        ("4d", {"seed": 1}, "no configuration called '4d'; they have 2d, 3d_fullres, row"),
        ("2d", {"sed": 1}, "unknown keys 'sed'"),
        ("2d", {"seed": -1}, r"training\.seed is -1; allowed: an integer from 0 to"),
        ("2d", {"mirror_axes": [0]}, r"training\.mirror_axes is \[0\]: name the configuration"),
        ("cascade", {"seed": 1}, "cascade is the second stage of a cascade"),
    ],
)
def test_errors(content: dict[str, Any], base: str, training: dict[str, Any], message: str) -> None:
    content["configurations"]["cascade"] = {
        "inherits_from": "3d_fullres",
        "previous_stage": "3d_lowres",
    }
    with pytest.raises(UserError, match=message):
        derive(content, base, training)


def test_names_have_no_separator_of_nnunet() -> None:
    assert derived_name("2d", {"seed": 1, "lr_schedule": "poly"}) == "2d_lr-schedulepoly_seed1"
    with pytest.raises(UserError, match="splits at '__'"):
        derived_name("2d", {"optimizer": "a__b"})
