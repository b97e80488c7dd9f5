"""nnU-Net's numbers of worker processes, compared with cores and memory."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from nnunet_plugins.doctor.finding import Environ, Finding

GIB = 1024**3
WORKER_MEMORY = 2 * GIB
DEFAULT_WORKERS = {"nnUNet_def_n_proc": 8, "nnUNet_n_proc_DA": 12}  # nnU-Net's, when unset


def check_workers(environ: Environ) -> list[Finding]:
    """nnU-Net's numbers of workers are valid, and cores and memory suffice for them."""
    return [_workers(name, environ.get(name)) for name in DEFAULT_WORKERS]


def _workers(name: str, value: str | None) -> Finding:
    cores, memory = cpu_cores(), memory_bytes()
    most = cores if memory is None else max(1, min(cores, memory // WORKER_MEMORY))
    fix = f"export {name}={most}"
    try:
        number = DEFAULT_WORKERS[name] if value is None else int(value)
    except ValueError:
        return Finding("broken", name, f"is {value!r}; allowed: integers from 1", fix)
    if number < 1:
        detail = f"is {number}: "
        if name == "nnUNet_n_proc_DA" and number == 0:
            detail += "training works without workers, but planning crashes on 0"
        else:
            detail += "allowed: integers from 1"
        return Finding("broken", name, detail, fix)
    if name == "nnUNet_n_proc_DA":
        number = min(number, os.cpu_count() or number)  # as nnU-Net does
    detail = f"{number} worker{'' if number == 1 else 's'}" + (
        " (nnU-Net's default)" if value is None else ""
    )
    if number > cores:
        return Finding("warning", name, f"{detail} on {cores} cores", fix)
    if number > most and memory is not None:
        detail += f" at about 2 GB each, in {memory / GIB:.0f} GB of memory"
        return Finding("warning", name, detail, fix)
    return Finding("ok", name, detail)


def cpu_cores() -> int:
    """Return the number of cores that this process may use; in a container, its share if the system reports it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Return the memory in bytes that this process may use, or None if the system does not report it."""
    return min(_memory_limits(), default=None)


def _memory_limits() -> Iterator[int]:
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _text(path).strip()
        if text.isdigit():  # "max" without a limit
            yield int(text)
    total = re.search(r"^MemTotal:\s*(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    if total:
        yield int(total[1]) * 1024
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:  # macOS
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
