"""Every network as ONNX, and a model whose JSON is enough to predict as nnU-Net does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.inference.sliding_window_prediction import (
    compute_gaussian,
    compute_steps_for_sliding_window,
)
from packaging.version import Version
from torch import nn

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.export import onnx_network, onnx_runner
from nnunet_plugins.export.onnx_model import FORMAT, FORMAT_VERSION, NORMALIZATIONS
from nnunet_plugins.export.onnx_network import TOLERANCE, write_onnx
from nnunet_plugins.export.onnx_runner import OnnxModel, decided, gaussian, normalised, windows
from nnunet_plugins.networks import NETWORKS
from nnunet_plugins.prediction import find_model, load, predict_on_grid
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.explain.test_networks import made
from tests.nnunet_plugins.prediction.models import image

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
TRACED = Version(torch.__version__) < onnx_network.EXPORTER


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "rank"),
    [
        (name, max(net.ranks))
        for name, net in NETWORKS.items()
        if name not in ("ResEncL", "ResEncXL")
    ],
)
def test_the_logits_of_every_network(name, rank, tmp_path):
    if TRACED and name in ("AttentionUNet25D", "SegNet"):
        pytest.skip(f"torch {torch.__version__} traces; ONNX lacks adaptive or inverse pooling")
    network, size = made(name, rank)
    network.apply(network.initialize)
    with torch.no_grad():  # gates and attention start at 0
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    assert write_onnx(network, 2, size, tmp_path / "network.onnx") >= 0
    image = np.random.default_rng(3).normal(size=(1, 2, *size)).astype(np.float32)
    found = onnx_network.run(onnx_network.session(tmp_path / "network.onnx"), image)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    assert np.abs(found - expected).max() <= TOLERANCE * max(1, np.abs(expected).max())
    assert np.ptp(expected) > 0.05


@pytest.mark.integration
@pytest.mark.skipif(TRACED, reason="tracing names operators in other words")
def test_a_network_that_cannot_be_exported_is_named_with_its_operator(tmp_path):
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.AdaptiveAvgPool3d(2))
    said = r"Sequential: cannot be exported to ONNX: ONNX has no operator for aten\._adaptive_avg_pool3d"
    with pytest.raises(UserError, match=said):
        write_onnx(network, 1, (7, 7, 7), tmp_path / "network.onnx")


@pytest.mark.integration
def test_a_file_with_other_logits_is_refused(tmp_path, monkeypatch):
    true = onnx_network.run
    monkeypatch.setattr(onnx_network, "run", lambda *given: true(*given) + np.float32(2e-4))
    with pytest.raises(UserError, match="Conv2d: the logits of the ONNX file differ"):
        write_onnx(nn.Conv2d(1, 2, 3, padding=1), 1, (6, 6), tmp_path / "network.onnx")


@pytest.mark.parametrize(("size", "patch"), [((9, 20, 33), (8, 16, 16)), ((4, 20, 16), (16, 16))])
def test_windows_and_weights_are_those_of_nnunet(size, patch):
    starts = compute_steps_for_sliding_window(size[-len(patch) :], patch, 0.5)
    found = windows(size, patch, 0.5)
    for axis, expected in enumerate(starts, start=len(size) - len(patch)):
        assert sorted({window[axis].start for window in found}) == sorted(set(expected))
    theirs = compute_gaussian(patch, dtype=torch.float32, device=torch.device("cpu")).numpy()
    np.testing.assert_allclose(gaussian(patch, 1 / 8), theirs, rtol=1e-6)


@pytest.mark.parametrize("scheme", NORMALIZATIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_normalisations_are_those_of_nnunet(scheme, masked):
    from nnunetv2.preprocessing.normalization import default_normalization_schemes as theirs

    x = np.random.default_rng(0).uniform(0, 200, (4, 5, 6)).astype(np.float32)
    mask = x > 60
    x[~mask] = 0
    known = {"mean": 90.0, "std": 30.0, "percentile_00_5": 20.0, "percentile_99_5": 180.0}
    expected = getattr(theirs, scheme)(masked, known).run(x.copy(), np.where(mask, 0, -1))
    about = [{"scheme": scheme, "use_mask_for_norm": masked, "intensity": known}]
    np.testing.assert_allclose(normalised(x[None], mask, about)[0], expected, rtol=1e-5, atol=1e-6)


def test_later_regions_overwrite_earlier_ones():
    logits = np.array([[1.0, 1, -1, 0], [-1, 1, -1, 0]])
    assert decided(logits, [1, 2]).tolist() == [1, 2, 0, 0]
    assert decided(logits, None).tolist() == [0, 0, 0, 0]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("kind", "number", "configuration"), [("labels", 771, "3d_fullres"), ("regions", 772, "2d")]
)
def test_a_server_that_follows_the_json_predicts_as_nnunet(
    kind, number, configuration, nnunet, tmp_path, capsys, monkeypatch
):
    torch.manual_seed(0)
    data = tiny.make(kind, number, spacing=(2.0, 1.0, 1.0), network="UNet")
    folder, out = tiny.untrained(data, configuration, "UNetTrainer"), tmp_path / "onnx"
    assert main(["export", "--to", "onnx", "--model", str(folder), "-o", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"fold_0.onnx", "model.json"}
    assert "fold_0.onnx" in capsys.readouterr().out
    about = json.loads((out / "model.json").read_text())
    assert about["output"]["shape"][1] == (2 if kind == "regions" else 3)
    assert str(tmp_path) not in json.dumps(about)

    # Larger than the patch, with another spacing and an empty border.
    small = sitk.GetArrayFromImage(sitk.ReadImage(str(data.raw / "imagesTr/case0_0000.nii.gz")))
    image = sitk.GetImageFromArray(np.pad(np.tile(small, (2, 2, 1)), 3))
    image.SetSpacing((0.9, 0.8, 1.6))
    images = [tmp_path / "case_0000.nii.gz"]
    sitk.WriteImage(sitk.DICOMOrient(image, "PIR"), str(images[0]))
    # nnU-Net sums in half precision, where its smallest weights have one or two digits.
    model = find_model(folder)
    predictor = load(model, "cpu")
    predictor.use_gaussian = False
    monkeypatch.setattr(onnx_runner, "gaussian", lambda patch, _: np.ones(patch, np.float32))
    expected = sitk.ReadImage(
        str(predict_on_grid(predictor, model, images, tmp_path / "torch" / "case"))
    )
    found = OnnxModel(out).predict(images)
    assert found.GetSize() == expected.GetSize()
    assert found.GetDirection() == expected.GetDirection()
    a, b = sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected)
    assert np.sort(np.bincount(b.ravel()))[-2] > 100
    assert (a != b).mean() < 1e-3


def test_wrong_use(said, tmp_path):
    model = ["--model", str(tmp_path)]
    for use in (
        ["PRED", "--to", "onnx", *model],
        ["--to", "onnx", "stl", *model],
        ["--to", "onnx"],
    ):
        assert "--to onnx exports a model, not predictions" in said("export", *use)


def described(folder, monkeypatch, rank):
    """A model of two channels whose network finds label 1 where the first channel is above 0."""
    resampling = {
        "function": "resample_data_or_seg_to_shape",
        "arguments": {"order": 1, "is_seg": False},
    }
    about = {
        "format": FORMAT, "format_version": FORMAT_VERSION, "networks": [{"file": "none"}],
        "output": {"shape": [1, 2, *[8] * rank]}, "channels": ["T1", "T2"], "orientation": None,
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
        "normalization": [{"scheme": "NoNormalization", "use_mask_for_norm": False}] * 2,
        "spacing": [1.0] * rank, "resampling": {"data": resampling, "probabilities": resampling},
        "patch_size": [8] * rank, "step_size": 0.5, "gaussian_sigma": 0.125, "mirroring_axes": [],
        "labels": {"background": 0, "bone": 1}, "regions_class_order": None,
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(about))
    monkeypatch.setattr(onnx_runner, "session", lambda *_: None)
    monkeypatch.setattr(
        onnx_runner, "run", lambda _, x: np.stack([x[:, 0] * 0, x[:, 0]], 1).astype(np.float32)
    )
    return about


def test_files_that_predict_refuses_are_refused(tmp_path, monkeypatch):
    described(tmp_path, monkeypatch, 3)
    model = OnnxModel(tmp_path)
    files = [image(tmp_path / f"c_{n}.nii.gz", (8, 9, 10), (1.0, 1.0, 1.0), n) for n in range(2)]
    assert model.predict(files).GetSize() == (10, 9, 8)
    coarse = image(tmp_path / "coarse.nii.gz", (8, 9, 10), (1.0, 1.0, 2.0))
    small = image(tmp_path / "small.nii.gz", (8, 9, 5), (1.0, 1.0, 1.0))
    thin = image(tmp_path / "thin.nii.gz", (8, 9, 10), (0.05, 1.0, 1.0))
    flat = tmp_path / "flat.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(files[0]))[:, :, 0], str(flat))
    for given, said in (
        ([files[0], coarse], "is on another grid than c_0"),
        ([files[0], small], "is on another grid than c_0"),
        ([thin, thin], "too thin for the model: .* 8 x 8 x 9 voxels of 0.05 x 1 x 1 mm"),
        ([flat, flat], "is a 2D image, and the model is a 3D one"),
        ([], "0 channels in 0 files; the model needs 2: T1, T2"),
        (files[:1], "1 channels in 1 files; the model needs 2"),
    ):
        with pytest.raises(UserError, match=said):
            model.predict(given)


def test_a_2d_file_has_a_2d_label_map(tmp_path, monkeypatch):
    described(tmp_path, monkeypatch, 2)
    flat = tmp_path / "flat.nii.gz"
    stored = sitk.ReadImage(str(image(tmp_path / "c.nii.gz", (1, 9, 10), (1.0, 1.0, 1.3))))[:, :, 0]
    sitk.WriteImage(stored, str(flat))
    found = OnnxModel(tmp_path).predict([flat, flat])
    assert found.GetSize() == (10, 9)
    assert found.GetSpacing() == pytest.approx((1.3, 1.0))
    assert found.GetOrigin() == pytest.approx(stored.GetOrigin())


def test_a_model_with_missing_keys_is_refused(tmp_path, monkeypatch):
    about = described(tmp_path, monkeypatch, 3)
    del about["patch_size"], about["labels"]
    (tmp_path / "model.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"model\.json: patch_size, labels missing; export"):
        OnnxModel(tmp_path)


def test_another_format_is_refused(tmp_path):
    (tmp_path / "model.json").write_text('{"format": "other"}')
    with pytest.raises(UserError, match="format 'other', version None; expected"):
        OnnxModel(Path(tmp_path))
