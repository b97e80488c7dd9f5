"""Plans files from elsewhere: errors name the file, the configuration and the entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import check_plans, read_object, resolve

GOOD = {"patch_size": [64, 64], "batch_size": 2}


def plans(**configurations: Any) -> dict[str, Any]:
    return {"plans_name": "P", "configurations": configurations}


def test_valid_plans_are_returned() -> None:
    good = plans(a=GOOD, b={"inherits_from": "a", "batch_size": 1})
    assert check_plans(good, "P.json") == good
    assert resolve(good, "b") == {"inherits_from": "a", "patch_size": [64, 64], "batch_size": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "'configurations' or 'plans_name' is missing"),
        ({"plans_name": "P", "configurations": {}}, "'configurations' or 'plans_name' is missing"),
        ({"configurations": {"a": GOOD}}, "'configurations' or 'plans_name' is missing"),
        (plans(a=None), "configuration 'a' is None; expected an object"),
        (plans(a={**GOOD, "inherits_from": "b"}), "'a': its parent (inherits_from) is missing"),
        (plans(a={"inherits_from": "b"}, b={"inherits_from": "a"}), "or inherits from it"),
        (plans(a={"batch_size": 2}), "patch_size is None; expected 2 or 3 integers"),
        (plans(a={**GOOD, "patch_size": [64]}), "patch_size is [64]"),
        (plans(a={**GOOD, "patch_size": [64, 0]}), "patch_size is [64, 0]"),
        (plans(a={**GOOD, "patch_size": [64, float("nan")]}), "patch_size is [64, nan]"),
        (
            plans(a={**GOOD, "batch_size": True}),
            "batch_size is True; expected an integer of 1 or more",
        ),
        (plans(a={**GOOD, "batch_size": -1}), "batch_size is -1"),
        (plans(a={**GOOD, "training": None}), "training is None; expected an object"),
        (plans(a={**GOOD, "architecture": []}), "architecture is []; expected an object"),
        (
            plans(a={**GOOD, "architecture": {"arch_kwargs": 1}}),
            "arch_kwargs is 1; expected an object",
        ),
        (
            plans(a={**GOOD, "architecture": {"network_class_name": None}}),
            "is None; expected a string",
        ),
    ],
)
def test_invalid_plans_are_rejected_by_name(content: Any, words: str) -> None:
    with pytest.raises(UserError) as error:
        check_plans(content, "P.json")
    assert str(error.value).startswith("P.json: ")
    assert words in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "\xff"])
def test_a_file_without_an_object_is_rejected(tmp_path: Path, text: str) -> None:
    path = tmp_path / "P.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"P\.json: (cannot be read as JSON|expected an object)"):
        read_object(path)


@pytest.mark.parametrize("command", ["profile", "draw", "plan-diff"])
def test_commands_reject_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = tmp_path / "P.json"
    path.write_text(json.dumps(plans(a={**GOOD, "batch_size": 0})))
    (tmp_path / "dataset.json").write_text("{}")
    assert main([command, str(path), *([str(path)] if command == "plan-diff" else [])]) == 2
    assert "configuration 'a': batch_size is 0" in capsys.readouterr().err


@pytest.mark.parametrize("made", [
    {"plans": [], "configuration": "a"}, {"plans": plans(a=GOOD)}, {"plans": plans(a=GOOD), "configuration": ["a"]},
])  # fmt: skip
def test_a_checkpoint_with_other_contents_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], made: dict
) -> None:
    path = tmp_path / "checkpoint_final.pth"
    torch.save({"init_args": made}, path)
    assert main(["plan-diff", str(path), str(path)]) == 2
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"epoch 1\n", b"\x80\x02}q", b""])
def test_a_file_that_is_not_a_checkpoint_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "checkpoint_final.pth"
    path.write_bytes(content)
    assert main(["plan-diff", str(path), str(path)]) == 2
    assert str(path) in capsys.readouterr().err
