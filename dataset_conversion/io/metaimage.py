"""Read MetaImage: .mha, the format of SPIDER, and .mhd, a header with its values in a second file.

ITK's reader returns wrong voxels for a compressed file with a flipped bit, and a badly damaged header
crashes it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np
from isal import isal_zlib

from dataset_conversion.errors import DatasetError

_HEAD = 1 << 16  # bytes within which the header must end
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4",
    "MET_UINT": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_SAME = {"origin": "offset", "position": "offset", "rotation": "transformmatrix",
         "orientation": "transformmatrix", "elementbyteordermsb": "binarydatabyteordermsb"}  # fmt: skip


@dataclass(frozen=True)
class MetaHeader:
    """The content of a header.

    Attributes:
        size: voxels along x, y, z.
        matrix: 4 x 4, from index to LPS mm.
        dtype: of the stored values.
        channels: values per voxel.
        packed: whether the values are compressed.
        start: offset of the values in bytes; -1 if they are the end of a file of their own.
        fields: all header fields as text.
        data: file of the values; None if they follow the header.
        lost: why the header gives no orientation; empty if it gives one.
    """

    size: tuple[int, ...]
    matrix: np.ndarray
    dtype: np.dtype
    channels: int
    packed: bool
    start: int
    fields: dict[str, str]
    data: Path | None = None
    lost: str = ""

    @property
    def bytes(self) -> int:
        """Length of the uncompressed values in bytes."""
        count = self.channels * self.dtype.itemsize
        for n in self.size:
            count *= n
        return count


def not_a_volume(path: Path, size: Sequence[int]) -> str:
    """Return the message for a size that is not that of a 3D volume."""
    shown = "x".join(map(str, size))
    if min(size, default=0) < 1:
        return f"{path}: size {shown}; export the volume again"
    if len(size) < 3:
        return f"{path}: {len(size)}D ({shown}); a 3D volume is required: export the entire stack"
    return (
        f"{path}: {len(size)}D ({shown}), not 3D; 4D: choose volume k and save it as a separate file, or "
        "save a mask with one label per volume as .nii.gz"
    )


def read_meta_header(path: Path, ranks: Sequence[int] = (3,)) -> MetaHeader:
    """Read a header.

    The values are in the same file (ElementDataFile = LOCAL), or in one other file in the folder of
    the header or below it.

    Args:
        path: the file.
        ranks: accepted numbers of axes.

    Raises:
        DatasetError: it is invalid, has another number of axes, or the values are in several files or
            outside the folder.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    end = re.search(rb"(?im)^ElementDataFile[ \t]*=[ \t]*(.*?)[ \t\r]*(?:\n|\Z)", head)
    if end is None or not (end[0].endswith(b"\n") or path.suffix.lower() == ".mhd"):
        raise DatasetError(f"{path}: its MetaImage header is truncated or damaged; copy it again")
    fields: dict[str, str] = {}
    for line in head[: end.end()].decode("latin-1").splitlines():
        name, _, value = line.partition("=")
        key = name.strip().lower()
        fields[_SAME.get(key, key)] = value.strip()
    try:
        named = end[1].decode("utf-8")
        local = named.upper() == "LOCAL"
        data = None if local else _data_file(path, named)
        return _header(path, fields, end.end() if local else _skipped(fields), data, ranks)
    except DatasetError:
        raise
    except (KeyError, ValueError, OverflowError) as error:
        raise DatasetError(
            f"{path}: its MetaImage header is invalid ({str(error)[:80]}); copy or export it again"
        ) from error


def read_meta_values(path: Path, header: MetaHeader) -> np.ndarray:
    """Read the values: (z, y, x), or (z, y, x, channel) if there are several channels.

    Raises:
        DatasetError: fewer or more bytes than the header states, a wrong checksum, or a missing
            data file.
        OSError: the file cannot be read.
    """
    content = _content(path, header)
    if header.packed:
        unpack = isal_zlib.decompressobj(
            31 if content[:2] == b"\x1f\x8b" else 15
        )  # gzip or zlib format
        try:
            # zlib compresses a thousandfold at most: a header that states more is damaged.
            content = unpack.decompress(content, min(header.bytes, 1100 * len(content)) + 1)
            complete = unpack.eof and len(content) == header.bytes
        except isal_zlib.error:  # type: ignore[misc]
            complete = False
    else:
        complete = len(content) >= header.bytes
        content = content[: header.bytes]
    if not complete:
        raise DatasetError(
            f"{header.data or path}: is truncated or damaged; copy or export it again"
        )
    shape = header.size[::-1] + ((header.channels,) if header.channels > 1 else ())
    values = np.frombuffer(content, header.dtype).reshape(shape)
    return values.astype(header.dtype.newbyteorder("="), copy=False)


def check_data_file(path: Path, data: Path) -> None:
    """Reject a header whose data file is missing."""
    if not data.is_file():
        raise DatasetError(
            f"{path}: its values are in {data.name}, which is missing; copy it into the folder of the header, "
            "under this name"
        )


def _content(path: Path, header: MetaHeader) -> bytes:
    """Return the stored values; a data file of its own holds nothing else."""
    if header.data is None:
        with path.open("rb") as stream:
            stream.seek(header.start)
            return stream.read()
    check_data_file(path, header.data)
    content = header.data.read_bytes()
    if header.packed:
        return content[max(header.start, 0) :]
    start = len(content) - header.bytes if header.start == -1 else header.start
    if start < 0 or len(content) - start != header.bytes:
        raise DatasetError(
            f"{header.data}: {len(content) - max(start, 0)} bytes of values, but its header {path.name} states "
            f"{header.bytes}; copy or export both again"
        )
    return content[start:]


def _skipped(fields: dict[str, str]) -> int:
    """Return the bytes before the values in a file of their own; -1: the values are its end."""
    skipped = int(fields.get("headersize", "0"))
    if skipped < -1:
        raise ValueError(f"HeaderSize {skipped}")
    return skipped


def _data_file(path: Path, named: str) -> Path:
    """Return the file of the values."""
    if named.upper().split()[:1] == ["LIST"] or "%" in named:
        raise DatasetError(
            f"{path}: its values are in several files (ElementDataFile = {named}); save it as one .mha or "
            ".nii.gz file"
        )
    parts = PureWindowsPath(named)  # knows drives and both slashes
    if not named or parts.drive or parts.root or ".." in parts.parts:
        raise DatasetError(
            f"{path}: ElementDataFile = {named!r} is not in the folder of the header; copy the data file there "
            "and enter its name without a folder"
        )
    return path.parent.joinpath(*parts.parts)


def _header(
    path: Path, fields: dict[str, str], start: int, data: Path | None, ranks: Sequence[int]
) -> MetaHeader:
    rank = int(fields["ndims"])
    size = tuple(int(text) for text in fields["dimsize"].split())
    if len(size) != rank or min(size) < 1:
        raise ValueError(f"NDims {rank}, DimSize {fields['dimsize']}")
    if rank not in ranks:
        raise DatasetError(not_a_volume(path, size))
    if fields.get("binarydata", "True").lower() != "true":
        raise DatasetError(f"{path}: stores its values as text; save it as .nii.gz")
    kind = fields["elementtype"]
    if kind not in _TYPES:
        raise ValueError(f"ElementType {kind}")
    big = fields.get("binarydatabyteordermsb", "False").lower() == "true"
    spacing = np.array(_numbers(fields, "elementspacing", np.ones(rank)))
    # A row of the file's matrix is the direction of one axis: a column of the affine.
    direction = np.reshape(_numbers(fields, "transformmatrix", np.eye(rank)), (rank, rank)).T
    matrix = np.eye(4)
    matrix[:rank, :rank] = direction * spacing
    matrix[:rank, 3] = _numbers(fields, "offset", np.zeros(rank))
    channels = int(fields.get("elementnumberofchannels", "1"))
    if channels < 1 or (data is None and _skipped(fields) > 0):
        raise ValueError(
            f"ElementNumberOfChannels {channels}, HeaderSize {fields.get('headersize')}"
        )
    return MetaHeader(
        size=size,
        matrix=matrix,
        dtype=np.dtype(_TYPES[kind]).newbyteorder(">" if big else "<"),
        channels=channels,
        packed=fields.get("compresseddata", "False").lower() == "true",
        start=start,
        fields=fields,
        data=data,
        lost=""
        if "transformmatrix" in fields
        else "its header has no orientation (no TransformMatrix)",
    )


def _numbers(fields: dict[str, str], name: str, default: np.ndarray) -> list[float]:
    """Return the numbers of a field, as many as the default has."""
    found = [float(part) for part in fields[name].split()] if name in fields else [*default.flat]
    if len(found) != default.size or not np.isfinite(found).all():
        raise ValueError(f"expected {default.size} numbers, not {fields[name]!r}")
    return found
