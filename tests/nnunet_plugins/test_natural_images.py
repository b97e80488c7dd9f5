"""Natural images: which files are read as what, and which are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from nnunet_plugins.errors import UserError
from nnunet_plugins.image_files import (
    check_channels,
    find_channels,
    is_flat,
    read_channels,
    stored_orientation,
)
from nnunet_plugins.natural_images import labels_of, read_natural, spacing_file, write_natural

LABELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("ending", ["png", "PNG", "bmp", "tif", "tiff"])
def test_grey_values_are_the_labels(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(LABELS).save(path)
    found = read_natural(path)
    np.testing.assert_array_equal(labels_of(found), LABELS)
    assert found.spacing is None
    assert stored_orientation(path) == ""


def test_nnunet_reads_the_same(tmp_path: Path) -> None:
    from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
    from nnunetv2.imageio.tif_reader_writer import Tiff3DIO

    colours = np.random.default_rng(0).integers(0, 255, (5, 6, 3)).astype(np.uint8)
    write_natural(tmp_path / "a.png", [*np.moveaxis(colours, -1, 0)])
    theirs, _ = NaturalImage2DIO().read_images((str(tmp_path / "a.png"),))
    np.testing.assert_array_equal(theirs[:, 0], np.array(read_natural(tmp_path / "a.png").channels))
    volume = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    write_natural(tmp_path / "b_0000.tif", [volume])
    (tmp_path / "b.json").write_text('{"spacing": [3, 1, 0.5]}')
    theirs, about = Tiff3DIO().read_images((str(tmp_path / "b_0000.tif"),))
    ours = read_natural(tmp_path / "b_0000.tif")
    np.testing.assert_array_equal(theirs[0], ours.values)
    assert ours.spacing == tuple(about["spacing"]) == (3, 1, 0.5)
    Tiff3DIO().write_seg((volume > 0).astype(np.uint8), str(tmp_path / "c.tif"), about)
    assert read_natural(tmp_path / "c.tif").spacing == (3, 1, 0.5)
    np.testing.assert_array_equal(read_natural(tmp_path / "c.tif").values, volume > 0)


def test_masks_of_one_and_sixteen_bits(tmp_path: Path) -> None:
    Image.fromarray(LABELS > 5).save(tmp_path / "a.png")
    np.testing.assert_array_equal(labels_of(read_natural(tmp_path / "a.png")), LABELS > 5)
    write_natural(tmp_path / "b.png", [LABELS.astype(np.uint16) * 100])
    np.testing.assert_array_equal(read_natural(tmp_path / "b.png").values, LABELS * np.uint16(100))


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "LA", "P"])
def test_a_label_map_with_colours_is_an_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(LABELS).convert(kind).save(path)
    with pytest.raises(
        UserError, match=r"a\.png: has colours .*; a label map is a greyscale image"
    ):
        labels_of(read_natural(path))


def test_the_numbers_of_a_palette_are_saved_as_the_message_says(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image = Image.fromarray(LABELS, mode=None).convert("P")
    image.putdata(LABELS.ravel().tolist())
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255] * 4)
    image.save(path)
    with pytest.raises(UserError, match="has colours"):
        labels_of(read_natural(path))
    Image.fromarray(np.array(Image.open(path))).save(path)
    np.testing.assert_array_equal(labels_of(read_natural(path)), LABELS)


def test_damaged_files_and_spacings_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    (tmp_path / "a.tif").write_bytes(b"II*\0rest")
    for name in ("a.png", "a.tif"):
        with pytest.raises(UserError, match=rf"{name}: cannot be read"):
            read_natural(tmp_path / name)
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((2, 5, 6), np.uint8))
    for content in ('{"spacing": [1, 1]}', '{"spacing": [1, 0, 1]}', '{"spacing": "x"}', "{}", "x"):
        (tmp_path / "b.json").write_text(content)
        with pytest.raises(UserError, match=r"b\.json: .*spacing"):
            read_natural(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((2, 2, 5, 6), np.uint8))
    with pytest.raises(UserError, match=r"c\.tif: has the shape \(2, 2, 5, 6\)"):
        read_natural(tmp_path / "c.tif")


def test_the_channels_of_a_case_may_be_in_one_file(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / "a_0000.png")
    assert find_channels("a", tmp_path, ".png", 3) == [tmp_path / "a_0000.png"]
    assert len(read_channels(tmp_path / "a_0000.png")) == 3
    check_channels([tmp_path / "a_0000.png"], 3)
    with pytest.raises(UserError, match="the case has 3 channels in 1 files; the model needs 4"):
        check_channels([tmp_path / "a_0000.png"], 4)
    Image.fromarray(np.zeros((4, 3), np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(
        UserError, match=r"have the shapes \(3, 4\), .*, \(4, 3\); all need the same"
    ):
        check_channels([tmp_path / "a_0000.png", tmp_path / "b.png"], 4)
    assert not is_flat(tmp_path / "b.nii.gz")


def test_the_spacing_of_a_case_is_found_for_its_channels_and_labels(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"spacing": [1, 1, 1]}))
    assert (
        spacing_file(tmp_path / "a_0001.tif")
        == spacing_file(tmp_path / "a.tif")
        == tmp_path / "a.json"
    )
    assert spacing_file(tmp_path / "b.tif") is None
    assert spacing_file(tmp_path / "a.png") is None
