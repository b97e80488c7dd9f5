import numpy as np
from SimpleITK import WriteImage

from dataset_conversion.raw_format.preview import MOST_ROWS, Row, choose, colour, draw
from dataset_conversion.raw_format.preview_planes import middle
from tests.dataset_conversion.making import ct, image, labels


def row(folder, name, mask=True):
    WriteImage(image(ct()), str(folder / f"{name}.nii.gz"))
    WriteImage(image(labels()), str(folder / f"{name}_m.nii.gz"))
    return Row(name, folder / f"{name}.nii.gz", folder / f"{name}_m.nii.gz" if mask else None)


def test_at_most_24_rows_evenly_chosen(tmp_path):
    rows = [Row(f"{i}", tmp_path, None) for i in range(100)]
    chosen = choose(rows)
    assert len(chosen) == MOST_ROWS
    assert (chosen[0], chosen[-1]) == (rows[0], rows[-1])
    gaps = np.diff([int(r.name) for r in chosen])
    assert gaps.max() - gaps.min() <= 1
    assert choose(rows[:5]) == rows[:5]


def test_the_planes_go_through_the_foreground():
    mask = np.zeros((10, 20, 30), np.uint8)
    mask[2:5, 4:7, 20:27] = 3
    assert middle(mask, mask.shape) == (3, 5, 23)
    assert middle(None, (10, 20, 30)) == (5, 10, 15)
    mask[2:5, 4:6, 1:5] = 1  # on the other side: the centre (x 17) is between them
    at = middle(mask, mask.shape)
    assert at == (3, 5, 20)  # the first of the planes that show the most


def test_the_picture_is_deterministic_and_shows_the_labels(tmp_path):
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    rows = [row(tmp_path, "a"), row(tmp_path, "b", mask=False)]
    names = {1: "sacrum", 2: "left ilium"}
    pictures = []
    for file in ("one.png", "two.png"):
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        draw(tmp_path / file, rows, names, "Dataset007_Try", (-450, 1050), scratch)
        pictures.append((tmp_path / file).read_bytes())
    assert pictures[0] == pictures[1]
    pixels = imread(tmp_path / "one.png")[..., :3]
    for value in names:
        near = np.abs(pixels - to_rgb(colour([1, 2], value))).max(-1) < 0.02
        assert near.sum() > 50  # at least its mark in the legend


def test_left_is_drawn_on_the_viewer_s_right(tmp_path):
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    array = np.zeros((6, 40, 40), np.uint8)
    array[2:4, 15:25, 30:36] = 1  # high x: the patient's left
    array[2:4, 15:25, 4:10] = 2
    body = np.full(array.shape, 200, np.int16)
    WriteImage(image(body), str(tmp_path / "i.nii.gz"))
    WriteImage(image(array), str(tmp_path / "m.nii.gz"))
    (tmp_path / "s").mkdir()
    one = Row("a", tmp_path / "i.nii.gz", tmp_path / "m.nii.gz")
    draw(tmp_path / "p.png", [one], {1: "l", 2: "r"}, "t", (-450, 1050), tmp_path / "s")
    pixels = imread(tmp_path / "p.png")[..., :3]
    axial = pixels[: int(pixels.shape[0] * 0.85), : pixels.shape[1] // 3]
    place = {}
    for value in (1, 2):
        # The outline covers grey bone with 90 % opacity.
        mixed = 0.9 * np.array(to_rgb(colour([1, 2], value))) + 0.1 * (650 / 1500)
        place[value] = np.nonzero(np.abs(axial - mixed).max(-1) < 0.06)[1].mean()
    assert place[1] > place[2]


def test_values_without_a_range_do_not_divide_by_zero(tmp_path):
    WriteImage(image(np.zeros((6, 12, 14), np.int16)), str(tmp_path / "i.nii.gz"))
    (tmp_path / "s").mkdir()
    with np.errstate(all="raise"):
        draw(tmp_path / "p.png", [Row("a", tmp_path / "i.nii.gz", None)], {1: "x"}, "t", None,
             tmp_path / "s")  # fmt: skip
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_three_single_slices_share_a_line(tmp_path):
    from matplotlib.image import imread

    (tmp_path / "s").mkdir()
    rows = [row(tmp_path, f"c{number}") for number in range(6)]
    draw(tmp_path / "whole.png", rows, {1: "l", 2: "r"}, "t", None, tmp_path / "s")
    flat = []
    for number in range(6):
        for kind, array in (("i", ct(number)), ("m", labels())):
            WriteImage(image(array[:, :, 5:6]), str(tmp_path / f"{kind}{number}.nii.gz"))
        flat.append(
            Row(f"c{number}", tmp_path / f"i{number}.nii.gz", tmp_path / f"m{number}.nii.gz")
        )
    draw(tmp_path / "flat.png", flat, {1: "l", 2: "r"}, "t", None, tmp_path / "s")
    tall, low = (imread(tmp_path / f"{name}.png").shape[0] for name in ("whole", "flat"))
    assert low < 0.6 * tall


def test_twenty_labels_have_different_colours():
    values = list(range(1, 21))
    assert len({colour(values, value) for value in values}) == 20
