"""The phantoms of all datasets by their names in `convert`."""

from __future__ import annotations

from collections.abc import Callable

from dataset_conversion.phantoms import (
    csig,
    ctpelvic1k,
    pengwin,
    raw_folders,
    sij_ct,
    sij_mri,
    spider,
    verse,
)
from dataset_conversion.phantoms.truth import Truth

# See `writer.phantom` for their arguments.
WRITERS: dict[str, Callable[..., list[Truth]]] = {
    "spider": spider.write_patients,
    "csig": csig.write_patients,
    "hospital-ct": sij_ct.write_patients,
    "sij-mri": sij_mri.write_patients,
    "verse": verse.write_patients,
    "ctpelvic1k": ctpelvic1k.write_patients,
    "pengwin": pengwin.write_patients,
    "nnunet": raw_folders.write_raw,
    "decathlon": raw_folders.write_decathlon,
}
