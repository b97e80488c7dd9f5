"""List the networks, or the papers' own topologies and their sizes."""

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
        """Value for ``-tr``."""
        return f"{self.network}Trainer"


BOTH, FLAT = "2D 3D", "2D"
PROPOSED = (
    Row("SEUNet", "jing2025-se-unet", BOTH, "squeeze-excitation at the bottleneck"),
    Row("MAGUNet", "yan2025-mag-unet", BOTH, "multi-scale stem, dual attention, gates"),
    Row("AttentionUNet25D", "sij-fm-25d-attention-unet", BOTH, "2.5D: in-plane kernels, attention"),
    Row("InceptionDualUNet", "silveira2025-inception-dual", BOTH, "Inception stem, second output"),
    Row("ASPPUNet", "cai2023-aspp-unet", BOTH, "atrous pyramids in the encoder"),
)
OWN = (
    Row("nnUNetPlain", "", BOTH, "nnU-Net's own network and plan"),
    Row("ResEncM", "", BOTH, "nnU-Net's own residual encoder, 8 GB"),
    Row("ResEncL", "", BOTH, "the same, 24 GB"),
    Row("ResEncXL", "", BOTH, "the same, 40 GB"),
)
OTHERS = (
    Row("ModularUNet", "", BOTH, "nnU-Net's U-Net with slots for blocks"),
    Row("UNet", "", BOTH, "U-Net with max-pooling"),
    Row("VNet", "", BOTH, "residual stages with kernels of 5"),
    Row("ResUNet", "", BOTH, "shortcut around every stage"),
    Row("AttentionUNet", "", BOTH, "additive gates on the skips"),
    Row("SegNet", "", BOTH, "unpools to the positions of the maxima"),
    Row("UNETR", "", BOTH, "transformer encoder, fixed patch size"),
    Row("DeepLabV3", "", FLAT, "dilated ResNet-101 and atrous pyramid"),
    Row("DeepLabV3Plus", "", FLAT, "DeepLabV3 with a decoder"),
    Row("TransUNet", "", BOTH, "transformer layers at the bottleneck"),
    Row("MedNeXt", "", BOTH, "ConvNeXt blocks; sizes S, B, M, L"),
)
ROWS = PROPOSED + OWN + OTHERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --paper and --json."""
    parser.add_argument(
        "--paper", nargs="?", const=True, metavar="KEY",
        help="list the papers' own topologies with their parameters here and as published; with KEY, e.g. "
        "yan2025-mag-unet, those of one paper",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    if arguments.paper is not None:
        records = _counted(None if arguments.paper is True else arguments.paper)
        print(json.dumps(records, indent=1) if arguments.json else _sizes(records))
    elif arguments.json:
        compared = _compared()
        records = [
            {
                **row._asdict(),
                "trainer": row.trainer,
                "compared_in": [paper for paper, names in compared.items() if row.network in names],
            }
            for row in ROWS
        ]
        print(json.dumps(records, indent=1))
    else:
        print(_list())
    return 0


def _list() -> str:
    from nnunet_plugins.text_table import columns

    networks = [("network", "dims", "what", "proposed in")]
    networks += [(r.network, r.ranks, r.what, r.paper) for r in ROWS]
    papers = [("paper", "compares with")]
    papers += [(paper, " ".join(names)) for paper, names in _compared().items()]
    return "\n".join(
        [
            columns(networks),
            "",
            columns(papers),
            "",
            "The trainer of NETWORK is NETWORKTrainer, e.g. nnUNetv2_train ... -tr MAGUNetTrainer",
        ]
    )


def _compared() -> dict[str, list[str]]:
    """Key of each paper -> networks that it compares its own with, in the order of :data:`ROWS`."""
    from nnunet_plugins.papers.library import PAPERS

    found = {}
    for paper in PAPERS:
        names = {row.network for table in paper.tables for row in table.rows}
        names |= {topology.network for topology in paper.topologies}
        found[paper.key] = [r.network for r in OTHERS if r.network in names]
    return found


def _counted(paper: str | None) -> list[dict[str, Any]]:
    """Topologies of one paper, or of all for None, with their counts, ready for JSON."""
    from nnunet_plugins.papers.library import TOPOLOGIES, find_paper, proposed_topology
    from nnunet_plugins.papers.topologies import count

    records = []
    for topology in TOPOLOGIES if paper is None else find_paper(paper).topologies:
        size = count(topology)
        here, published = size.like(topology.published), topology.published["total"]
        records.append(
            {
                "paper": topology.paper,
                "table": topology.source,
                "row": topology.name,
                "network": topology.network,
                "proposed": topology is proposed_topology(topology.network),
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
    from nnunet_plugins.papers.library import find_paper
    from nnunet_plugins.text_table import columns, remark

    notes = list(dict.fromkeys(r["note"] for r in records if r["note"]))
    lines = columns(
        [
            ("row", "network", "here", "published", "difference", "", ""),
            *(
                (
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
        ],
        right=(2, 3, 4, 5),
    ).split("\n")
    text = ["Parameters of the papers' own topologies, here and as published.", "", lines[0]]
    for i, record in enumerate(records):
        if i == 0 or record["paper"] != records[i - 1]["paper"]:
            source = {"code": "authors' code"}.get(record["table"], record["table"])
            if "non_trainable" in record["published"]:
                source += "; with the running statistics, as Keras counts"
            text.append(f"{record['paper']} ({source})")
        text.append(lines[i + 1])
    text += ["", *(remark(f"[{i}]", note) for i, note in enumerate(notes, 1)), ""]
    text += [find_paper(key).reference() for key in dict.fromkeys(r["paper"] for r in records)]
    return "\n".join(text)


def _printed(total: int) -> str:
    """As the paper prints it: a count, or millions with one or two digits."""
    return f"{total:,}" if total % 10_000 else f"{total / 1e6:.5g} M"
