"""One conversion of a dataset at a time: a lock on a hidden file next to the dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from dataset_conversion.errors import DatasetError, disk_error


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Prevent a second conversion of this dataset, by any process that sees the folder.

    The lock is the operating system's (flock), on `.NAME.lock` next to the dataset, so TMPDIR does not matter.
    It ends with the process; a file that a killed run leaves locks nothing. Machines that share the folder
    see each other's locks where the file system passes flock on: NFS 4, NFS 3 with lockd, CephFS, GPFS, Lustre
    mounted with `flock`; not Lustre with `localflock`, and not NFS with `nolock` or `local_lock`.

    Args:
        target: the dataset's folder, which may not exist yet.

    Raises:
        DatasetError: another conversion is running, or the disk has no locks.
        DiskError: the folder above is not writable.
    """
    parent = target.resolve().parent
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    path = parent / f".{target.name}.lock"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, mode=0o666)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DatasetError(
            f"{target}: another conversion of this dataset is running; wait until it has finished"
        ) from error
    except NotImplementedError as error:
        raise DatasetError(
            f"{path}: cannot be locked, as the disk does not support locks; convert to a local folder with -o, "
            "then move the dataset"
        ) from error
    except OSError as error:
        raise disk_error(target, error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes it on release
            path.unlink()  # while it is held; filelock rejects a lock on a removed file
        lock.release()
        for folder in made:
            with suppress(OSError):  # holds something
                folder.rmdir()
