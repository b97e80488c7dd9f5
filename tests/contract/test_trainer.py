"""The methods and attributes of nnUNetTrainer that nnunet_plugins/training overrides, sets or unpacks."""

from __future__ import annotations

import inspect

import pytest
import torch
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_plugins.training.trainer import _ATTRIBUTES, PluginTrainer

from .making import DATASET, REGIONS


def names(function):
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("method", ["__init__", "build_network_architecture", "_build_loss"])
def test_our_parameters_have_nnunets_names(method):
    # __init__: the base class reads them from locals(). build_network_architecture: recognised by plans_manager.
    assert names(getattr(PluginTrainer, method)) == names(getattr(nnUNetTrainer, method))


def test_the_network_is_built_with_these_arguments():
    assert names(nnUNetTrainer.build_network_architecture) == [
        "plans_manager",
        "configuration_manager",
        "num_input_channels",
        "num_output_channels",
        "enable_deep_supervision",
    ]


@pytest.mark.parametrize("attribute", sorted(_ATTRIBUTES.values()))
def test_nnunet_has_the_attributes_that_the_procedure_sets(make_trainer, attribute):
    # If it were renamed, setting it would silently have no effect.
    assert attribute in vars(make_trainer())


@pytest.mark.parametrize(("configuration", "axes"), [("2d", (0, 1)), ("3d_fullres", (0, 1, 2))])
def test_there_are_four_augmentation_settings_and_the_last_is_the_mirror_axes(
    make_trainer, configuration, axes
):
    trainer = make_trainer(configuration=configuration)
    found = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    assert len(found) == 4
    assert found[3] == axes
    assert trainer.inference_allowed_mirroring_axes == axes


class Called(Exception):  # noqa: N818
    pass


class Recording(nnUNetTrainer):
    def __init__(self, plans, configuration, fold, dataset_json, device=None):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.dataset_class = object

    @staticmethod
    def get_training_transforms(*args, **kwargs):
        raise Called(args, kwargs)


@pytest.mark.parametrize("dataset", [DATASET, REGIONS], ids=["labels", "regions"])
def test_training_transforms_receive_scales_third_and_labels_by_name(make_trainer, dataset):
    # 'augmentation: none' passes these to get_validation_transforms.
    trainer = make_trainer(Recording, dataset=dataset)
    with pytest.raises(Called) as caught:
        trainer.get_dataloaders()
    args, kwargs = caught.value.args
    assert args[2] == trainer._get_deep_supervision_scales()
    required = {"is_cascaded", "foreground_labels", "regions", "ignore_label"}
    assert required <= set(kwargs)
    transform = trainer.get_validation_transforms(args[2], **{k: kwargs[k] for k in required})
    sample = {"image": torch.zeros(1, 8, 8, 8), "segmentation": torch.zeros(1, 8, 8, 8).short()}
    assert len(transform(**sample)["segmentation"]) == len(args[2])


@pytest.mark.parametrize("axes", [(), (1,), (0, 2)])
def test_training_mirrors_the_given_axes(make_trainer, axes):
    # Our trainer passes an empty tuple where no axis may be mirrored.
    transform = nnUNetTrainer.get_training_transforms((8, 8, 8), (0, 0), None, axes, False)
    found = [t.allowed_axes for t in transform.transforms if isinstance(t, MirrorTransform)]
    assert found == ([axes] if axes else [])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirror_axis_is_an_axis_of_the_patch(axis):
    image = torch.arange(24.0).reshape(1, 2, 3, 4)
    mirror = MirrorTransform(allowed_axes=(axis,))
    seen = {tuple(mirror(image=image)["image"].flatten().tolist()) for _ in range(64)}
    assert seen == {tuple(x.flatten().tolist()) for x in (image, image.flip(axis + 1))}


@pytest.mark.parametrize(
    ("dataset", "kind"), [(DATASET, DC_and_CE_loss), (REGIONS, DC_and_BCE_loss)]
)
def test_the_wrapper_holds_the_loss_of_each_output(make_trainer, dataset, kind):
    trainer = make_trainer(dataset=dataset)
    wrapped = trainer._build_loss()
    assert isinstance(wrapped, DeepSupervisionWrapper)
    assert isinstance(wrapped.loss, kind)
    trainer.enable_deep_supervision = False
    assert isinstance(trainer._build_loss(), kind)


@pytest.mark.parametrize("dataset", [DATASET, REGIONS], ids=["labels", "regions"])
def test_the_weights_of_the_loss_can_be_set_after_construction(make_trainer, dataset):
    trainer = make_trainer(dataset=dataset)
    trainer.enable_deep_supervision = False
    torch.manual_seed(0)
    heads = trainer.label_manager.num_segmentation_heads
    logits = torch.randn(2, heads, 4, 4, 4)
    target = torch.randint(2, (2, heads if "regions_class_order" in dataset else 1, 4, 4, 4))

    def value(dice, ce):
        loss = trainer._build_loss()
        loss.weight_dice, loss.weight_ce = dice, ce
        return float(loss(logits, target))

    dice, ce = value(1.0, 0.0), value(0.0, 1.0)
    assert dice < 0 < ce
    assert value(2.0, 3.0) == pytest.approx(2 * dice + 3 * ce)


def test_the_optimizer_is_built_from_these_attributes(make_trainer):
    trainer = make_trainer()
    trainer.network = torch.nn.Linear(2, 2)
    trainer.initial_lr, trainer.weight_decay, trainer.num_epochs = 0.5, 0.25, 7
    optimizer, schedule = trainer.configure_optimizers()
    assert isinstance(optimizer, torch.optim.SGD)
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.5, 0.25)
    assert isinstance(schedule, PolyLRScheduler)
    assert (schedule.max_steps, schedule.exponent) == (7, 0.9)


@pytest.mark.parametrize(("exponent", "constant"), [(0.0, True), (0.9, False)])
@pytest.mark.filterwarnings("ignore:Detected call of")  # the scheduler steps before the optimizer
def test_exponent_0_keeps_the_learning_rate(exponent, constant):
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), 0.1)
    schedule = PolyLRScheduler(optimizer, 0.1, 10, exponent)
    rates = []
    for epoch in range(10):
        schedule.step(epoch)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(0.1)
    assert (rates == [0.1] * 10) == constant
    assert rates == sorted(rates, reverse=True)
