"""Weights of voxels from maps of the dataset: prepared and moved like the images, and no input of the network."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.errors import UserError
from nnunet_plugins.planners import planning
from nnunet_plugins.training.weight_maps.files import PREPROCESSED, MappedCases, prepare_maps
from nnunet_plugins.training.weight_maps.trainer import MapLoss, WithMap
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.training.test_matrix import SHORT

TRAINING = {**SHORT, "voxel_weights": {"map": True}, "seed": 0}


@pytest.fixture(scope="module")
def data(nnunet: Path) -> tiny.Tiny:
    return tiny.make("both", 767, network="ModularUNet", training=TRAINING)


def write_maps(data: tiny.Tiny, change: Callable[[np.ndarray], Any] | None = None) -> Path:
    """For every case the image of the case, from 0, as its map; ``change`` alters that of case0."""
    folder = data.raw / "weightsTr"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for case in range(tiny.CASES):
        image = sitk.ReadImage(str(data.raw / "imagesTr" / f"case{case}_0000.nii.gz"))
        values = sitk.GetArrayFromImage(image)
        values -= values.min()
        made = sitk.GetImageFromArray(
            change(values) if change is not None and case == 0 else values
        )
        made.CopyInformation(image)
        sitk.WriteImage(made, str(folder / f"case{case}.nii.gz"))
    return folder


def prepared(
    data: tiny.Tiny, raw: bool = True, cases: int = tiny.CASES, configuration: str = "3d_fullres"
) -> str:
    plans = PlansManager(str(data.preprocessed / "TinyPlans.json"))
    return prepare_maps(
        [f"case{i}" for i in range(cases)],
        raw=data.raw if raw else None,
        data=data.preprocessed / f"TinyPlans_{configuration}",
        plans=plans,
        configuration=plans.get_configuration(configuration),
        ending=".nii.gz",
    )


def loaded(data: tiny.Tiny, case: str, configuration: str = "3d_fullres") -> np.ndarray:
    """Image and map of a case, as the loader slices them."""
    trainer = tiny.trainer_of(data, configuration, "ModularUNetTrainer")
    folder = Path(trainer.preprocessed_dataset_folder)
    from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

    dataset = infer_dataset_class(str(folder))(str(folder), [case])
    array = MappedCases(dataset, folder / PREPROCESSED).load_case(case)[0]
    return np.asarray(array[tuple(slice(0, n) for n in array.shape)])


def test_a_map_is_prepared_like_its_image(data: tiny.Tiny) -> None:
    """The map is the image before normalisation, so the prepared map is a linear function of the prepared image."""
    write_maps(data)
    digest = prepared(data)
    image, weights = loaded(data, "case1")
    assert np.corrcoef(image.ravel(), weights.ravel())[0, 1] > 0.9999
    assert weights.min() >= -1
    stored = data.preprocessed / "TinyPlans_3d_fullres" / PREPROCESSED / "case1.b2nd"
    before = stored.stat().st_mtime_ns
    assert prepared(data) == digest == prepared(data, raw=False)
    assert stored.stat().st_mtime_ns == before
    write_maps(data, lambda values: values + 1)
    assert prepared(data) != digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v - 1, "has negative values, down to -1; weights are finite"),
        (lambda v: np.where(v > 1, np.nan, v), "cannot be read .* voxels are NaN or inf"),
        (lambda v: np.full_like(v, np.inf), "cannot be read .* voxels are NaN or inf"),
        (lambda v: 0 * v, "has no value above 0"),
    ],
)
def test_values_that_are_not_weights_are_refused(
    data: tiny.Tiny, change: Callable[[np.ndarray], Any], message: str
) -> None:
    write_maps(data, change)
    with pytest.raises(UserError, match=rf"case0\.nii\.gz: the weight map {message}"):
        prepared(data)


def test_other_grids_and_missing_maps_are_refused(data: tiny.Tiny) -> None:
    file = write_maps(data) / "case0.nii.gz"
    found = sitk.ReadImage(str(file))
    sitk.WriteImage(found[:, :, 1:], str(file))
    with pytest.raises(UserError, match=r"has the shape \(1, 15, 32, 32\).*its case \(1, 16, "):
        prepared(data)
    found.SetOrigin((0, 0, 7))
    sitk.WriteImage(found, str(file))
    with pytest.raises(UserError, match="not on the grid of its case: sitk_stuff differs"):
        prepared(data)
    sitk.WriteImage(sitk.Compose(found, found), str(file))
    with pytest.raises(UserError, match="the weight map"):
        prepared(data)
    file.write_bytes(b"no image")
    with pytest.raises(UserError, match="the weight map cannot be read"):
        prepared(data)
    file.unlink()
    with pytest.raises(UserError, match=r"weightsTr: no weight map for case0; .*or omit map"):
        prepared(data)
    with pytest.raises(UserError, match="no weight map for case0"):
        tiny.trainer_of(data, "2d", "ModularUNetTrainer").on_train_start()
    shutil.rmtree(data.preprocessed / "TinyPlans_3d_fullres" / PREPROCESSED, ignore_errors=True)
    with pytest.raises(UserError, match="of case0 is not prepared, and the dataset is not in"):
        prepared(data, raw=False)


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
@pytest.mark.parametrize("augmentation", ["nnunet", {"affine": {"p": 1, "degrees": 30}}])
def test_a_map_moves_with_its_image_and_keeps_its_values(
    data: tiny.Tiny, configuration: str, augmentation: Any
) -> None:
    """Labels as a map: wherever a voxel is moved to, its weight is that of its label."""
    training = {**TRAINING, "augmentation": augmentation}
    plans = tiny.replanned(data, "MovedPlans", training=training)
    trainer = tiny.trainer_of(plans, configuration, "ModularUNetTrainer")
    trainer.initialize()
    _, dummy_2d, initial, mirrored = (
        trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    )
    patch = trainer.configuration_manager.patch_size
    made = trainer.get_training_transforms(
        patch, (-0.5, 0.5), [[1.0] * len(patch), [0.5] * len(patch)], mirrored, dummy_2d,
        use_mask_for_norm=[False], is_cascaded=False, foreground_labels=(1, 2), regions=None, ignore_label=None,
    )  # fmt: skip
    assert isinstance(made, WithMap)
    torch.manual_seed(0)
    labels = torch.zeros(1, *initial, dtype=torch.int16)
    labels[..., initial[-1] // 2 :] = 1
    labels[:, : initial[0] // 3] = 2
    weights = 1.0 + labels
    moved = 0
    for _ in range(12):
        sample = torch.cat([torch.randn(1, *initial), weights - 1])
        found = made(image=sample, segmentation=labels.clone())
        full, half = found["segmentation"]
        assert found["image"].shape == (1, *patch)
        assert full.shape == (2, *patch)
        assert half.shape == (2, *(n // 2 for n in patch))
        close = (full[1] - 1 - full[0]).abs() < 0.3
        assert close.float().mean() > 0.8  # voxels of a boundary are means of both sides
        assert full[1].min() >= 1 - 1e-5  # also outside the image
        moved += not torch.equal(full[0], labels[0, ..., : patch[-1]].float())
    assert moved


def test_the_loss_reads_the_map_of_training_targets_only() -> None:
    seen: list[Any] = []

    class Inner(torch.nn.Module):
        def forward(self, *given: Any) -> torch.Tensor:
            seen.append(given)
            return torch.zeros(())

    loss = MapLoss(Inner())
    target = torch.arange(12.0).view(1, 3, 2, 2)
    loss(0, target), loss(0, [target, target]), loss.eval()(0, target)
    assert torch.equal(seen[0][1], target[:, :2])
    assert torch.equal(seen[0][2], target[:, 2:])
    assert [t.shape[1] for t in (*seen[1][1], *seen[1][2])] == [2, 2, 1, 1]
    assert seen[2] == (0, target)


@pytest.mark.integration
@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_maps_train_two_steps_and_prediction_needs_none(
    data: tiny.Tiny, configuration: str, tmp_path: Path
) -> None:
    """Of a constant weight the training is that without a map; of other weights it is not."""
    losses = []
    for name, change in (("ones", np.ones_like), ("own", np.asarray), ("none", None)):
        if change is not None:
            for case in range(tiny.CASES):
                file = write_maps(data) if not case else data.raw / "weightsTr"
                path = file / f"case{case}.nii.gz"
                image = sitk.ReadImage(str(path))
                made = sitk.GetImageFromArray(change(sitk.GetArrayFromImage(image)))
                made.CopyInformation(image)
                sitk.WriteImage(made, str(path))
        training = {**TRAINING, "accumulate": 2, "augmentation": "none"}
        if change is None:
            del training["voxel_weights"]
        plans = tiny.replanned(data, f"{name}Plans", training=training)
        trained = tiny.trainer_of(plans, configuration, "ModularUNetTrainer")
        trained.run_training()
        losses.append(trained.logger.get_value("train_losses", step=-1))
        assert trained.network.encoder.stages[0][0].convs[0].conv.in_channels == 1
    assert losses[0] == pytest.approx(losses[2], rel=1e-5)
    assert abs(losses[1] - losses[2]) > 1e-4
    shutil.rmtree(data.raw / "weightsTr")
    model = tiny.model_folder(data, configuration, "ModularUNetTrainer", "ownPlans")
    assert tiny.predict(model, data, tmp_path).shape == (16, 32, 32)


@pytest.mark.integration
def test_plan_requires_all_maps_and_prepares_them(
    nnunet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, dataset = tiny.write_raw("labels", 768)
    folders = [nnunet / root / name for root in ("nnUNet_raw", "nnUNet_preprocessed")]
    data = tiny.Tiny(name, "Mapped", *folders)

    def preprocess(_: int, plans: str, chosen: list[str], **__: Any) -> None:
        manager = PlansManager(str(data.preprocessed / f"{plans}.json"))
        cases = [f"case{i}" for i in range(tiny.CASES)]
        for configuration in chosen:
            tiny.preprocess(manager, configuration, *folders, cases, dataset)

    monkeypatch.setenv("nnUNet_n_proc_DA", "1")
    monkeypatch.setattr(
        planning,
        "extract_fingerprint_dataset",
        lambda *_, **__: tiny.write_fingerprint(data.preprocessed, (16, 32, 32), (1, 1, 1)),
    )
    monkeypatch.setattr(planning, "preprocess_dataset", preprocess)
    request = planning.Request(
        "768",
        "ModularUNet",
        "Mapped",
        preset="cpu",
        configurations=("3d_fullres",),
        training=TRAINING,
    )
    with pytest.raises(UserError, match="weightsTr: no weight map for case0, case1, case2"):
        planning.plan(request)
    assert not (data.preprocessed / "Mapped.json").exists()
    write_maps(data)
    planning.plan(request)
    found = data.preprocessed / "Mapped_3d_fullres" / PREPROCESSED
    assert len(list(found.glob("*.b2nd"))) == tiny.CASES
