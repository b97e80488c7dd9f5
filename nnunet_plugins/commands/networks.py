"""List the networks and their trainers, or the papers' own topologies and their sizes."""

from __future__ import annotations

import argparse
import json
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One network. Kept free of torch so that the list is instant."""

    network: str
    paper: str
    ranks: str
    what: str

    @property
    def trainer(self) -> str:
        """What ``-tr`` takes."""
        return f"{self.network}Trainer"


BOTH, FLAT = "2D 3D", "2D"
PROPOSED = (
    Row("SEUNet", "000", BOTH, "squeeze-excitation at the bottleneck"),
    Row("MAGUNet", "001", BOTH, "multi-scale stem, dual attention, gates"),
    Row("AttentionUNet25D", "002", BOTH, "in-plane convolutions, attention maps"),
    Row("InceptionDualUNet", "003", BOTH, "Inception stem, second output below"),
    Row("ASPPUNet", "004", BOTH, "atrous pyramids in the encoder"),
    Row("ModularUNet", "", BOTH, "nnU-Net's own U-Net; slots for blocks"),
)
COMPARED = (
    Row("UNet", "000-004", BOTH, "U-Net with max-pooling"),
    Row("VNet", "000 001", BOTH, "kernels of 5, shortcuts, PReLU"),
    Row("ResUNet", "000-003", BOTH, "shortcut around every stage"),
    Row("AttentionUNet", "000-003", BOTH, "additive gates on the skips"),
    Row("SegNet", "001 004", BOTH, "unpools to where the maxima were"),
    Row("UNETR", "001 002", BOTH, "transformer encoder, one patch size"),
    Row("DeepLabV3", "004", FLAT, "dilated ResNet-101 and atrous pyramid"),
    Row("DeepLabV3Plus", "001", FLAT, "the same with a decoder"),
    Row("TransUNet", "003", BOTH, "transformer layers at the bottleneck"),
)
ROWS = PROPOSED + COMPARED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --paper and --json."""
    parser.add_argument(
        "--paper",
        action="store_true",
        help="the papers' own topologies: parameters here and as published",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    if arguments.paper:
        records = _counted()
        print(json.dumps(records, indent=1) if arguments.json else _sizes(records))
    elif arguments.json:
        print(json.dumps([{**row._asdict(), "trainer": row.trainer} for row in ROWS], indent=1))
    else:
        print(_list())
    return 0


def _list() -> str:
    from nnunet_plugins.text_table import columns

    lines = columns(
        [
            ("network", "trainer (-tr)", "paper", "rank", "what"),
            *((r.network, r.trainer, r.paper, r.ranks, r.what) for r in ROWS),
        ]
    ).split("\n")
    lines.insert(1 + len(PROPOSED), "compared with in the papers:")
    return "\n".join(lines)


def _counted() -> list[dict[str, Any]]:
    """The papers' rows with their counts, ready for JSON."""
    from nnunet_plugins.papers.topologies import TOPOLOGIES, count

    records = []
    for topology in TOPOLOGIES:
        size = count(topology)
        here, published = size.like(topology.published), topology.published["total"]
        records.append(
            {
                "paper": topology.paper,
                "table": topology.source,
                "row": topology.name,
                "network": topology.network,
                "proposed": topology.proposed,
                "configuration": topology.configuration,
                "input_channels": topology.input_channels,
                "classes": topology.classes,
                "patch": list(topology.patch),
                "here": {"total": here, **size._asdict()},
                "published": topology.published,
                "difference": here - published,
                "difference_percent": round(100 * (here - published) / published, 2),
                "note": topology.note,
            }
        )
    return records


def _sizes(records: list[dict[str, Any]]) -> str:
    from nnunet_plugins.text_table import columns, remark

    notes = list(dict.fromkeys(r["note"] for r in records if r["note"]))
    rows = [
        ("paper", "row", "network", "here", "published", "difference", "", ""),
        *(
            (
                f"{r['paper']} {r['table']}",
                r["row"],
                r["network"],
                f"{r['here']['total']:,}",
                _printed(r["published"]["total"]),
                f"{r['difference']:+,}" if r["difference"] else "none",
                f"{r['difference_percent']:+.2f} %" if r["difference"] else "",
                f"[{notes.index(r['note']) + 1}]" if r["note"] else "",
            )
            for r in records
        ),
    ]
    remarks = [remark(f"[{i}]", note) for i, note in enumerate(notes, 1)]
    about = remark(
        "",
        "Parameters of the papers' own topologies, in 003 with the running statistics of the "
        "normalisation, as Keras counts them.",
    )
    return "\n".join([columns(rows, right=(3, 4, 5, 6)), "", about, *remarks])


def _printed(total: int) -> str:
    """As the paper prints it: a count, or millions with one or two digits."""
    return f"{total:,}" if total % 10_000 else f"{total / 1e6:.5g} M"
