"""Plans, dataset.json, labels.json and scores.json of any content: a result or one clear message, no traceback."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_conversion.phantoms.sij_ct import write_patients
from nnunet_plugins.api import convert
from tests.contract import making
from tests.fuzzing import confirm_clear, hostile, mutations, run

QUICK = settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(QUICK, max_examples=150)
Try = Callable[[str], list[tuple[int, str]]]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with two patients, its raw dataset, plans, and scores of predictions."""
    root = tmp_path_factory.mktemp("fuzz")
    write_patients(root / "source", 2)
    report = convert(
        "hospital-ct",
        root / "source",
        660,
        raw_root=root / "raw",
        labels=str(root / "source" / "labels.json"),
    )
    labels = report.dataset / "labelsTr"
    run("evaluate", labels, labels, "-o", root / "scores.json", "-j", 1)
    (root / "plans").mkdir()
    (root / "plans" / "dataset.json").write_text(json.dumps(making.DATASET))
    (root / "plans" / "good.json").write_text(json.dumps(PLANS))
    return root


PLANS = making.plans()
PLANS["configurations"] = {
    "2d": making.configuration(2, training={"epochs": 2, "optimizer": "Adam", "loss": {"dice": 1}}),
    "mine": {"inherits_from": "2d", "batch_size": 1},
}


def of_plans(places: Path) -> tuple[Any, Try]:
    folder = places / "plans"
    path = folder / "plans.json"

    def attempt(text: str) -> list[tuple[int, str]]:
        path.write_text(text)
        return [
            run("profile", path, "--gpu", "RTX3090"),
            run("draw", path, "-o", places / "network.svg"),
            run("plan-diff", folder / "good.json", path),
        ]

    return PLANS, attempt


def of_dataset(places: Path) -> tuple[Any, Try]:
    raw = places / "raw" / "Dataset660_SacroiliacCT"
    labels, plans = raw / "labelsTr", places / "with_dataset"
    plans.mkdir(exist_ok=True)
    (plans / "P.json").write_text(json.dumps(PLANS))
    document = json.loads((raw / "dataset.json").read_text())

    def attempt(text: str) -> list[tuple[int, str]]:
        (plans / "dataset.json").write_text(text)
        said = [
            run("profile", plans / "P.json", "-c", "2d", "--gpu", "RTX3090"),
            run("evaluate", labels, labels, "-djfile", plans / "dataset.json", "-j", 1),
        ]
        (raw / "dataset.json").write_text(text)
        try:
            return [*said, run("check", raw, "-j", 1)]
        finally:
            (raw / "dataset.json").write_text(json.dumps(document))

    return document, attempt


def of_labels(places: Path) -> tuple[Any, Try]:
    path = places / "labels.json"
    options = ("-d", 661, "-o", places / "raw", "--labels", path, "--dry-run")

    def attempt(text: str) -> list[tuple[int, str]]:
        path.write_text(text)
        return [run("convert", "hospital-ct", places / "source", *options)]

    return json.loads((places / "source" / "labels.json").read_text()), attempt


def of_scores(places: Path) -> tuple[Any, Try]:
    path = places / "changed.json"

    def attempt(text: str) -> list[tuple[int, str]]:
        path.write_text(text)
        return [
            run("compare", places / "scores.json", path, "-o", places / "table.csv"),
            run("compare", path, places / "scores.json", "-o", places / "table.json"),
        ]

    return json.loads((places / "scores.json").read_text()), attempt


TARGETS = {"plans": of_plans, "dataset": of_dataset, "labels": of_labels, "scores": of_scores}


def check(places: Path, target: str, how: settings) -> None:
    document, attempt = TARGETS[target](places)

    @how
    @given(text=mutations(document))
    def one(text: str) -> None:
        for status, said in attempt(text):
            confirm_clear(status, said)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one()


@pytest.mark.parametrize("target", TARGETS)
def test_a_changed_file_gives_a_result_or_a_message(places: Path, target: str) -> None:
    check(places, target, QUICK)


@pytest.mark.parametrize("target", TARGETS)
def test_the_unchanged_file_is_accepted(places: Path, target: str) -> None:
    document, attempt = TARGETS[target](places)
    assert [status for status, _ in attempt(json.dumps(document))] in ([0], [0, 0], [0, 0, 0])


@pytest.mark.integration
@pytest.mark.parametrize("target", TARGETS)
def test_many_changed_files(places: Path, target: str) -> None:
    check(places, target, LONG)


@pytest.mark.integration
@pytest.mark.parametrize("target", TARGETS)
def test_deep_long_and_huge_values(places: Path, target: str) -> None:
    document, attempt = TARGETS[target](places)
    for name, text in hostile(document):
        for status, said in attempt(text):
            assert status in (0, 1, 2), name
            confirm_clear(status, said)


def test_examples_of_each_kind_are_made() -> None:
    document = {"a": {"b": [1, 2]}}
    found: set[str] = set()

    @settings(QUICK, max_examples=60)
    @given(text=mutations(document), _=st.none())
    def collect(text: str, _: None) -> None:
        found.add(text)

    collect()
    assert len(found) > 20
    assert any("b" not in text for text in found)
