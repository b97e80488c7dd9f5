"""Networks of plans, built only from names of an allow-list.

A plans file names its network class and layers as text, e.g. ``"nonlin": "torch.nn.LeakyReLU"``. nnU-Net imports
and calls whatever is named, so plans of an unknown origin could run any function. Here a name must be a network
or layer of a known package before anything is imported from it.
"""

from __future__ import annotations

import pydoc
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dataset_conversion.errors import short
from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from torch import nn

#: Packages whose networks and layers plans may name.
PACKAGES = ("torch.nn", "dynamic_network_architectures", "architectures", "nnunet_plugins.networks")
#: Modules that define these classes; the public names of our networks are defined in `architectures`.
_MODULES = ("torch.nn.modules", "dynamic_network_architectures", "architectures")
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


class NotAllowedError(UserError):
    """Plans name a network or layer of another package."""


def check_names(architecture: Any, where: str = "plans") -> None:
    """Raise UserError unless all names of an ``architecture`` entry are networks or layers of PACKAGES.

    Nothing outside of PACKAGES is imported.

    Args:
        architecture: with network_class_name, arch_kwargs and _kw_requires_import.
        where: begins the message.

    >>> check_names({"network_class_name": "nnunet_plugins.networks.UNet",
    ...              "arch_kwargs": {"nonlin": "subprocess.getoutput"},
    ...              "_kw_requires_import": ["nonlin"]})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nnunet_plugins.planned_network.NotAllowedError: plans: arch_kwargs.nonlin is 'subprocess.getoutput'; allowed: ...
    """
    if not isinstance(architecture, Mapping):
        raise UserError(f"{where}: architecture is {short(architecture)}; expected an object")
    kwargs = architecture.get("arch_kwargs")
    if not isinstance(kwargs, Mapping):
        raise UserError(f"{where}: arch_kwargs is {short(kwargs)}; expected an object")
    imported = architecture.get("_kw_requires_import")
    if not isinstance(imported, list) or not all(isinstance(key, str) for key in imported):
        raise UserError(
            f"{where}: _kw_requires_import is {short(imported)}; expected a list of arguments"
        )
    for key in imported:
        if key not in kwargs:
            raise UserError(f"{where}: _kw_requires_import lists {key!r}, which arch_kwargs lacks")
        if kwargs[key] is not None:
            _check(kwargs[key], f"{where}: arch_kwargs.{key}")
    _check(architecture.get("network_class_name"), f"{where}: network_class_name", moved=True)


def check_all_names(plans: Mapping[str, Any], where: str) -> None:
    """Raise UserError unless every configuration of plans passes `check_names`.

    Args:
        plans: content of a plans file.
        where: begins the message.
    """
    configurations = plans.get("configurations")
    if not isinstance(configurations, Mapping):
        raise UserError(f"{where}: not nnU-Net plans: 'configurations' is missing")
    for name, entry in configurations.items():
        if isinstance(entry, Mapping) and "architecture" in entry:
            check_names(entry["architecture"], f"{where}: configuration {name!r}")


def build_planned(
    architecture: Mapping[str, Any],
    input_channels: int,
    output_channels: int,
    *,
    deep_supervision: bool,
    initialized: bool = True,
) -> nn.Module:
    """Build the network that an ``architecture`` entry names, with nnU-Net's own function.

    Raises:
        UserError: a name is not allowed.
    """
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    check_names(architecture)
    network: nn.Module = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        input_channels,
        output_channels,
        allow_init=initialized,
        deep_supervision=deep_supervision,
    )
    return network


def _check(name: Any, where: str, *, moved: bool = False) -> None:
    """Raise NotAllowedError unless ``name`` is a network or layer of PACKAGES.

    Args:
        name: e.g. torch.nn.LeakyReLU.
        where: begins the message.
        moved: also accept what nnU-Net finds under its last name, as classes move between modules.
    """
    if isinstance(name, str) and _NAME.fullmatch(name) and _in(name, PACKAGES):
        found = _located(name)
        if found is None and moved and _in(name, PACKAGES[1:2]):
            found = _moved(name)
        if _is_layer(found):
            return
    raise NotAllowedError(
        f"{where} is {short(name)}; allowed: networks and layers of {', '.join(PACKAGES)}, since building another "
        "one could run any code; correct the entry, or create the plans again: nnunet-plugins plan DATASET "
        "--network NAME --force"
    )


def _in(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _located(name: str) -> Any:
    try:
        return pydoc.locate(name)
    except pydoc.ErrorDuringImport:  # e.g. a module of the package that needs another package
        return None


def _moved(name: str) -> Any:
    import dynamic_network_architectures
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    folder = f"{dynamic_network_architectures.__path__[0]}/architectures"
    last = name.rpartition(".")[2]
    return recursive_find_python_class(folder, last, "dynamic_network_architectures.architectures")


def _is_layer(found: Any) -> bool:
    from torch import nn

    return (
        isinstance(found, type) and issubclass(found, nn.Module) and _in(found.__module__, _MODULES)
    )
