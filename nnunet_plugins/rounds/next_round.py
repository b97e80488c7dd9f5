"""The next round: train, predict every case out of fold, and export the cases for their readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dataset_conversion.errors import some
from nnunet_plugins.errors import UserError
from nnunet_plugins.optional_imports import need
from nnunet_plugins.rounds.dataset import write_dataset
from nnunet_plugins.rounds.folder import Rounds
from nnunet_plugins.rounds.for_readers import write_for_readers
from nnunet_plugins.rounds.proposals import collect
from nnunet_plugins.rounds.training import Training
from nnunet_plugins.study.locks import alone

PATIENCE = 30.0  # s; the last processes of a command that was killed end within three


def next_round(
    folder: Path, *, partial: bool = False, say: Callable[[str], None] = lambda _: None
) -> tuple[Rounds, int]:
    """Do what is left of the next round, or nothing if it is exported already and nothing was returned; return it.

    Killed at any moment and called again, it ends in the same result.

    Args:
        folder: of the rounds.
        partial: go on although not all cases of the last round were returned.
        say: receives the name of each step that begins.

    Raises:
        UserError: cases of the last round are missing, there is nothing to do, or a command failed.
    """
    rounds = Rounds.read(folder)
    with alone(rounds.lock, f"rounds {folder}", PATIENCE) as lock:
        number = rounds.current + 1
        if number > 1:
            returned = rounds.returned(number - 1)
            missing = sorted(set(rounds.export(number - 1)["cases"]) - set(returned))
            if missing and not returned and not rounds.has_begun(number):
                return rounds, number - 1
            if missing and not partial:
                raise UserError(
                    f"{folder}: round {number - 1}: not returned: {some(missing)}; "
                    "ingest them, or pass --partial to go on without them"
                )
        if rounds.settings.format == "seg.nrrd":
            need("slicerio", "export", ".seg.nrrd")
        write_dataset(rounds, number)
        rounds.round(number).mkdir(exist_ok=True)
        if rounds.trains(number):
            training = Training(rounds, number, lock, say)
            training.run()
            collect(training)
        write_for_readers(rounds, number)
        return rounds, number
