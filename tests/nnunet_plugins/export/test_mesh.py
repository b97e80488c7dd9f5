"""STL: closed, outward normals, right position, and the mask's volume."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
import trimesh

from dataset_conversion.io.geometry import place
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.mesh import HEADER, TOLERANCE, surface, write_stl
from nnunet_plugins.export.run import Request, export

from .exporting import blocks, grid, write_labels

VOXEL = 0.8 * 1.1 * 2.5


def ball(shape=(16, 36, 40), radius=12.0):
    """A ball in mm on voxels of 0.8 x 1.1 x 2.5 mm."""
    z, y, x = np.indices(shape)
    middle = [(n - 1) / 2 for n in shape]
    far = ((x - middle[2]) * 0.8) ** 2 + ((y - middle[1]) * 1.1) ** 2 + ((z - middle[0]) * 2.5) ** 2
    return far <= radius**2


def single(shape=(3, 3, 3)):
    mask = np.zeros(shape, bool)
    mask[1, 1, 1] = True
    return mask


SHAPES = {
    "ball": ball(),
    "one voxel": single(),
    "plate": np.pad(np.ones((1, 8, 8), bool), 1),
    "rod": np.pad(np.ones((6, 1, 1), bool), 1),
    "full": np.ones((4, 5, 6), bool),
    "two": np.concatenate([ball(), ball()], axis=2),
    "hollow": ball() & ~np.pad(ball()[4:-4, 6:-6, 6:-6], ((4, 4), (6, 6), (6, 6))),
    "corners": np.pad(np.indices((4, 4, 4)).sum(0) % 2 == 0, 1),
    "block": blocks() == 2,
    "noise": np.random.default_rng(0).random((12, 14, 16)) < 0.4,
}


@pytest.mark.parametrize("rounds", [0, 10])
@pytest.mark.parametrize("shape", SHAPES)
def test_surfaces_are_closed_point_outwards_and_have_the_masks_volume(shape, rounds):
    mask = SHAPES[shape]
    mesh = surface(mask, grid("LPS", 30), rounds)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(mask.sum() * VOXEL, rel=TOLERANCE)  # positive: outwards


@pytest.mark.parametrize("seed", range(3))
def test_surfaces_of_noise_are_closed_after_reading(tmp_path, seed):
    mask = np.random.default_rng(seed).random((10, 12, 12)) < 0.3 + 0.2 * seed
    volume = write_stl(tmp_path / "a.stl", mask, place(mask.astype(np.uint8), np.eye(4)))
    assert volume == pytest.approx(mask.sum(), rel=TOLERANCE)


@pytest.mark.parametrize("shape", ["corners", "block", "one voxel"])
def test_a_surface_encloses_its_mask(shape):
    mask, matrix = SHAPES[shape], grid("PIR", 15)
    mesh = surface(mask, matrix, 4)
    middle = np.argwhere(mask).mean(0)[::-1]
    np.testing.assert_allclose(mesh.center_mass, matrix[:3, :3] @ middle + matrix[:3, 3], atol=0.05)


@pytest.mark.parametrize("code", ["LPS", "RPS", "PIR", "LSA", "AIL"])  # left- and right-handed
def test_points_and_voxels_have_the_same_position(tmp_path, code):
    mask, matrix = ball(), grid(code, 15)
    target = tmp_path / "ball.stl"
    volume = write_stl(target, mask, place(mask.astype(np.uint8), matrix))
    found = trimesh.load_mesh(target)
    assert found.volume == pytest.approx(volume)
    middle = matrix[:3, :3] @ ((np.array(mask.shape[::-1]) - 1) / 2) + matrix[:3, 3]
    np.testing.assert_allclose(found.center_mass, middle, atol=0.02)
    # Every normal of a ball points away from its centre, every point is a radius away.
    away = found.triangles_center - middle
    assert (np.einsum("ij,ij->i", found.face_normals, away) > 0).mean() > 0.999
    assert np.abs(np.linalg.norm(found.vertices - middle, axis=1) - 12).max() < 1.5
    assert list(tmp_path.iterdir()) == [target]


def test_smoothing_reduces_curvature():
    rough, smooth = (surface(ball(), grid("LPS"), rounds) for rounds in (0, 10))

    def bend(mesh):
        return np.abs(mesh.face_adjacency_angles).mean()

    def uneven(mesh):
        return np.linalg.norm(mesh.vertices - mesh.center_mass, axis=1).std()

    assert bend(smooth) < 0.85 * bend(rough)
    assert uneven(smooth) < 0.85 * uneven(rough)


def test_the_header_states_lps_and_the_rest_is_plain_stl(tmp_path):
    target = tmp_path / "a.stl"
    mask = blocks() == 1
    write_stl(target, mask, place(mask.astype(np.uint8), grid("LPS")))
    content = target.read_bytes()
    assert content.startswith(HEADER)
    assert HEADER.startswith(b"SPACE=LPS")
    count = int.from_bytes(content[80:84], "little")
    assert len(content) == 84 + 50 * count  # a triangle takes 50 bytes
    triangles = np.frombuffer(
        content[84:], np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    )
    v = triangles["v"].astype(float)
    # The divergence theorem by hand.
    assert np.einsum("ij,ij->i", v[:, 0], np.cross(v[:, 1], v[:, 2])).sum() / 6 == pytest.approx(
        mask.sum() * VOXEL, rel=TOLERANCE
    )


def test_a_broken_file_is_not_kept(tmp_path, monkeypatch):
    real = trimesh.exchange.stl.export_stl

    def lossy(mesh):
        mesh.update_faces(np.arange(len(mesh.faces)) > 3)
        return real(mesh)

    monkeypatch.setattr(trimesh.exchange.stl, "export_stl", lossy)
    with pytest.raises(UserError, match="the surface is not closed"):
        write_stl(tmp_path / "a.stl", ball(), place(ball().astype(np.uint8), grid("LPS")))
    assert list(tmp_path.iterdir()) == []


def test_one_file_per_label_with_voxels(tmp_path):
    labels = {"background": 0, "left ilium": 2, "Left/Ilium": 1, "spine": [1, 2, 3], "coccyx": 4}
    path = write_labels(tmp_path / "pred", "p1", place(blocks(), grid("LPS")), labels)
    (case,) = export(path, Request(("stl",), tmp_path / "out"))
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["p1_Left_Ilium_2.stl", "p1_left_ilium_1.stl", "p1_spine.stl"]
    assert "without a voxel: coccyx" in case.notes
    spine = trimesh.load_mesh(tmp_path / "out" / "p1_spine.stl")
    assert spine.volume == pytest.approx((blocks() > 0).sum() * VOXEL, rel=TOLERANCE)


def test_a_real_label_map(shared_data, tmp_path):
    source = shared_data / "derived" / "sij_ct"
    path = source / "example_ct_sij_labels.nii.gz"
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    names = tmp_path / "dataset.json"
    names.write_text(json.dumps({"labels": json.loads((source / "labels.json").read_text())}))
    (case,) = export(path, Request(("stl",), tmp_path / "out", dataset_json=names))
    assert len(case.files) == len(np.unique(array)) - 1
    voxel = np.prod(image.GetSpacing())
    for file, value in zip(case.files, (v for v in range(1, 9) if (array == v).any()), strict=True):
        mesh = trimesh.load_mesh(file)
        assert mesh.is_watertight
        assert mesh.volume == pytest.approx((array == value).sum() * voxel, rel=TOLERANCE)
        index = np.argwhere(array == value).mean(0)[::-1]
        np.testing.assert_allclose(
            mesh.center_mass, image.TransformContinuousIndexToPhysicalPoint(index), atol=0.5
        )
