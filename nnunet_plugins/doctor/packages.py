"""The packages beside ours: nnU-Net's version, and strangers with our names."""

import importlib
import re
from importlib.metadata import PackageNotFoundError, version

from nnunet_plugins.doctor.finding import Environ, Finding

NNUNET = ((2, 8, 1), (2, 9))  # from, below; as in setup.cfg


def check_nnunet_version(environ: Environ) -> list[Finding]:
    """The nnU-Net that is installed is one that our seams were tried on."""
    allowed = f">={_dotted(NNUNET[0])},<{_dotted(NNUNET[1])}"
    cure = f"pip install 'nnunetv2{allowed}'"
    try:
        found = version("nnunetv2")
    except PackageNotFoundError:
        return [Finding("broken", "nnunetv2", "is not installed", cure)]
    numbers = tuple(int(number) for number in re.findall(r"\d+", found)[:3])
    if NNUNET[0] <= numbers < NNUNET[1]:
        return [Finding("ok", "nnunetv2", found)]
    return [Finding("broken", "nnunetv2", f"{found}, tried are {allowed}", cure)]


def check_name_clash(environ: Environ) -> list[Finding]:
    """`architectures` and `dataset_conversion` are generic names: are these ours?"""
    return [_owner(name) for name in ("architectures", "dataset_conversion")]


def _owner(name: str) -> Finding:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        detail = f"cannot be imported ({type(error).__name__}: {error})"
        cure = "pip install --force-reinstall --no-deps nnunet-plugins"
        return Finding("broken", name, detail, cure)
    if getattr(module, "__owner__", None) == "nnunet-plugins":
        return Finding("ok", name, "is ours")
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
    place = next((str(place) for place in places if place), "somewhere unknown")
    detail = f"another package of this name shadows ours: {place}"
    cure = "uninstall or rename it, run from another folder, or use an environment of its own"
    return Finding("broken", name, detail, cure)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
