"""Names from files cannot control the terminal."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins import cli
from nnunet_plugins.cli import main

EVIL = "sacrum\x1b[31m\x1b]0;owned\x07\x1b[2J\x9b1A\x08"


def test_label_names_are_printed_without_escapes(tmp_path, capsys):
    for name in ("p", "r"):
        (tmp_path / name).mkdir()
        image = sitk.GetImageFromArray(np.ones((3, 3, 3), np.uint8))
        sitk.WriteImage(image, str(tmp_path / name / "a.nii.gz"))
    labels = {"labels": {"background": 0, EVIL: 1}}
    (tmp_path / "dataset.json").write_text(json.dumps(labels))
    assert main(["evaluate", str(tmp_path / "p"), str(tmp_path / "r")]) == 0
    said = "".join(capsys.readouterr())
    assert "sacrum" in said
    assert not set(said) & {"\x1b", "\x07", "\x08", "\x9b"}
    assert "owned" not in said


@pytest.mark.parametrize("stream", ["out", "err"])
def test_errors_and_output_are_plain(stream, monkeypatch, capsys):
    def run(arguments):
        if stream == "out":
            print(EVIL)
            return 0
        raise cli.UserError(EVIL)

    fake = SimpleNamespace(__doc__="Fake.", add_arguments=lambda parser: None, run=run)
    monkeypatch.setitem(cli.COMMANDS, "networks", fake)
    assert main(["networks"]) == (2 if stream == "err" else 0)
    said = getattr(capsys.readouterr(), stream)
    assert said.removeprefix("nnunet-plugins networks: ") == "sacrum1A\n"
