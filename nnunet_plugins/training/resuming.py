"""What a training started with, compared when it is continued or validated.

nnU-Net stores plans, fold and dataset.json in every checkpoint, but loads one without comparing them: plans that
were edited since appear in log and model folder although the optimizer keeps the old values, and the checkpoint of
another fold has seen the validation cases of this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_conversion.io.atomic_files import digest_json
from dataset_conversion.labels import region_order
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import read_object, resolve

#: Our entry of a checkpoint's init_args.
ENTRY = "nnunet_plugins"
_MOST = 12  # differences that are listed
_LONG = 60  # characters of a value that are shown
#: Entries of plans that do not change a training.
_IGNORED = (
    "configurations",
    "continue_training",
    "experiment_planner_used",
    "memory",
    "save_every",
)
#: Entries of dataset.json that do.
_OF_DATASET = (
    "labels",
    "regions_class_order",
    "channel_names",
    "modality",
    "numTraining",
    "nnunet_plugins",
)


def check_same(started: Mapping[str, Any], now: Mapping[str, Any], checkpoint: str) -> None:
    """Raise UserError if a checkpoint is of another fold, configuration, plans or dataset.

    Args:
        started: init_args of the checkpoint.
        now: the trainer's arguments: plans, configuration, fold, dataset_json.
        checkpoint: its path, for the message.

    >>> plans = {"configurations": {"2d": {"training": {"weight_decay": 0.0}}}}
    >>> first = {"plans": plans, "configuration": "2d", "fold": 0, "dataset_json": {}}
    >>> check_same(first, {**first, "fold": 1}, "checkpoint_latest.pth")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: checkpoint_latest.pth: the training started as fold 0, not 1; ...
    """
    for key in ("fold", "configuration"):
        if key in started and started[key] != now[key]:
            raise UserError(
                f"{checkpoint}: the training started as {key} {started[key]}, not {now[key]}; move its folder back "
                "to where it was, or remove it and train without --c"
            )
    if "plans" not in started or "dataset_json" not in started:
        return  # not of nnU-Net v2, which reports it
    found = [*_of_plans(started, now), *_of_dataset(started, now)]
    if found:
        raise UserError(
            f"{checkpoint}: the training started with other values: {_listed(found)}. Restore "
            "them in the plans or the dataset to continue, or train without --c, which starts again"
        )


def check_folds(model: Path, fold: int | str, now: Mapping[str, Any]) -> None:
    """Raise UserError if other folds in a model folder were trained with other plans or another dataset.

    nnU-Net replaces the folder's plans.json, so plans that were made again under the same name would describe folds
    that were trained otherwise, and a prediction with all folds would mix them.

    Args:
        model: folder of the model in nnUNet_results.
        fold: the fold that starts.
        now: the trainer's arguments: plans, configuration, dataset_json.
    """
    others = sorted(
        {file.parent.name for file in model.glob("fold_*/checkpoint_*.pth")} - {f"fold_{fold}"}
    )
    files = {"plans": model / "plans.json", "dataset_json": model / "dataset.json"}
    if not others or not all(file.is_file() for file in files.values()):
        return
    started = {key: read_object(file) for key, file in files.items()}
    found = [*_of_plans(started, now), *_of_dataset(started, now)]
    if found:
        raise UserError(
            f"{model}: {', '.join(others)} there were trained with other values: {_listed(found)}. Train this fold "
            "with plans of another name (nnunet-plugins plan -p NAME), or move the folder away"
        )


def fold_record(train: Iterable[str], validation: Iterable[str]) -> dict[str, Any]:
    """Return digests of the cases of a fold, which hold no case names."""
    sides = {"training": sorted(map(str, train)), "validation": sorted(map(str, validation))}
    return {side: [len(cases), digest_json(cases)] for side, cases in sides.items()}


def check_fold(started: Any, now: Mapping[str, Any], fold: int | str, splits: Path) -> None:
    """Raise UserError if the cases of the fold are not those that the training started with.

    Args:
        started: from `fold_record` at the start; None for checkpoints without it.
        now: from `fold_record`.
        fold: the fold, for the message.
        splits: file with the folds, for the message.
    """
    if not isinstance(started, Mapping):
        return
    changed = [side for side in now if list(started.get(side, [])) != list(now[side])]
    if changed:
        raise UserError(
            f"{splits}: fold {fold} has other {' and '.join(changed)} cases than when the training started, so the "
            "validation would see cases of the training; restore the file, or train without --c, which starts again"
        )


def check_data(started: Any, now: str | None, data: Path) -> None:
    """Raise UserError if the preprocessed cases come from another version of the dataset than at the start.

    Args:
        started: what was recorded at the start; None without a record.
        now: what is recorded with the cases; None without a record.
        data: folder of the cases, for the message.
    """
    if started is not None and now is not None and started != now:
        raise UserError(
            f"{data}: the cases have been preprocessed from another version of the dataset since the training "
            "started; train without --c, which starts again"
        )


def _listed(differences: Sequence[str]) -> str:
    more = f"; and {len(differences) - _MOST} more" if len(differences) > _MOST else ""
    return "; ".join(differences[:_MOST]) + more


def _of_plans(started: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    first, second = (
        {**side.get("plans", {}), **resolve(side.get("plans", {}), now["configuration"])}
        for side in (started, now)
    )
    return _differences(first, second)


def _of_dataset(started: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    first, second = (
        {
            **{key: side["dataset_json"].get(key) for key in _OF_DATASET},
            "order of regions": region_order(side["dataset_json"].get("labels") or {}),
        }
        for side in (started, now)
    )
    return _differences(first, second, ("dataset.json",))


def _differences(first: Any, second: Any, path: Sequence[str] = ()) -> list[str]:
    """List the entries that differ, e.g. 'training.weight_decay 0.0, now 0.1'."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return [
            line
            for key in dict.fromkeys([*first, *second])
            if key not in _IGNORED
            for line in _differences(first.get(key), second.get(key), (*path, str(key)))
        ]
    if _plain(first) == _plain(second):
        return []
    return [f"{'.'.join(path)} {_short(first)}, now {_short(second)}"]


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _short(value: Any) -> str:
    text = "not set" if value is None else repr(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."
