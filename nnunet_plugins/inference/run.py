"""Predict many cases: check everything first, then one worker, and an account of every case."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_plugins import __version__
from nnunet_plugins.atomic_files import placed
from nnunet_plugins.errors import UserError
from nnunet_plugins.inference.cases import Case, find_cases
from nnunet_plugins.inference.forecast import available_memory, forecast, lines
from nnunet_plugins.inference.setting import Setting
from nnunet_plugins.inference.worker import Ready, Result, work
from nnunet_plugins.model_orientation import notes_on
from nnunet_plugins.natural_images import is_natural
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.prediction.model import Model

RECORD = "nnunet_plugins_predict.json"


@dataclass(frozen=True)
class Run:
    """A prediction that has been checked.

    Attributes:
        model: the model folder.
        setting: how it is predicted.
        output: folder of the label maps.
        cases: to predict.
        done: number of cases that an earlier run has predicted.
        notes: what the user must know.
        sources: name of every case -> its first file, or the folder of its series.
    """

    model: Model
    setting: Setting
    output: Path
    cases: tuple[Case, ...]
    done: int = 0
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)


def prepare(model: Model, place: Path, output: Path, setting: Setting, *, resume: bool = False) -> Run:  # fmt: skip
    """Find the cases and check the options; nothing is written.

    Args:
        model: from `prediction.find_model`.
        place: images or DICOM, as for `cases.find_cases`.
        output: folder of the label maps.
        setting: how it is predicted.
        resume: leave out the cases that are complete.

    Raises:
        UserError: an option that does not fit the model or the cases; a previous run with other options.
        DatasetError: a series that cannot be predicted.
    """
    if not 0 < setting.step_size <= 1:
        raise UserError(f"-step_size {setting.step_size:g}: expected more than 0 and at most 1")
    if output.resolve() == place.resolve():
        raise UserError(f"-o {output}: the folder of the images; choose another")
    cases, notes = find_cases(place, model)
    series = [case for case in cases if case.dicom is not None]
    extra = setting.probabilities or setting.entropy
    if series and (extra or setting.previous):
        raise UserError(
            "--save_probabilities, --save_entropy and -prev_stage_predictions are for image files; convert "
            "the DICOM series first (nnunet-plugins convert --images-only)"
        )
    if setting.entropy and is_natural(Path(f"a{model.ending}")):
        raise UserError(
            f"--save_entropy: for models of volumes; this one reads {model.ending} images"
        )
    _check_cascade(model, cases, setting)
    if resume:
        _check_record(output / RECORD, _record(model, setting))
    todo = [case for case in cases if not (resume and _complete(case, model, output, setting))]
    images = [path for case in cases for path in case.images]
    notes += notes_on(images, model.orientation, model.folder)
    sources = {case.name: str(case.source.absolute()) for case in cases}
    return Run(model, setting, output, tuple(todo), len(cases) - len(todo), tuple(notes), sources)


def predict_all(run: Run, tell: Callable[[str], None]) -> Iterator[Result]:
    """Predict the cases of a run; a case that fails or ends the worker does not stop the others.

    Args:
        run: from `prepare`.
        tell: receives the forecast.

    Raises:
        UserError: the model cannot be loaded, or the folder cannot be written.
    """
    if not run.cases:
        return
    _write_settings(run)
    answers = work(run.model, run.setting, run.cases, run.output)
    for answer in answers:
        if isinstance(answer, Ready):
            for line in _forecast(run, answer):
                tell(line)
        else:
            yield answer


def _forecast(run: Run, ready: Ready) -> list[str]:
    found = [
        one for case in run.cases
        if (one := forecast(case, run.model, run.setting, ready.plan))
    ]  # fmt: skip
    return lines(found, ready, run.setting, available_memory())


def _check_cascade(model: Model, cases: Sequence[Case], setting: Setting) -> None:
    """Check that the previous stage has a label map for every case; the worker checks the model."""
    if setting.previous is None:
        return
    missing = [
        case.name for case in cases
        if not (setting.previous / f"{case.name}{model.ending}").is_file()
    ]  # fmt: skip
    if missing:
        raise UserError(
            f"-prev_stage_predictions {setting.previous}: no label map of {', '.join(missing[:5])}; predict them "
            "with the model of the previous stage first"
        )


def _complete(case: Case, model: Model, output: Path, setting: Setting) -> bool:
    """Whether a case has all its files: each appears complete, and the label map last."""
    names = [f"{case.name}{model.ending}"]
    names += [f"{case.name}.npz", f"{case.name}.pkl"] if setting.probabilities else []
    names += [f"{case.name}_entropy{model.ending}"] if setting.entropy else []
    return all((output / name).is_file() for name in names)


def _record(model: Model, setting: Setting) -> dict[str, Any]:
    """What decides the label maps; without paths."""
    return {
        "format": "nnunet-plugins predict",
        "computed_with": {"nnunet-plugins": __version__},
        "model": model.folder.absolute().name,
        "folds": list(model.folds),
        "checkpoint": model.checkpoint,
        "mirroring": setting.mirroring,
        "step_size": setting.step_size,
    }


def _check_record(path: Path, now: dict[str, Any]) -> None:
    """Check that a run is continued with the options that it was begun with."""
    if not path.is_file():
        return
    before = read_object(path)
    changed = [key for key in now if key != "computed_with" and before.get(key) != now[key]]
    if changed:
        shown = ", ".join(f"{key} {before.get(key)!r}, now {now[key]!r}" for key in changed)
        raise UserError(
            f"--continue_prediction: {path.parent} was begun with other options ({shown}); use the same, or choose "
            "another folder with -o"
        )


def _write_settings(run: Run) -> None:
    """Write the options, and the plans and dataset.json that nnU-Net's postprocessing and ensembling read."""
    with placed(run.output / RECORD) as path:
        path.write_text(json.dumps(_record(run.model, run.setting), indent=2), encoding="utf-8")
    for name in ("plans.json", "dataset.json"):
        with placed(run.output / name) as path:
            shutil.copyfile(run.model.folder / name, path)
