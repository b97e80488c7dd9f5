"""STL: closed, outward normals, right position, and the mask's volume."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
import trimesh

from dataset_conversion.io.geometry import place
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.mesh import HEADER, TOLERANCE, outside, surface, write_stl
from nnunet_plugins.export.outside import farthest_outside
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


SPACINGS = [(3.0, 0.5, 0.5), (4.0, 0.7, 0.7), (3.3, 0.8, 0.8), (0.6, 3.0, 0.6), (1.0, 1.0, 1.0)]


def disc(radius, spacing, slices=1):
    """A disc of a radius in mm, in slices across the axis of the largest spacing."""
    axis = int(np.argmax(spacing))
    flat = [size for here, size in enumerate(spacing) if here != axis]
    y, x = np.indices([2 * int(radius / size) + 5 for size in flat])
    inside = sum(
        ((one - (one.shape[here] - 1) / 2) * flat[here]) ** 2 for here, one in enumerate((y, x))
    )
    return np.pad(np.stack([inside <= radius**2] * slices, axis), 1)


@pytest.mark.parametrize("rounds", [0, 10])
@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
@pytest.mark.parametrize(
    ("radius", "slices"), [(0.1, 1), (0.1, 2), (1.0, 1), (2.0, 1), (4.0, 1), (4.0, 2)]
)
def test_thin_structures_do_not_swell(spacing, radius, slices, rounds):
    mask, matrix = disc(radius, spacing, slices), np.diag([*spacing[::-1], 1.0])
    mesh = surface(mask, matrix, rounds)
    used = np.argwhere(mask)
    low, high = (used.min(0) - 0.5) * spacing, (used.max(0) + 0.5) * spacing
    points = mesh.vertices[:, ::-1]
    beyond = max((low - points.min(0)).max(), (points.max(0) - high).max())
    assert beyond <= min(spacing) / 2
    assert outside(mesh, mask, matrix) <= min(spacing) / 2
    assert mesh.volume == pytest.approx(mask.sum() * np.prod(spacing), rel=TOLERANCE)
    assert mesh.is_watertight


def test_thin_parts_do_not_change_the_surface_of_thick_ones():
    both = ball()
    both[14, 1:5, 1:5] = True  # a lesion in one slice, in a corner
    both[1, 33, 2] = True
    matrix = grid("PIR", 30)
    alone, mesh = surface(ball(), matrix), surface(both, matrix)
    parts = sorted(mesh.split(), key=lambda part: part.volume)
    assert [part.is_watertight for part in parts] == [True] * 3
    assert [part.volume for part in parts] == pytest.approx(
        [VOXEL, 16 * VOXEL, ball().sum() * VOXEL], rel=TOLERANCE
    )
    np.testing.assert_allclose(
        np.sort(parts[-1].vertices, axis=0), np.sort(alone.vertices, axis=0), atol=1e-4
    )
    middle = np.argwhere(both & ~ball() & (np.arange(16) == 14)[:, None, None]).mean(0)[::-1]
    np.testing.assert_allclose(
        parts[1].center_mass, matrix[:3, :3] @ middle + matrix[:3, 3], atol=0.05
    )


def test_many_thin_parts_are_meshed(monkeypatch):
    monkeypatch.setattr("nnunet_plugins.export.mesh._MOST_PARTS", 3)
    mask = np.zeros((4, 20, 20), bool)
    mask[1::2, 1::3, 1::3] = True
    mesh = surface(mask, np.diag([0.5, 0.5, 3.0, 1.0]))
    assert len(mesh.split()) == mask.sum()
    assert mesh.volume == pytest.approx(mask.sum() * 0.75, rel=TOLERANCE)


def test_the_header_states_how_far_the_surface_is_outside_of_the_voxels(tmp_path):
    mask, matrix = ball(), grid("LPS")
    write_stl(tmp_path / "a.stl", mask, place(mask.astype(np.uint8), matrix))
    header = (tmp_path / "a.stl").read_bytes()[:80].decode()
    far = outside(surface(mask, matrix), mask, matrix)
    assert header.strip() == f"{HEADER.decode()}, at most {far:.2f} mm outside of voxels"
    assert 0.05 < far < 0.6


def test_the_distance_outside_of_voxels():
    mask = np.zeros((3, 4, 5), bool)
    mask[1, 1, 1] = mask[1, 1, 2] = True
    edges = np.array([3.0, 1.0, 0.5])
    for point, distance in (
        ((1.5, 1.5, 2.5), 0),
        ((1.6, 1.0, 1.5), 0.3),
        ((1.0, 1.8, 2.9), np.hypot(0.3, 0.2)),
        ((2.9, 1, 1), 3.0),  # more than a voxel away
        ((0.3, -0.4, 1), np.hypot(0.2 * 3, 0.9)),
    ):
        assert farthest_outside(np.array([point]), mask, edges) == pytest.approx(distance), point
    assert farthest_outside(np.zeros((0, 3)), mask, edges) == 0


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
