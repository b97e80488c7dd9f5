"""SPIDER's files: names, layouts, table, and files that do not match."""

import shutil

import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.spider import Options, convert
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.making import tree

pytestmark = pytest.mark.usefixtures("no_picture")


def run(source, raw, **options):
    return convert(source, raw, 670, options=Options(**options))


def test_archives_that_are_not_unpacked(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "images.zip").write_bytes(b"PK")
    with pytest.raises(DatasetError, match=r"no volumes in images/ .*; unpack images.zip"):
        run(tmp_path / "src", tmp_path / "raw")
    with pytest.raises(DatasetError, match=r"images.zip: is a file; unpack it if it is an archive"):
        run(tmp_path / "src" / "images.zip", tmp_path / "raw")
    with pytest.raises(DatasetError, match=r"no such folder; pass the folder that holds images/"):
        run(tmp_path / "nowhere", tmp_path / "raw")


def test_two_layouts_at_once_stop(spider_copy, tmp_path):
    shutil.copytree(spider_copy / "images", spider_copy / "images" / "images")
    with pytest.raises(DatasetError, match="both hold volumes; keep one"):
        run(spider_copy, tmp_path)


def test_folders_and_endings_in_capitals(spider_copy, tmp_path):
    (spider_copy / "images").rename(spider_copy / "Images")
    path = spider_copy / "Images" / "1_t1.mha"
    path.rename(path.with_name("1_T1.MHA"))
    report = run(spider_copy, tmp_path / "raw")
    assert "1_t1" in report.cases
    assert not report.test


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("9_t3.mha", "9_t3.mha: not a file name of this dataset"),
        ("01_T2.mha", r"01_T2.mha and 1_t2.mha denote the same image; keep one"),
        ("300_t2.mha", r"1_t2.mha and .*300_t2.mha hold the same image; remove one"),
    ],
)
def test_misleading_names(spider_copy, tmp_path, name, message):
    for folder in ("images", "masks"):
        source = spider_copy / folder / "1_t2.mha"
        (source.parent / name).write_bytes(source.read_bytes())
    with pytest.raises(DatasetError, match=message):
        run(spider_copy, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
    report = run(spider_copy, tmp_path / "raw", keep_going=True)
    assert report.problems
    assert "2_t2" in report.cases
    assert not {"9_t3", "300_t2"} & report.cases


def as_mhd(source, *names):
    for folder in ("images", "masks"):
        for name in names:
            path = source / folder / f"{name}.mha"
            sitk.WriteImage(sitk.ReadImage(str(path)), str(path.with_suffix(".mhd")))
            path.unlink()


def test_headers_with_data_files_give_the_same_cases(spider, spider_copy, tmp_path):
    others = shutil.ignore_patterns("4_*", "5_*")
    run(shutil.copytree(spider[0], tmp_path / "mha", ignore=others), tmp_path / "one")
    as_mhd(spider_copy, "1_t1", "1_t2")
    report = run(spider_copy, tmp_path / "two")
    assert report.problems == ()
    one, two = (tree(tmp_path / raw / "Dataset670_SPIDER") for raw in ("one", "two"))
    assert {k: v for k, v in one.items() if k.endswith(".gz")} == {
        k: v for k, v in two.items() if k.endswith(".gz")
    }
    before = report.skipped
    raw = spider_copy / "masks" / "1_t1.raw"
    content = bytearray(raw.read_bytes())
    content[content.index(1)] = 2
    raw.write_bytes(content)
    again = run(spider_copy, tmp_path / "two")
    assert (again.written, before) == (1, 0)  # the digest covers the data file


def test_data_files_that_are_missing_or_without_a_header_stop(spider_copy, tmp_path):
    as_mhd(spider_copy, "1_t1", "1_t2")
    (spider_copy / "images" / "1_t1.raw").unlink()
    (spider_copy / "masks" / "1_t2.mhd").unlink()
    with pytest.raises(DatasetError) as error:
        run(spider_copy, tmp_path / "raw")
    assert "images/1_t1.mhd: its values are in 1_t1.raw, which is missing" in str(error.value)
    (spider_copy / "images" / "1_t1.mhd").unlink()
    (spider_copy / "masks" / "1_t1.mhd").unlink()
    with pytest.raises(DatasetError) as error:
        run(spider_copy, tmp_path / "raw")
    assert "masks/1_t2.raw: this format is not read" in str(error.value)


@pytest.mark.parametrize(
    "name", ["1_t1.gipl", "1_t1.zip", "1_t1.mha (1)", "1_t1.npy", "1_t1.mha.part"]
)
def test_masks_in_an_unsupported_format_stop(spider_copy, tmp_path, name):
    path = spider_copy / "masks" / "1_t1.mha"
    path.rename(path.with_name(name))
    with pytest.raises(DatasetError) as error:
        run(spider_copy, tmp_path / "raw")
    assert f"masks/{name}: this format is not read; convert it" in str(error.value)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_lengths_in_another_unit_stop(spider_copy, tmp_path, factor):
    for folder in ("images", "masks"):
        path = str(spider_copy / folder / "1_t1.mha")
        image = sitk.ReadImage(path)
        image.SetSpacing([mm * factor for mm in image.GetSpacing()])
        sitk.WriteImage(image, path)
    with pytest.raises(DatasetError, match=r"1_t1.mha: spacing .* are its lengths in another unit"):
        run(spider_copy, tmp_path / "raw")


def test_swapped_masks_of_two_patients_stop(spider_copy, tmp_path):
    one, two = (spider_copy / "masks" / f"{number}_t1.mha" for number in (1, 2))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    message = r"(?s)2 problems.*1_t1.mha: the mask is not aligned with its image"
    with pytest.raises(DatasetError, match=message):
        run(spider_copy, tmp_path / "raw")


def test_head_and_feet_exchanged_in_both_headers_stop(spider_copy, tmp_path):
    for folder in ("images", "masks"):
        path = str(spider_copy / folder / "1_t2.mha")
        image = sitk.ReadImage(path)
        x, y, z = (image.GetDirection()[i] for i in (0, 4, 8))
        image.SetDirection([x, 0, 0, 0, -y, 0, 0, 0, -z])
        sitk.WriteImage(image, path, True)
    with pytest.raises(DatasetError, match=r"1_t2.mha: label 2 is \d+ mm below label 1"):
        run(spider_copy, tmp_path / "raw")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.replace("training", "exercise", 1), "subset 'exercise'"),
        (lambda t: t.replace("subset", "part", 1), "columns new_file_name and subset are required"),
        (
            lambda t: t + t.splitlines()[1].replace("training", "validation") + "\n",
            "1_t1 has two subsets",
        ),
        (lambda t: t.replace("1_t1,", "one,", 1), "series 'one'"),
    ],
)
def test_an_invalid_table_stops(spider_copy, tmp_path, edit, message):
    table = spider_copy / "overview.csv"
    table.write_text(edit(table.read_text()))
    with pytest.raises(DatasetError, match=message):
        run(spider_copy, tmp_path / "raw")


def test_blanks_and_a_byte_order_mark_in_the_table(spider, tmp_path):
    source = shutil.copytree(spider[0], tmp_path / "src")
    table = source / "overview.csv"
    text = table.read_text()
    assert "F ," in text
    table.write_text("\ufeff" + text.replace("validation", " validation "), encoding="utf-8")
    assert run(source, tmp_path / "raw", test="val").test == {"5_t1", "5_t2"}


def test_without_the_table_only_the_own_subsets_are_missing(spider_copy, tmp_path):
    (spider_copy / "overview.csv").unlink()
    assert any("no overview.csv" in note for note in run(spider_copy, tmp_path / "raw").notes)
    with pytest.raises(DatasetError, match="have no subset in the dataset"):
        run(spider_copy, tmp_path / "raw", split="own")
