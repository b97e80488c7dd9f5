"""A process that predicts one case after the other; if it dies, the case and the reason are known.

The parent holds neither torch nor images, so that the kernel, when memory runs out, ends the worker.
"""

from __future__ import annotations

import multiprocessing
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.inference.cases import Case
from nnunet_plugins.inference.setting import Setting
from nnunet_plugins.prediction.model import Model
from nnunet_plugins.worker_lifetime import begin, ctrl_c_blocked

_EVENTS = Path("/sys/fs/cgroup/memory.events")
_VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        case: its name.
        seconds: from its images to its files.
        peak: largest resident memory of the worker so far, in bytes; 0 if unknown.
        note: a remark.
        failure: why it was not predicted; '' if it was.
    """

    case: str
    seconds: float
    peak: int = 0
    note: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Ready:
    """What the worker measured after it had loaded the model.

    Attributes:
        memory: its resident memory with the model, in bytes, after one window.
        window: seconds for the logits of one window, without mirroring, of one fold.
        passes: forward passes per window: folds and mirrored images.
        plan: its configuration in the plans.
    """

    memory: int
    window: float
    passes: int
    plan: dict[str, Any]


def work(
    model: Model, setting: Setting, cases: Sequence[Case], output: Path
) -> Iterator[Ready | Result]:
    """Predict the cases in a worker process; it is started again after it has died.

    Yields:
        `Ready` once, then one `Result` per case.

    Raises:
        UserError: the model cannot be loaded, or the process cannot start.
    """
    left, announced = list(cases), False
    while left:
        with _started(model, setting, output) as worker:
            first = worker.answer()
            if not isinstance(first, Ready):
                raise UserError(str(first))
            if not announced:
                yield first
                announced = True
            while left and worker.alive:
                case = left.pop(0)
                began = time.monotonic()
                answer = worker.answer(case)
                if not isinstance(answer, Result):
                    answer = Result(case.name, time.monotonic() - began, failure=str(answer))
                yield answer


class _started:  # noqa: N801 - used as a function
    """A worker process."""

    def __init__(self, model: Model, setting: Setting, output: Path) -> None:
        context = multiprocessing.get_context(
            "spawn"
        )  # a fork would copy the locks of torch's threads
        self.ours, theirs = context.Pipe()
        alive, self.lifetime = context.Pipe(duplex=False)
        self.killed, self.started = oom_kills(), context.Event()
        self.process = context.Process(
            target=_serve, args=(theirs, self.started, alive, model, setting, output)
        )
        with ctrl_c_blocked():
            self.process.start()
        theirs.close()
        alive.close()

    def __enter__(self) -> _started:
        return self

    def __exit__(self, *_: object) -> None:
        self.ours.close()
        self.lifetime.close()
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def answer(self, case: Case | None = None) -> Any:
        """The worker's answer to a case, or the reason of its death."""
        try:
            if case is not None:
                self.ours.send(case)
            wait([self.ours, self.process.sentinel])
            if self.ours.poll():
                return self.ours.recv()
        except (EOFError, OSError):
            pass
        self.process.join()
        return death(self.process.exitcode, oom_kills() - self.killed)


def death(status: int | None, oom: int) -> str:
    """Why a worker died.

    Args:
        status: exit code of its process; negative: the signal.
        oom: by how much the kernel's count of processes that it killed for memory has risen.

    >>> death(-9, 1)
    'the worker was killed by the kernel because memory ran out (oom_kill rose by 1)'
    """
    if oom > 0:
        return (
            f"the worker was killed by the kernel because memory ran out (oom_kill rose by {oom})"
        )
    if status == -signal.SIGKILL:
        return "the worker was killed (SIGKILL), most likely because memory ran out"
    if status is not None and status < 0:
        return f"the worker was ended by {signal.Signals(-status).name}"
    return f"the worker ended with status {status} before the case was done"


def oom_kills() -> int:
    """The kernel's count of processes killed for memory: of this cgroup, else of the machine; 0 if unknown."""
    for path in (_EVENTS, _VMSTAT):
        try:
            found = re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def _serve(pipe: Connection, started: Any, parent: Connection, model: Model, setting: Setting,
           output: Path) -> None:  # fmt: skip
    """Load the model, then predict the cases that arrive."""
    begin(started, parent)
    from dataset_conversion.errors import DatasetError
    from nnunet_plugins.inference.one_case import predict_one
    from nnunet_plugins.prediction.failures import failure_of

    try:
        predictor = setting.load(model)
        pipe.send(_measured(predictor))
    except (UserError, DatasetError) as error:
        pipe.send(str(error))
        return
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            return
        began, note, failure = time.monotonic(), "", ""
        try:
            note = predict_one(predictor, model, case, output, setting)
        except Exception as error:
            failure = failure_of(error)
        pipe.send(Result(case.name, time.monotonic() - began, peak_memory(), note, failure))


def _measured(predictor: Any) -> Ready:
    """Time a second window: the first one allocates."""
    import torch
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels

    patch = predictor.configuration_manager.patch_size
    channels = determine_num_input_channels(
        predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json
    )
    network = predictor.network.to(predictor.device).eval()
    with torch.inference_mode():
        window = torch.zeros(1, channels, *patch, device=predictor.device)
        for _ in range(2):
            began = time.monotonic()
            network(window).sum().item()
            seconds = time.monotonic() - began
    axes = (predictor.allowed_mirroring_axes if predictor.use_mirroring else None) or ()
    passes = len(predictor.list_of_parameters) * 2 ** len(axes)
    return Ready(peak_memory(), seconds, passes, predictor.configuration_manager.configuration)


def peak_memory() -> int:
    """Largest resident memory of this process so far in bytes; 0 where it is unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit
