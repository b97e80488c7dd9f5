"""One grid for image and mask: values, positions and orientation; networks and augmentation."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.networks.nets import DenseNet121

from dataset_conversion.io.geometry import like
from nnunet_plugins.classifier.augmentation import augmented
from nnunet_plugins.classifier.images import check_one_plane, load, notes_of
from nnunet_plugins.classifier.networks import CHANNELS, NETWORKS, build
from nnunet_plugins.classifier.settings import Settings
from nnunet_plugins.errors import UserError

SETTINGS = Settings(network="densenet-small", size=(8, 20, 24), spacing=(7.0, 1.0, 1.0))


def stored(tmp_path, code="LPS", shift=0.0):
    """An image with a bright block at known points, stored in an orientation."""
    values = np.zeros((6, 20, 20), np.float32)
    values[2:4, 5:9, 12:16] = 10
    files = []
    for name, array in (("image", values), ("mask", (values > 0).astype(np.uint8))):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((1.0, 1.0, 7.0))
        image.SetOrigin((3.0, -2.0, 5.0 + (shift if name == "mask" else 0)))
        image = sitk.DICOMOrient(image, code)
        files.append(tmp_path / f"{name}_{code}.nii.gz")
        sitk.WriteImage(image, str(files[-1]))
    return files


def test_the_grid_is_centred_and_does_not_depend_on_the_storage(tmp_path):
    found = load(*stored(tmp_path), (), SETTINGS)
    assert found.image.shape == found.mask.shape == SETTINGS.size
    # Padded by one slice on either side, and by two columns.
    assert np.argwhere(found.mask).min(0).tolist() == [3, 5, 14]
    assert np.argwhere(found.mask).max(0).tolist() == [4, 8, 17]
    share = 32 / 2400
    bright = (1 - share) / np.sqrt(share * (1 - share))
    assert found.image[found.mask] == pytest.approx(bright, rel=1e-3)
    for code in ("RAI", "PIR", "ASL"):
        other = load(*stored(tmp_path, code), (), SETTINGS)
        assert (other.mask == found.mask).all()
        assert other.image == pytest.approx(found.image, abs=2e-3)
        assert other.orientation == found.orientation == "LPS"


def test_channels_are_the_image_and_the_image_within_the_mask(tmp_path):
    found = load(*stored(tmp_path), (), SETTINGS)
    image, inside = found.channels()
    assert (inside[found.mask] == image[found.mask]).all()
    assert not inside[~found.mask].any()
    empty = load(*stored(tmp_path), (7,), SETTINGS)  # no voxel has the label
    assert not empty.channels()[1].any()


def test_masks_on_another_grid_flat_images_and_mixed_planes_are_refused(tmp_path):
    with pytest.raises(UserError, match="mask"):
        load(*stored(tmp_path, shift=3.0), (), SETTINGS)
    image, mask = stored(tmp_path)
    flat = sitk.ReadImage(str(image)) * 0
    sitk.WriteImage(flat, str(image))
    with pytest.raises(UserError, match="no contrast"):
        load(image, mask, (), SETTINGS)
    axial = load(*stored(tmp_path), (), SETTINGS)
    coronal = type(axial)(axial.image, axial.mask, axial.grid, "LIP", "")
    with pytest.raises(UserError, match=r"LPS \(a\), LIP \(b\)"):
        check_one_plane({"a": axial, "b": coronal})


@pytest.mark.parametrize(
    ("factor", "declared", "match"),
    [
        (0.7, (), "holds the values 0.7; allowed are whole numbers"),
        (0.7, (0, 1), "holds the values 0.7; allowed are 0, 1"),
        (7, (0, 1), "holds the values 7; allowed are 0, 1"),
    ],
)
def test_masks_of_other_values_are_refused(tmp_path, factor, declared, match):
    image, mask = stored(tmp_path)
    load(image, mask, (), SETTINGS, (0, 1))
    found = sitk.ReadImage(str(mask))
    values = np.where(sitk.GetArrayFromImage(found), factor, 0)
    sitk.WriteImage(like(values, found), str(mask))
    with pytest.raises(UserError, match=match):
        load(image, mask, (1,), SETTINGS, declared)


def test_messages_on_masks_name_no_options_of_convert(tmp_path):
    image, mask = stored(tmp_path, shift=3.0)
    with pytest.raises(UserError, match=r"not aligned with its image.*as its reference geometry$"):
        load(image, mask, (), SETTINGS)


def test_partial_masks_and_lesions_outside_the_network_are_noted(tmp_path):
    image, mask = stored(tmp_path)
    whole = load(image, mask, (), SETTINGS)
    assert whole.notes == ()
    sitk.WriteImage(sitk.ReadImage(str(mask))[:18], str(mask))
    found = load(image, mask, (), SETTINGS)
    assert (found.mask == whole.mask).all()
    small = load(image, mask, (), replace(SETTINGS, size=(8, 20, 8)))
    assert small.mask.sum() < whole.mask.sum()
    assert notes_of({"a": found, "b": small, "c": whole}) == [
        "mask copied voxel by voxel to the image's grid: it covers 18x20x6 voxels of 20x20x6: a, b",
        "lesions outside the network's grid are cut off, see --size and --spacing: b",
    ]


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"network": "vgg"}, "allowed are densenet121, resnet18"),
        ({"size": (7, 64, 64)}, "--size 7: expected a number from 8 to 2048"),
        ({"size": (100000, 16, 16)}, "--size 100000"),
        (
            {"learning_rate": float("nan")},
            "--learning-rate nan: expected a number from 1e-12 to 10",
        ),
        ({"positive_weight": float("inf")}, "--positive-weight inf"),
        ({"channel": -1}, "--channel -1"),
        ({"seeds": (10**20,)}, r"--seeds 1e\+20"),
        ({"epochs": 0}, "--epochs"),
        ({"batch": 1}, "--batch"),
        ({"seeds": (1, 1)}, "--seeds"),
    ],
)
def test_settings_that_are_refused(values, match):
    with pytest.raises(UserError, match=match):
        Settings(**values)


def test_settings_survive_json():
    assert Settings.from_json({**SETTINGS.as_json(), "size": [8, 20, 24]}) == SETTINGS


def test_densenet_is_monais_and_takes_the_sixteen_slices_of_the_paper():
    ours, theirs = build("densenet121", 0).eval(), DenseNet121(3, CHANNELS, 1).eval()
    theirs.load_state_dict(ours.state_dict())
    even = torch.randn(1, 2, 32, 32, 32)
    with torch.inference_mode():
        assert torch.equal(ours(even), theirs(even))
        assert ours(torch.zeros(1, 2, 16, 32, 32)).shape == (1, 1)


def test_weights_follow_from_the_seed():
    first, same, other = (build("densenet-small", seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert "densenet-small" in NETWORKS


@pytest.mark.parametrize("slices", [8, 12, 16])
def test_onednn_computes_the_gradient_of_the_first_kernel(slices):
    """With 6 or 7 slices it does not, see LEAST_SIZE."""
    torch.manual_seed(0)
    layer, x = torch.nn.Conv3d(2, 16, 7, 2, 3, bias=False), torch.randn(2, 2, slices, 12, 12)

    def gradient():
        layer.zero_grad()
        layer(x).square().mean().backward()
        return layer.weight.grad.clone()

    found = gradient()
    with torch.backends.mkldnn.flags(enabled=False):
        torch.testing.assert_close(found, gradient(), rtol=1e-3, atol=1e-5)


def test_augmentation_is_repeatable_and_keeps_the_second_channel_within_the_first(tmp_path):
    batch = torch.from_numpy(load(*stored(tmp_path), (), SETTINGS).channels())[None].repeat(
        4, 1, 1, 1, 1
    )
    one, same, other = (augmented(batch, np.random.default_rng(n), flip=True) for n in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    inside = one[:, 1] != 0
    assert inside.sum() > 0
    core = one[:, 1] > 0.8 * one[:, 1].max()
    torch.testing.assert_close(one[:, 0][core], one[:, 1][core], rtol=0.2, atol=0.5)
