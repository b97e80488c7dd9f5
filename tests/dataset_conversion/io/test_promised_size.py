"""A file is read up to the size that its header promises, and a promise must fit its file."""

import gzip
import re
import struct
import zlib

import numpy as np
import pytest

from dataset_conversion.errors import NO_MEMORY, DatasetError
from dataset_conversion.io import volumes
from dataset_conversion.io.volumes import read_header, read_volume, stored_values
from dataset_conversion.parallel import each
from tests.dataset_conversion.making import ct, nifti


def plain(tmp_path):
    return bytearray(gzip.decompress(nifti(tmp_path / "v.nii.gz", ct()).read_bytes()))


def bomb(path, start, megabytes=64):
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    with path.open("wb") as stream:
        stream.write(pack.compress(bytes(start)))
        for _ in range(megabytes):
            stream.write(pack.compress(bytes(1 << 20)))
        stream.write(pack.flush())
    return path


@pytest.mark.parametrize("name", ["v.nii.gz", "v.nii"])
def test_a_file_that_unpacks_to_more_is_refused(tmp_path, name):
    path = bomb(tmp_path / name, plain(tmp_path))
    with pytest.raises(DatasetError, match=r"unpacks to more than the \d+ bytes that its header"):
        read_volume(path)


def test_parts_count_together(tmp_path):
    path = nifti(tmp_path / "v.nii.gz", ct())
    whole = path.read_bytes()
    content = gzip.decompress(whole)
    path.write_bytes(gzip.compress(content[:1000]) + gzip.compress(content[1000:]))
    np.testing.assert_array_equal(read_volume(path).values, ct())
    path.write_bytes(whole + gzip.compress(bytes(1 << 22)))
    with pytest.raises(DatasetError, match="unpacks to more"):
        read_volume(path)


@pytest.mark.parametrize("name", ["v.nii.gz", "v.nii"])
@pytest.mark.parametrize("read", [read_header, read_volume, stored_values])
def test_a_nifti_header_that_promises_too_much_is_damaged(tmp_path, name, read):
    content = plain(tmp_path)
    struct.pack_into("<8h", content, 40, 3, 30000, 30000, 30000, 1, 1, 1, 1)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(
        DatasetError, match=r"truncated or damaged: its header promises 49\.1 TiB|98\.2 TiB"
    ):
        read(path)


def nrrd(path, encoding, content):
    head = ["NRRD0004", "type: short", "dimension: 3", "space: left-posterior-superior", "sizes: 60000 60000 60000",
            "space directions: (1,0,0) (0,1,0) (0,0,1)", "kinds: domain domain domain", "endian: little",
            f"encoding: {encoding}", "space origin: (0,0,0)"]  # fmt: skip
    path.write_bytes(("\n".join(head) + "\n\n").encode() + content)
    return path


def mha(path, packed):
    head = ["ObjectType = Image", "NDims = 3", "BinaryData = True", f"CompressedData = {packed}",
            "TransformMatrix = 1 0 0 0 1 0 0 0 1", "Offset = 0 0 0", "ElementSpacing = 1 1 1",
            "DimSize = 60000 60000 60000", "ElementType = MET_SHORT", "ElementDataFile = LOCAL"]  # fmt: skip
    path.write_bytes(("\n".join(head) + "\n").encode() + zlib.compress(bytes(1000)))
    return path


@pytest.mark.parametrize("read", [read_header, read_volume, stored_values])
def test_nrrd_and_metaimage_headers_that_promise_too_much_are_damaged(tmp_path, read):
    paths = [nrrd(tmp_path / "raw.nrrd", "raw", bytes(1000)),
             nrrd(tmp_path / "packed.nrrd", "gzip", gzip.compress(bytes(1000))),
             mha(tmp_path / "raw.mha", False), mha(tmp_path / "packed.mha", True)]  # fmt: skip
    whole = tmp_path / "whole.nrrd.gz"
    whole.write_bytes(gzip.compress(paths[0].read_bytes()))
    for path in paths:
        with pytest.raises(DatasetError, match=rf"{re.escape(path.name)}: is truncated or damaged"):
            read(path)


def test_a_lack_of_memory_is_reported_as_such(tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    path = nifti(tmp_path / "v.nii.gz", ct())
    monkeypatch.setattr(volumes, "_read", full)
    with pytest.raises(DatasetError, match=re.escape(f"v.nii.gz: {NO_MEMORY}")):
        read_volume(path)


def test_a_lack_of_memory_concerns_one_case():
    def work(item):
        if item == "b":
            raise MemoryError
        return item

    found = dict(each(work, ["a", "b", "c"], 2))
    assert (found["a"], found["c"]) == ("a", "c")
    assert str(found["b"]) == f"b: {NO_MEMORY}"
