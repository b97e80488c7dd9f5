"""Checkpoints as nnU-Net and nnssl write them, in folders and zips; pickles only with consent."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.fine_tuning.source import read_source

WEIGHT = torch.arange(6.0).view(2, 3)


def saved(path: Path, **more: Any) -> Path:
    """A checkpoint with NumPy's numbers, as nnU-Net keeps its curves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "network_weights": {"module.encoder.weight": WEIGHT},
        "logging": {"ema_fg_dice": [np.float64(0.5), np.float32(0.25)]},
        "_best_ema": np.float32(0.5),
        "init_args": {
            "configuration": "2d",
            "plans": {"configurations": {"2d": {"batch_size": 2}}},
            "dataset_json": {"labels": {"background": 0, "bone": 1}},
            "device": torch.device("cpu"),
        },
    }
    torch.save(content | more, path)
    return path


def test_a_checkpoint_is_read_as_plain_data(tmp_path: Path) -> None:
    file = saved(tmp_path / "checkpoint_final.pth")
    found = read_source({"source": str(file)})
    assert torch.equal(found.weights["encoder.weight"], WEIGHT)
    assert found.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert found.configuration == {"batch_size": 2}
    assert found.labels == {"background": 0, "bone": 1}
    assert str(found) == str(file)


def test_a_folder_and_its_zip_hold_the_same(tmp_path: Path) -> None:
    model = tmp_path / "Dataset001_One" / "UNetTrainer__P__2d"
    for fold in range(2):
        saved(model / f"fold_{fold}" / "checkpoint_final.pth", fold=fold)
        saved(model / f"fold_{fold}" / "checkpoint_best.pth", fold=10 + fold)
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in model.rglob("*.pth"):
            opened.write(file, file.relative_to(tmp_path))
    for source in (model, archive):
        with pytest.raises(
            UserError,
            match=r"2 checkpoints called checkpoint_final\.pth; .*--training '{\"pretrained\": .*fold_0",
        ):
            read_source({"source": str(source)})
        with pytest.raises(UserError, match=r"no checkpoint called fold_3/.*available: .*fold_1"):
            read_source({"source": str(source), "checkpoint": "fold_3/checkpoint_final.pth"})
    wanted = {"checkpoint": "fold_1/checkpoint_best.pth"}
    digests = {read_source({"source": str(s), **wanted}).sha256 for s in (model, archive)}
    assert digests == {hashlib.sha256((model / wanted["checkpoint"]).read_bytes()).hexdigest()}


def test_a_checkpoint_that_has_changed_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path / "checkpoint_final.pth")
    entry = {"source": str(file), "sha256": read_source({"source": str(file)}).sha256}
    read_source(entry)
    saved(file, more=1)
    with pytest.raises(UserError, match="has changed since the plans were made"):
        read_source(entry)


class Touches:
    """A pickle that runs code when it is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.file),)


def test_a_pickle_is_loaded_only_if_its_digest_is_trusted(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    file = saved(tmp_path / "checkpoint_final.pth", trainer=Touches(mark))
    with pytest.raises(UserError, match=r"holds more than plain data.*plan with --trust"):
        read_source({"source": str(file)})
    with pytest.raises(UserError, match="holds more than plain data"):
        read_source({"source": str(file), "trusted": 64 * "0"})
    assert not mark.exists()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    read_source({"source": str(file), "trusted": digest})
    assert mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "not a checkpoint of nnU-Net v2 or nnssl"),
        ({"network_weights": {"a": 1}}, "not a checkpoint of nnU-Net v2 or nnssl"),
        ([1, 2], "not a checkpoint of nnU-Net v2 or nnssl"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    file = tmp_path / "a.pth"
    torch.save(content, file)
    with pytest.raises(UserError, match=message):
        read_source({"source": str(file)})


@pytest.mark.parametrize("arguments", [
    {"plans": [], "configuration": "2d", "dataset_json": None},
    {"plans": {}, "configuration": ["2d"], "dataset_json": {"labels": [1]}},
])  # fmt: skip
def test_a_record_of_another_form_counts_as_none(tmp_path: Path, arguments: Any) -> None:
    found = read_source({"source": str(saved(tmp_path / "a.pth", init_args=arguments))})
    assert (found.configuration, found.labels) == ({}, {})


def test_a_damaged_zip_is_named(tmp_path: Path) -> None:
    file, archive = saved(tmp_path / "a.pth"), tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.write(file, "checkpoint_final.pth")
    good = archive.read_bytes()
    central = good.rfind(b"PK\x01\x02")
    encrypted, unknown, damaged = bytearray(good), bytearray(good), bytearray(good)
    encrypted[6], encrypted[central + 8] = 1, 1
    unknown[8], unknown[central + 10] = 99, 99
    damaged[80:140] = bytes(one ^ 0xFF for one in damaged[80:140])
    for content, reason in ((encrypted, "password"), (unknown, "compression"), (damaged, "Error")):
        archive.write_bytes(content)
        with pytest.raises(
            UserError, match=rf"a\.zip: pretrained\.source cannot be read \(.*{reason}"
        ):
            read_source({"source": str(archive)})


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.pth: pretrained\.source cannot be read"):
        read_source({"source": str(tmp_path / "none.pth")})
    (tmp_path / "a.zip").write_bytes(b"PK no")
    with pytest.raises(UserError, match=r"a\.zip: pretrained\.source cannot be read"):
        read_source({"source": str(tmp_path / "a.zip")})
    (tmp_path / "a.pth").write_bytes(pickle.dumps(1)[:-1])
    with pytest.raises(UserError, match=r"a\.pth: .*(cannot be read as a checkpoint|plain data)"):
        read_source({"source": str(tmp_path / "a.pth")})
    file = saved(tmp_path / "b.pth")
    with pytest.raises(UserError, match="neither a folder nor a zip; omit it"):
        read_source({"source": str(file), "checkpoint": "fold_0/checkpoint_final.pth"})
