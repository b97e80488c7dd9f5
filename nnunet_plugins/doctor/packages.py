"""Installed packages: the version of nnU-Net, and other packages with our names."""

import importlib
import re

from nnunet_plugins.doctor.finding import Environ, Finding
from nnunet_plugins.optional_imports import installed_version

NNUNET = ((2, 8, 1), (2, 9))  # at least, below; as in setup.cfg


def check_nnunet_version(environ: Environ) -> list[Finding]:
    """The installed version of nnU-Net is supported."""
    allowed = f">={_dotted(NNUNET[0])},<{_dotted(NNUNET[1])}"
    fix = f"pip install 'nnunetv2{allowed}'"
    found = installed_version("nnunetv2")
    if found is None:
        return [Finding("broken", "nnunetv2", "is not installed", fix)]
    numbers = tuple(int(number) for number in re.findall(r"\d+", found)[:3])
    if NNUNET[0] <= numbers < NNUNET[1]:
        return [Finding("ok", "nnunetv2", found)]
    return [Finding("broken", "nnunetv2", f"{found} is installed, supported are {allowed}", fix)]


def check_name_clash(environ: Environ) -> list[Finding]:
    """The generic names `architectures` and `dataset_conversion` are our packages."""
    return [_owner(name) for name in ("architectures", "dataset_conversion")]


def _owner(name: str) -> Finding:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        detail = f"cannot be imported ({type(error).__name__}: {error})"
        fix = "pip install --force-reinstall --no-deps nnunet-plugins"
        return Finding("broken", name, detail, fix)
    if getattr(module, "__owner__", None) == "nnunet-plugins":
        return Finding("ok", name, "belongs to nnunet-plugins")
    paths = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
    place = next((str(path) for path in paths if path), "unknown location")
    detail = f"another package of this name shadows ours: {place}"
    fix = "uninstall or rename it, run from another folder, or install nnunet-plugins in a separate environment"
    return Finding("broken", name, detail, fix)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
