"""Every converter and scheme, with other axes, voxels and rotations: each voxel keeps its position.

The phantoms' anatomy is a formula in world coordinates. Files are stored again with their axes in
another order (image and mask each in its own), stretched and turned; the formula follows.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.registry import converter
from dataset_conversion.phantoms.catalogue import WRITERS
from tests.dataset_conversion.world import check_labels, check_values, orientation, stored

pytestmark = pytest.mark.usefixtures("no_picture")

SPINE = tuple(range(1, 26))
DISCS = tuple(range(201, 226))
REVERSED = np.arange(256)
REVERSED[2:7] = 5, 4, 3, 2, 1  # L5 to L1
REVERSED[[1, *range(7, 20)]] = 0

# dataset, options, the source's value -> nnU-Net's
SCHEMES = {
    "spider binary": ("spider", {"scheme": "binary"}, dict.fromkeys((*SPINE, 100, *DISCS), 1)),
    "spider four": (
        "spider", {"scheme": "four"},
        {**dict.fromkeys(SPINE, 1), 100: 2, **dict.fromkeys(DISCS, 3)},
    ),
    "spider instances": (
        "spider", {"scheme": "instances"},
        {**{v: v for v in range(1, 10)}, 100: 10, **{200 + v: 10 + v for v in range(1, 10)}},
    ),
    "csig all": ("csig", {"scheme": "all"}, {v: v for v in range(1, 20)}),
    "csig aspp": ("csig", {"scheme": "aspp", "crop": 464}, {v: v for v in range(1, 9)}),
    "csig reversed": ("csig", {"scheme": "reversed"}, {v: v for v in range(1, 6)}),
    "hospital-ct": ("hospital-ct", {"keep_names": True}, {1: 1, 2: 2, 3: 3}),
    "sij-mri": ("sij-mri", {"keep_names": True}, {1: 1}),
    "verse levels": ("verse", {}, {**{v: v for v in range(1, 26)}, 28: 26}),
    "verse binary": ("verse", {"scheme": "binary"}, dict.fromkeys((*range(1, 26), 28), 1)),
    "ctpelvic1k": ("ctpelvic1k", {}, {v: v for v in range(1, 5)}),
    "pengwin": (
        "pengwin", {},
        {**dict.fromkeys(range(1, 11), 1), **dict.fromkeys(range(11, 21), 2),
         **dict.fromkeys(range(21, 31), 3)},
    ),
    "nnunet": ("nnunet", {}, {1: 1, 2: 2, 3: 3}),
    "decathlon": ("decathlon", {}, {1: 1, 2: 2, 3: 3}),
    "sij-mri slices first": ("sij-mri", {"keep_names": True, "slices_first": True}, {1: 1}),
    "csig aspp slices first": (
        "csig", {"scheme": "aspp", "crop": 464, "slices_first": True}, {v: v for v in range(1, 9)},
    ),
}  # fmt: skip

CODES = {"sij-mri slices first": "LIP", "csig aspp slices first": "PIR"}

# image's axes, mask's axes, how much longer, radians about x, y, z
STORED = [
    ("RAS", "LPS", 1.0, (0.0, 0.0, 0.0)),
    ("PIR", "SAL", 0.71, (0.2, -0.1, 0.15)),
    ("ILA", "RPI", 1.37, (-0.15, 0.12, 0.3)),
]


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """One patient of each dataset; read only."""
    folder = tmp_path_factory.mktemp("world")
    return folder, {name: WRITERS[name](folder / name, 1) for name in WRITERS}


def store(values, matrix, code, path):
    """Write values (x, y, z) at an affine (LPS mm), the axes in a code's order."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    sitk.WriteImage(sitk.DICOMOrient(image, code), str(path), True)


@pytest.mark.parametrize("how", STORED, ids=lambda how: f"{how[0]} {how[2]}")
@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_every_voxel_keeps_its_position(phantoms, tmp_path, scheme, how):
    dataset, options, table = SCHEMES[scheme]
    codes, scale, angles = how[:2], how[2], how[3]
    turned = np.reshape(sitk.Euler3DTransform((0, 0, 0), *angles).GetMatrix(), (3, 3)) * scale
    source = tmp_path / "src"
    shutil.copytree(phantoms[0] / dataset, source)
    for truth in phantoms[1][dataset]:
        for kind, code in zip(("image", "mask"), codes, strict=True):
            old = getattr(truth, kind)
            values, matrix = stored(old)
            if scheme == "csig reversed" and kind == "mask":
                values = REVERSED[values].astype(np.uint8)
            if kind == "image":
                values = values.astype(np.int16)
            path = source / old.relative_to(phantoms[0] / dataset)
            if path.is_dir():  # a series becomes a volume; its slices have one order
                shutil.rmtree(path)
                path = path.with_name("volume.nii.gz")
            matrix = np.vstack([turned @ matrix[:3], [0, 0, 0, 1]])
            store(values, matrix, code, path)
    one = converter(dataset)
    if dataset == "hospital-ct":
        options = {**options, "labels": source / "labels.json"}
    folder = one.convert(source, tmp_path / "raw", 675, options=one.options(**options)).dataset
    for truth in phantoms[1][dataset]:
        name = truth.name.lower() if dataset == "csig" else truth.name
        back = np.linalg.inv(turned)

        def known(points, truth=truth, back=back):
            found = truth.labels(points @ back.T)
            return REVERSED[found] if scheme == "csig reversed" else found

        mask = folder / "labelsTr" / f"{name}.nii.gz"
        image = folder / "imagesTr" / f"{name}_0000.nii.gz"
        assert check_labels(mask, known, table) > 100
        at = source / truth.image.relative_to(phantoms[0] / dataset)
        at = at.with_name("volume.nii.gz") if truth.image.is_dir() else at
        check_values(image, at, (lambda v: v * (v != -1000)) if dataset == "spider" else None)
        assert orientation(image) == orientation(mask) == CODES.get(scheme, "LPS")
