"""The data of the papers' experiments: which converter with which options, and which folds are trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperData:
    """How the data of a paper are converted.

    Attributes:
        format: name of the source's format for `nnunet-plugins convert`.
        options: of that command, as on the pages of the documentation.
        table: number of the table that compares the paper's network with others.
        folds: that the paper trained.
        test: whether its scores are those of a test set.
    """

    format: str
    options: tuple[str, ...]
    table: int
    folds: tuple[int, ...] = (0,)
    test: bool = False


_CT = ("--drop-empty-slices", "--split", "7:3")
#: Key of a paper -> its data.
PAPER_DATA = {
    "jing2025-se-unet": PaperData("hospital-ct", _CT, 1),
    "yan2025-mag-unet": PaperData("hospital-ct", _CT, 1),
    "sij-fm-25d-attention-unet": PaperData(
        "sij-mri", ("--allow-empty", "--spacing", "1", "1", "7", "--split", "4-fold"), 2, (0, 1, 2, 3)
    ),
    "silveira2025-inception-dual": PaperData(
        "spider", ("--sequences", "t1", "--central-slice", "--scheme", "binary", "--split", "80/20"), 6
    ),
    "cai2023-aspp-unet": PaperData(
        "csig",
        ("--scheme", "aspp", "--crop", "464", "--test", "138:34", "--split", "5-fold"),
        3,
        (0, 1, 2, 3, 4),
        test=True,
    ),
}  # fmt: skip
