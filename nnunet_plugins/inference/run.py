"""Predict many cases: check everything first, then one worker, and an account of every case."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from dataset_conversion.errors import some
from nnunet_plugins.atomic_files import placed
from nnunet_plugins.errors import UserError
from nnunet_plugins.image_files import stored_orientation
from nnunet_plugins.inference.cases import Case, find_cases
from nnunet_plugins.inference.forecast import available_memory, forecast, lines
from nnunet_plugins.inference.setting import Setting
from nnunet_plugins.inference.worker import Ready, Result, work
from nnunet_plugins.model_orientation import notes_on
from nnunet_plugins.natural_images import is_natural, spacing_file
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.prediction.model import READERS, Model
from nnunet_plugins.prediction.record import Record, weights_of


@dataclass(frozen=True)
class Run:
    """A prediction that has been checked.

    Attributes:
        model: the model folder.
        setting: how it is predicted.
        record: of the folder of the label maps.
        cases: to predict.
        refused: cases that cannot be predicted.
        done: number of cases that an earlier run has predicted.
        notes: what the user must know.
        sources: name of every case -> its first file, or the folder of its series.
    """

    model: Model
    setting: Setting
    record: Record
    cases: tuple[Case, ...]
    refused: tuple[Result, ...] = ()
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
    if output.resolve() == (place.parent if place.is_file() else place).resolve():
        raise UserError(f"-o {output}: the folder of the images; choose another")
    found, notes = find_cases(place, model)
    cases = [case for case in found if not case.problem]
    refused = tuple(Result(case.name, 0.0, failure=case.problem) for case in found if case.problem)
    maps = setting.outputs.maps
    if maps and is_natural(Path(f"a{model.ending}")):
        raise UserError(
            f"--save_{maps[0]}: for models of volumes; this one reads {model.ending} images"
        )
    _check_reader(
        model, setting, turned=model.orientation is not None or any(c.dicom for c in cases)
    )
    if setting.outputs.disagreement and len(model.folds) < 2:
        raise UserError(
            f"--save_disagreement: compares folds, and only fold {model.folds[0]} is used; select several with -f"
        )
    _check_cascade(model, cases, setting)
    _check_targets(model, cases, output, setting)
    options = {**weights_of(model), "mirroring": setting.mirroring, "step_size": setting.step_size}
    record = Record.begun(output, options, resume=resume)
    todo = [
        case for case in cases
        if not record.complete(
            case.name, _inputs(case, model, setting), setting.outputs.files(case.name, model.ending)
        )
    ]  # fmt: skip
    if others := sorted(set(record.files) - {case.name for case in cases}):
        notes.append(f"{output}: label maps of an earlier run stay in this folder: {some(others)}")
    images = [path for case in cases for path in case.images if _readable(path)]
    notes += notes_on(images, model.orientation, model.folder)
    sources = {case.name: str(case.source.absolute()) for case in cases}
    done = len(cases) - len(todo)
    return Run(model, setting, record, tuple(todo), refused, done, tuple(notes), sources)


def predict_all(run: Run, tell: Callable[[str], None]) -> Iterator[Result]:
    """Predict the cases of a run; a case that fails or ends the worker does not stop the others.

    Args:
        run: from `prepare`.
        tell: receives the forecast.

    Raises:
        UserError: the model cannot be loaded, or the folder cannot be written.
    """
    yield from run.refused
    if not run.cases:
        return
    with run.record.held():
        yield from _predicted(run, tell)


def _predicted(run: Run, tell: Callable[[str], None]) -> Iterator[Result]:
    record, cases = run.record, {case.name: case for case in run.cases}
    for name in ("plans.json", "dataset.json"):  # for nnU-Net's postprocessing and ensembling
        with placed(record.folder / name) as path:
            shutil.copyfile(run.model.folder / name, path)
    for answer in work(run.model, run.setting, run.cases, record.folder):
        if isinstance(answer, Ready):
            for line in _forecast(run, answer):
                tell(line)
            continue
        if not answer.failure:
            inputs = _inputs(cases[answer.case], run.model, run.setting)
            names = run.setting.outputs.files(answer.case, run.model.ending)
            record = record.finished(answer.case, inputs, names)
        elif (record.folder / f"{answer.case}{run.model.ending}").exists():
            answer = replace(answer, note="its label map in the folder is of an earlier run")
        yield answer


def _forecast(run: Run, ready: Ready) -> list[str]:
    found = []
    for case in run.cases:
        with suppress(Exception):  # the case fails, and states why
            found.append(forecast(case, run.model, run.setting, ready.plan))
    return lines(found, ready, run.setting, available_memory())


def _readable(image: Path) -> bool:
    """Whether the header of an image can be read; otherwise its case fails, and the others are predicted."""
    try:
        stored_orientation(image)
    except UserError:
        return False
    return True


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


def _check_reader(model: Model, setting: Setting, *, turned: bool) -> None:
    """Check that values of voxels can be put on the image's grid: nnU-Net's readers that reorient hide their axes."""
    outputs = setting.outputs
    reader = str(read_object(model.folder / "plans.json").get("image_reader_writer", READERS[0]))
    if reader not in READERS and (outputs.maps or (outputs.probabilities and turned)):
        raise UserError(
            f"{model.folder}: reads images with {reader}, which changes the order of the voxels; maps and "
            f"probabilities can be written for {', '.join(READERS)}: omit --save_probabilities, --save_entropy and "
            "--save_disagreement"
        )


def _check_targets(model: Model, cases: Sequence[Case], output: Path, setting: Setting) -> None:
    """Check that no label map is overwritten, and no file is written twice."""
    if setting.previous is not None and setting.previous.resolve() == output.resolve():
        raise UserError(f"-o {output}: the label maps of the previous stage; choose another folder")
    setting.outputs.check_names((case.name for case in cases), model.ending)


def _inputs(case: Case, model: Model, setting: Setting) -> list[Path]:
    """What decides a label map besides the options; the name of a series states its content."""
    more = [setting.previous_of(case.name, model), *map(spacing_file, case.images)]
    return [*case.images, *filter(None, more)]
