"""Which weights of a checkpoint a network takes over, by name and shape; heads and input channels may differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dataset_conversion.labels import region_order
from nnunet_plugins.errors import UserError
from nnunet_plugins.training.fine_tuning.source import Source

#: In the name of every weight of a head, as nnU-Net's -pretrained_weights expects.
HEAD = ".seg_layers."
_ALIAS = "decoder.encoder."  # nnU-Net's decoder registers the encoder again
_MOST = 4  # names that are listed


@dataclass(frozen=True)
class Transfer:
    """Weights to load.

    Attributes:
        weights: name -> tensor of the network's shape.
        adapted: names of those that read another number of image channels.
        left: names of the network's weights that keep their initialisation.
        channels: what differs in the image channels, as text; '' if nothing does.
    """

    weights: Mapping[str, Tensor]
    adapted: tuple[str, ...]
    left: tuple[str, ...]
    channels: str = ""

    def parameters_of(self, network: nn.Module) -> list[str]:
        """Names of the network's parameters that are loaded."""
        return [name for name, _ in network.named_parameters() if name in self.weights]


def choose(
    network: Any,
    source: Source,
    what: str,
    *,
    reads_image: Collection[str],
    dataset: Mapping[str, Any] | None = None,
) -> Transfer:
    """Choose the weights of a checkpoint that a network takes over.

    A convolution that reads another number of image channels gets the mean over the source's channels for each of
    its own, scaled so that equal channels give the same map: ``w.sum(1) / channels``. For a source of one channel
    this is the rule of nnssl. If the channels have the names of the source in another order, its weights are put into
    this order.

    Args:
        network: to be trained; may be without data (device meta).
        source: the checkpoint.
        what: ``encoder``, ``all_but_heads`` or ``all``.
        reads_image: names of weights whose shape depends on the number of image channels.
        dataset: content of dataset.json; its channels, and for ``all`` its labels, are compared with the source's.

    Raises:
        UserError: a weight is missing, has another shape or is not finite, or ``all`` with other labels or another
            order of the regions.
    """
    own: dict[str, Tensor] = network.state_dict()
    theirs = _named_like(network, source)
    encoder = tuple(f"{name}." for name in getattr(network, "encoder_names", ("encoder",)))
    wanted = [
        name
        for name in own
        if not name.startswith(_ALIAS)
        and (
            what == "all"
            or (what == "all_but_heads" and HEAD not in f".{name}")
            or (what == "encoder" and name.startswith(encoder) and HEAD not in f".{name}")
        )
    ]
    dataset = dataset or {}
    labels, others = dataset.get("labels", {}), source.labels
    different = labels != others or region_order(labels) != region_order(others)
    if what == "all" and labels and others and different:
        raise UserError(
            f"{source}: was trained for the labels {others}, the dataset has {labels}; with pretrained.what "
            '"all" they must be equal, regions in the same order: load "all_but_heads"'
        )
    order, channels = _channels(source.dataset, dataset)
    chosen: dict[str, Tensor] = {}
    adapted, problems = [], []
    for name in wanted:
        mine, other = own[name], theirs.get(name)
        if other is None:
            problems.append(f"{name} is missing")
        elif other.shape == mine.shape:
            if order and name in reads_image:
                # Channels beyond the images are labels of the previous stage.
                other = other[:, [*order, *range(len(order), other.shape[1])]]
            chosen[name] = other
        elif name in reads_image and _other_channels(mine, other):
            share = other.sum(1, keepdim=True) / mine.shape[1]
            chosen[name] = share.expand(mine.shape).clone()
            adapted.append(name)
        else:
            problems.append(f"{name} is {list(other.shape)}, here {list(mine.shape)}")
    if problems:
        more = f", and {len(problems) - _MOST} more" if len(problems) > _MOST else ""
        fix = (
            "Plan with the network of the checkpoint, which takes over its topology: nnunet-plugins plan DATASET "
            "--network NAME --pretrained SOURCE"
        )
        if source.nnssl and not any(one.startswith(encoder) for one in problems):
            fix = 'Its encoder fits: set pretrained.what to "encoder", as nnssl does'
        raise UserError(
            f"{source}: {len(problems)} of {len(wanted)} weights do not fit {type(network).__name__} "
            f"({what}): {'; '.join(problems[:_MOST])}{more}. {fix}"
        )
    broken = [name for name, one in chosen.items() if not one.isfinite().all()]
    if broken:
        raise UserError(
            f"{source}: {len(broken)} of {len(chosen)} weights hold NaN or infinite values, {broken[0]} first: its "
            "training has diverged; choose another checkpoint"
        )
    left = [name for name in own if name not in chosen and not name.startswith(_ALIAS)]
    return Transfer(chosen, tuple(adapted), tuple(left), channels)


def differing(first: nn.Module, second: nn.Module) -> set[str]:
    """Names of the weights whose shape differs between two networks of the same class."""
    one, two = first.state_dict(), second.state_dict()
    return {name for name in one if name in two and one[name].shape != two[name].shape}


def _channels(source: Mapping[str, Any], dataset: Mapping[str, Any]) -> tuple[list[int], str]:
    """The source's place of each image channel, if only the order differs, and what differs as text."""
    theirs, mine = map(_names, (source, dataset))
    if not theirs or not mine or theirs == mine:
        return [], ""
    text = f"the image channels of the source are {', '.join(theirs)}, here {', '.join(mine)}"
    if sorted(theirs) != sorted(set(mine)):
        return [], text
    return [theirs.index(name) for name in mine], f"{text}: its weights are put into this order"


def _names(dataset: Mapping[str, Any]) -> list[str]:
    found = dataset.get("channel_names") or dataset.get("modality") or {}
    return [str(found[key]) for key in sorted(found, key=int)]


def _other_channels(mine: Tensor, other: Tensor) -> bool:
    return mine.ndim == other.ndim >= 3 and (
        mine.shape[:1] + mine.shape[2:] == other.shape[:1] + other.shape[2:]
    )


def _named_like(network: Any, source: Source) -> dict[str, Tensor]:
    """The weights of a source under the names of ``network``."""
    names = dict.fromkeys(source.weights)
    pairs = list(getattr(network, "former_names", ()))
    for key in ("key_to_encoder", "key_to_stem"):
        if source.nnssl.get(key) and getattr(network, key, None):
            pairs.append((f"{source.nnssl[key]}.", f"{getattr(network, key)}."))
    found: dict[str, Tensor] = {}
    for name in names:
        to = next(
            (new + name.removeprefix(old) for old, new in pairs if name.startswith(old)), name
        )
        found[to] = source.weights[name]
    return found
