"""The block of `nnunet-plugins doctor --report`: versions, machine, settings and failures, without private names."""

import getpass
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nnunet_plugins.doctor.finding import Environ, Finding, report
from nnunet_plugins.doctor.workers import GIB, cpu_cores, memory_bytes
from nnunet_plugins.environment import EXTENSIONS, FOLDERS, SMALL_CPU, extension_folder
from nnunet_plugins.text_table import columns

PACKAGES = (
    "nnunet-plugins", "nnunetv2", "torch", "torchvision", "timm", "monai", "batchgenerators", "batchgeneratorsv2",
    "dynamic-network-architectures", "acvl-utils", "SimpleITK", "nibabel", "pydicom", "numpy", "scipy",
    "scikit-image", "matplotlib", "highdicom", "slicerio", "trimesh",
)  # fmt: skip
VARIABLES = (*FOLDERS, EXTENSIONS, *SMALL_CPU, "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")

_PATH = re.compile(
    r"(?P<url>\bhttps?://\S+)|(?<![\w>.~-])(?:~|[A-Za-z]:)?[\\/][^\s'\"(),;:]*[^\s'\"(),;:.]"
)


def bug_report(findings: Sequence[Finding], environ: Environ) -> str:
    """Markdown for an issue: one code block with versions, machine, variables and what is not ok.

    Args:
        findings: result of `examine`.
        environ: the variables that were passed to it.
    """

    def clean(text: str) -> str:
        return redact(text, environ)

    memory = memory_bytes()
    facts = [
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("system", platform.platform()),
        ("CPU", f"{cpu_cores()} cores, {platform.machine()}"),
        ("memory", "unknown" if memory is None else f"{memory / GIB:.0f} GB"),
        ("GPU", _gpus()),
    ]
    examined = {one.subject: one.detail for one in findings if one.level == "ok"}
    # torch's own version names the CUDA version of its build.
    versions = [(n, (n == "torch" and examined.get(n)) or _version(n)) for n in PACKAGES]
    names = [
        *VARIABLES,
        *sorted(n for n in environ if n.startswith("nnUNet_") and n not in VARIABLES),
    ]
    variables = [
        (name, f"set: {clean(environ[name])}" if name in environ else "not set") for name in names
    ]
    failures = [
        replace(one, detail=clean(one.detail), fix=clean(one.fix))
        for one in findings
        if one.level != "ok"
    ]
    parts = [columns(facts), columns(versions), columns(variables), report(failures)]
    return "```text\n" + "\n\n".join(parts) + "\n```"


def redact(text: str, environ: Environ) -> str:
    """Replace paths, dataset names, the user's name and the computer's name.

    Kept are paths inside this package and the names of Python files.

    >>> redact("/home/anna/x/nnUNetTrainerX.py, line 1 of https://pypi.org", {})
    '<path>/nnUNetTrainerX.py, line 1 of https://pypi.org'
    >>> redact("my data is not a folder", {"nnUNet_raw": "my data"})
    '<path> is not a folder'
    """
    text = text.replace(str(extension_folder().parent), "<nnunet_plugins>")
    folders = [f for name in FOLDERS for f in [environ.get(name, "")]]
    folders += environ.get(EXTENSIONS, "").split(os.pathsep)
    for folder in sorted(filter(None, folders), key=len, reverse=True):
        # A value such as "." is not a word of the text.
        if re.search(r"\w", folder):
            text = re.sub(
                rf"(?<![\w/\\]){re.escape(folder)}(?=$|[\s\\/,;:'\"])[^\s,;:'\"]*", _hidden, text
            )
    text = _PATH.sub(_hidden, text)
    text = re.sub(r"(Dataset\d{3})_\w+", r"\1_<name>", text)
    for name, mark in (
        (_user(), "<user>"),
        (Path.home().name, "<user>"),
        (platform.node(), "<computer>"),
    ):
        if len(name) > 2 and name != "root":
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", mark, text)
    return text


def _hidden(found: re.Match[str]) -> str:
    if found.groupdict().get("url"):
        return found[0]
    file = re.split(r"[\\/]", found[0])[-1]
    return f"<path>/{file}" if file.endswith(".py") else "<path>"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user without a name
        return ""


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _gpus() -> str:
    """Name, memory and driver of NVIDIA's GPUs, as nvidia-smi gives them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "Apple (mps)" if sys.platform == "darwin" else "none (no nvidia-smi)"
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            [program, *query], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi failed ({type(error).__name__})"
    if done.returncode:
        return f"nvidia-smi failed (status {done.returncode})"
    if not done.stdout.strip():
        return "none"
    names, driver = zip(
        *(line.rpartition(", ")[::2] for line in done.stdout.strip().splitlines()), strict=True
    )
    return f"{'; '.join(names)}; driver {driver[0]}"
