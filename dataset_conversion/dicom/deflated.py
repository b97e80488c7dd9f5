"""DICOM files that are compressed as a whole (Deflated Explicit VR Little Endian): how much they unpack to."""

from __future__ import annotations

import io
import math
import zlib
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dataset_conversion.dicom.elements import value
from dataset_conversion.io.promised_size import most_bytes, too_much

_HEADER = 1 << 24  # bytes that a header has at most
_META = 2048  # bytes within which the transfer syntax is stated
_BLOCK = 1 << 18


def check_deflated(path: Path) -> None:
    """Reject a file that unpacks to more than its header promises; pydicom and GDCM unpack it into memory.

    Files of other transfer syntaxes pass.

    Raises:
        DatasetError: it unpacks to more.
        Exception: anything that pydicom raises for damaged bytes.
    """
    with path.open("rb") as stream:
        start = stream.read(_META)
        if start[128:132] != b"DICM" or DeflatedExplicitVRLittleEndian.encode() not in start:
            return
        meta = pydicom.filereader.read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
            return
        stream.seek(132 + 12 + int(meta.FileMetaInformationGroupLength))
        unpack = zlib.decompressobj(-zlib.MAX_WBITS)
        start = unpack.decompress(stream.read(_BLOCK), _HEADER)
        most = most_bytes(_promised(meta, start)) + _HEADER
        if _exceeds(stream, unpack, len(start), most):
            raise too_much(path, most)


def _promised(meta: pydicom.dataset.FileMetaDataset, start: bytes) -> int:
    """Return the bytes of the pixels by the first bytes of the unpacked file."""
    plain = DicomBytesIO()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    write_file_meta_info(plain, meta, enforce_standard=False)
    whole = io.BytesIO(bytes(128) + b"DICM" + plain.getvalue() + start)
    header: FileDataset = pydicom.dcmread(whole, stop_before_pixels=True, force=True)
    numbers = (("Rows", 0), ("Columns", 0), ("SamplesPerPixel", 1), ("NumberOfFrames", 1))
    count = math.prod(int(value(header, name, usual) or usual) for name, usual in numbers)
    return count * int(value(header, "BitsAllocated", 16) or 16) // 8


def _exceeds(stream: BinaryIO, unpack: zlib._Decompress, count: int, most: int) -> bool:
    """Return whether the rest unpacks to more; nothing is kept in memory."""
    block = unpack.unconsumed_tail
    while not unpack.eof:
        block = block or stream.read(_BLOCK)
        if not block:
            return False
        count += len(unpack.decompress(block, 1 << 22))
        if count > most:
            return True
        block = unpack.unconsumed_tail
    return False
