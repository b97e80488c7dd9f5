"""A conversion killed with SIGKILL at any step: no unfinished dataset is visible, and the next run
writes the same bytes as an uninterrupted one.

The process kills itself before its n-th access to the target folder, so a test hits the same steps every
time.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.phantoms.sij_ct import write_patients
from tests.dataset_conversion import killing
from tests.dataset_conversion.making import SMALL, tree

NAME = "Dataset660_SacroiliacCT"
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")


class Source:
    """Patients, and what an uninterrupted run writes."""

    def __init__(self, folder: Path, count: int, **options: object) -> None:
        self.patients, self.options = folder / "patients", options
        write_patients(self.patients, count, with_masks=count - 1, **SMALL)  # type: ignore[arg-type]
        self.convert(folder / "complete")
        self.tree = tree(folder / "complete")
        self.dataset = tree(folder / "complete" / NAME)

    def convert(self, raw: Path, **options: object) -> None:
        options = {**self.options, **options, "labels": self.patients / "labels.json"}
        convert(self.patients, raw, 660, options=Options(**options))  # type: ignore[arg-type]

    def killed(self, *runs: tuple[Path, int]) -> list[list[str] | None]:
        """Convert to each folder and kill before event n; return None, or all events if it ended."""
        done = subprocess.run(
            [sys.executable, killing.__file__, self.patients, json.dumps(self.options),
             *[str(part) for one in runs for part in one]], check=True, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )  # fmt: skip
        result: list[list[str] | None] = json.loads(done.stdout)
        return result

    def events(self, raw: Path) -> list[str]:
        (events,) = self.killed((raw, 0))
        assert events
        return events


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return Source(tmp_path_factory.mktemp("killed"), 3, split="7:3", jobs=2)


def check_killed(source, tmp_path, points):
    """Kill one run per point; the next run completes each of them."""
    folders = [tmp_path / f"raw{point}" for point in points]
    assert not any(source.killed(*zip(folders, points, strict=True)))
    for raw in folders:
        if (raw / NAME).exists():
            assert tree(raw / NAME) == source.dataset
        source.convert(raw)
        assert tree(raw) == source.tree, raw.name
    return folders


def test_killed_at_the_start_on_the_way_and_at_the_end(source, tmp_path):
    last = len(source.events(tmp_path / "counted"))
    check_killed(source, tmp_path, [1, last // 3, 2 * last // 3, last - 1, last])


def test_killed_again_and_again_in_one_folder(source, tmp_path):
    """Each run gets further, and none obstructs the next."""
    raw, last = tmp_path / "raw", len(source.events(tmp_path / "counted"))
    assert source.killed((raw, last // 3), (raw, last // 3)) == [None, None]
    assert not (raw / NAME).exists()
    source.convert(raw)
    assert tree(raw) == source.tree


def test_killed_while_a_finished_dataset_is_brought_up_to_date(source, tmp_path):
    """The old dataset stays complete until the new one replaces it."""
    source.convert(tmp_path / "old", window=(-200, 600))
    old = tree(tmp_path / "old" / NAME)
    shutil.copytree(tmp_path / "old", tmp_path / "counted")
    events = source.events(tmp_path / "counted")
    away, back = [n for n, name in enumerate(events, 1) if name == "os.rename"][-2:]
    states = {len(events) // 2: old, away: old, back: None, back + 1: source.dataset,
              len(events): source.dataset}  # fmt: skip
    for point in states:
        shutil.copytree(tmp_path / "old", tmp_path / f"raw{point}")
    assert not any(source.killed(*((tmp_path / f"raw{point}", point) for point in states)))
    for point, expected in states.items():
        raw = tmp_path / f"raw{point}"
        assert (tree(raw / NAME) if (raw / NAME).exists() else None) == expected, point
        source.convert(raw)
        assert tree(raw) == source.tree, point


@pytest.mark.integration
def test_killed_at_every_third_step(tmp_path):
    source = Source(tmp_path / "source", 5, jobs=2)
    last = len(source.events(tmp_path / "counted"))
    check_killed(source, tmp_path, range(1, last + 1, 3))


class Images(Source):
    """Patients whose images alone are converted."""

    def __init__(self, folder: Path) -> None:
        self.patients, self.options = folder / "patients", {"images_only": True}
        write_patients(self.patients, 2, **SMALL)


def test_images_alone_are_complete_or_absent(tmp_path):
    source = Images(tmp_path)
    for name in ("complete", "counted"):
        (tmp_path / name).mkdir()
    source.convert(tmp_path / "complete" / "images")
    images = tree(tmp_path / "complete" / "images")
    assert len(images) == 2
    last = len(source.events(tmp_path / "counted" / "images"))
    points = [1, last // 2, last - 1, last]
    folders = [tmp_path / f"killed{point}" / "images" for point in points]
    for folder in folders:
        folder.parent.mkdir()
    assert not any(source.killed(*zip(folders, points, strict=True)))
    assert not folders[1].exists()
    for folder in folders:
        if folder.exists():
            assert tree(folder) == images
        else:
            source.convert(folder)
        assert tree(folder) == images
        assert {path.name for path in folder.parent.iterdir()} <= {"images", ".images.lock"}
