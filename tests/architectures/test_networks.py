"""The public networks; network_tester has the tests that run on each."""

from __future__ import annotations

from architectures.aspp_unet import ASPPUNet
from architectures.attention_unet_25d import AttentionUNet25D
from architectures.deeplab import DeepLabV3, DeepLabV3Plus
from architectures.inception_dual_unet import InceptionDualUNet
from architectures.mag_unet import MAGUNet
from architectures.mednext import MedNeXt
from architectures.modular_unet import ModularUNet
from architectures.nnunet_networks import ResEncL, ResEncM, ResEncXL, nnUNetPlain
from architectures.se_unet import SEUNet
from architectures.segnet import SegNet
from architectures.unetr import UNETR
from architectures.unets import AttentionUNet, ResUNet, TransUNet, UNet
from architectures.vnet import VNet
from nnunet_plugins.networks import NETWORKS

from .network_tester import NetworkTester


class TestModularUNet(NetworkTester):
    network = ModularUNet


class TestNnUNetPlain(NetworkTester):
    network = nnUNetPlain
    padded = False


class TestResEncM(NetworkTester):
    network = ResEncM
    padded = False


class TestSEUNet(NetworkTester):
    network = SEUNet


class TestMAGUNet(NetworkTester):
    network = MAGUNet


class TestAttentionUNet25D(NetworkTester):
    network = AttentionUNet25D


class TestInceptionDualUNet(NetworkTester):
    network = InceptionDualUNet


class TestASPPUNet(NetworkTester):
    network = ASPPUNet


class TestUNet(NetworkTester):
    network = UNet


class TestVNet(NetworkTester):
    network = VNet
    options = {"features_per_stage": [4, 8, 16]}


class TestResUNet(NetworkTester):
    network = ResUNet


class TestAttentionUNet(NetworkTester):
    network = AttentionUNet


class TestTransUNet(NetworkTester):
    network = TransUNet
    options = {"bottleneck_kwargs": {"depth": 2}}


class TestMedNeXt(NetworkTester):
    network = MedNeXt


class TestSegNet(NetworkTester):
    network = SegNet
    options = {"features_per_stage": [4, 8, 16]}
    not_traced = "torch's max-unpooling rejects the sizes in a trace (torch 2.15)"


class TestUNETR(NetworkTester):
    network = UNETR
    options = {"hidden_size": 48, "mlp_dim": 96, "num_heads": 4}


class TestDeepLabV3(NetworkTester):
    network = DeepLabV3
    options = {"backbone": "resnet18", "output_stride": 32}
    scale = 8


class TestDeepLabV3Plus(NetworkTester):
    network = DeepLabV3Plus
    options = {"backbone": "resnet18", "output_stride": 32}
    scale = 8


def test_every_public_network_is_tested_here() -> None:
    tested = {cls.network for cls in NetworkTester.__subclasses__()}
    assert tested | {ResEncL, ResEncXL} == set(NETWORKS.values())
