"""The block of `nnunet-plugins doctor --report`: versions, machine, settings and failures, without private names."""

import contextlib
import getpass
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nnunet_plugins.doctor.finding import Environ, Finding, report
from nnunet_plugins.doctor.workers import GIB, cpu_cores, memory_bytes
from nnunet_plugins.environment import EXTENSIONS, FOLDERS, SMALL_CPU, extension_folder
from nnunet_plugins.optional_imports import installed_version
from nnunet_plugins.text_table import columns

PACKAGES = (
    "nnunet-plugins", "nnunetv2", "torch", "torchvision", "timm", "monai", "batchgenerators", "batchgeneratorsv2",
    "dynamic-network-architectures", "acvl-utils", "SimpleITK", "nibabel", "pydicom", "numpy", "scipy",
    "scikit-image", "matplotlib", "highdicom", "slicerio", "trimesh",
)  # fmt: skip
VARIABLES = (*FOLDERS, EXTENSIONS, *SMALL_CPU, "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")

PUBLIC_HOSTS = ("pypi.org", "github.com", "python.org", "pytorch.org")

_URL = re.compile(r"\b([a-z][a-z0-9+.-]+://)([^\s'\"<>\0]*[^\s'\"<>\0.,;:)])", re.IGNORECASE)
# Slashes that are not paths, and files of packages that everybody can look up.
_NO_PATH = re.compile(
    r"(?<![\w\\/.~-])"
    r"(?:(?i:and/or|i/o|n/a|w/o|input/output)|\d+/\d+"
    r"|(?:nnunet_plugins|nnunetv2|torch|torchvision|timm)(?:/\w+)*/\w+\.py)"
    r"(?![\w\\/-]|\.\w)"
)
# A path may contain blanks: it goes on to the end of the segment. A quote within a word is an apostrophe.
_END = r"(?::\s|;|,\s|(?<!\w)['\"]|['\"](?!\w)|\n|$)"
_REST = rf"(?:(?!{_END}).)*"
_QUOTED = re.compile(r"(?<![\w'\"])(['\"])((?:(?!\1(?![\w'\"]))[^\n])+)(\1)")
_ABSOLUTE = re.compile(
    rf"(?<![\w.~\\/-])(?<!<user>)(?<!<computer>)(?:~[\w.-]*|[A-Za-z]:)?[\\/]+(?=[^\s\\/]){_REST}"
)
_RELATIVE = re.compile(rf"[^\s'\"(),;:=\0\\/]+[\\/]{_REST}")
_DATASET = re.compile(
    r"(Dataset\d{3})(?:[^;\n]*?(?= and Dataset\d{3}|; nnU-Net rejects)|[^\s,;:'\"/\\]+)"
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
    # The imported versions name the CUDA version of the builds.
    built = ("torch", "torchvision")
    versions = [
        (n, (n in built and examined.get(n)) or installed_version(n) or "not installed")
        for n in PACKAGES
    ]
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
    """Replace paths, dataset names, the user's name, the computer's name and the hosts of URLs.

    A path may contain blanks. Without quotes its end is unknown, and all up to the next punctuation is replaced: too
    much rather than too little. Kept are paths inside this package, the names of Python files, and for files of
    another project's trainers also their folder.

    >>> redact("/home/anna/x/nnUNetTrainerX.py, line 1 of https://pypi.org", {})
    '<path>/nnUNetTrainerX.py, line 1 of https://pypi.org'
    >>> redact("my data is not a folder", {"nnUNet_raw": "my data"})
    '<path> is not a folder'
    >>> redact("No such file: '/mnt/Patient Mueller/ct.nii.gz'", {})
    "No such file: '<path>'"
    """
    plugins = [one for one in environ.get(EXTENSIONS, "").split(os.pathsep) if one]
    done: list[str] = []  # replacements, which later patterns must not see

    def keep(replacement: str) -> str:
        done.append(replacement)
        return f"\0{len(done) - 1}\0"

    def hide(path: str) -> str:
        return keep(_hidden(path, plugins))

    def quoted(found: re.Match[str]) -> str:
        is_path = re.search(r"^~|[\\/]", found[2])
        return found[1] + hide(found[2]) + found[3] if is_path else found[0]

    def known(found: re.Match[str]) -> str:
        folder, rest = found[1], found[2]
        # The folder ends at a blank, unless a longer path starts with the same words.
        if rest[:1] in ("/", "\\") or (rest[:1].isspace() and re.search(r"[\\/]", rest)):
            return hide(folder + rest)
        return keep("<path>") + rest

    text = re.sub(r"\bfile://", "", text.replace("\0", ""), flags=re.IGNORECASE)
    text = _URL.sub(lambda found: keep(_public(found[1], found[2])), text)
    package = _folder_pattern(str(extension_folder().parent))
    text = re.sub(
        rf"(?<![\w/\\]){package}((?:[\\/]+\w+)*(?:\.py\b)?)(?![\w\\/-])",
        lambda found: keep(f"<nnunet_plugins>{found[1]}"),
        text,
    )
    text = _NO_PATH.sub(lambda found: keep(found[0]), text)
    text = _QUOTED.sub(quoted, text)
    for folder in _folders(environ):
        pattern = rf"(?<![\w/\\])({_folder_pattern(folder)})(?=$|[\s\\/,;:'\")])({_REST})"
        # The rest may name the same folder again.
        while (shorter := re.sub(pattern, known, text, count=1, flags=re.IGNORECASE)) != text:
            text = shorter
    text = _names(text)  # a name with a blank can start a relative path
    text = _ABSOLUTE.sub(lambda found: hide(found[0]), text)
    text = _RELATIVE.sub(lambda found: hide(found[0]), text)
    text = re.sub(r"\0(\d+)\0", lambda found: done[int(found[1])], text)
    return _names(_DATASET.sub(r"\1_<name>", text))


def _hidden(path: str, plugins: Sequence[str]) -> str:
    """The mark for a path, with the name of a Python file, and with the punctuation that ends the text."""
    bare = path.rstrip(").] ")
    after = path[len(bare) :]
    files = re.findall(r"[\\/](?:([\w-]+)[\\/]+)?(\w[\w-]*\.py)(?![\w\\/-])", bare)
    if not files:
        return f"<path>{after}"
    parent, file = files[-1]
    inside = any(re.match(_folder_pattern(one) + r"[\\/]", bare, re.IGNORECASE) for one in plugins)
    return f"<path>/{parent}/{file}{after}" if parent and inside else f"<path>/{file}{after}"


def _public(scheme: str, address: str) -> str:
    """A URL of a public host, without login and query; of another host only the scheme."""
    login_and_host, slash, page = re.split(r"[?#]", address)[0].partition("/")
    host = login_and_host.rpartition("@")[2]
    name = host.partition(":")[0].lower()
    if any(name == one or name.endswith(f".{one}") for one in PUBLIC_HOSTS):
        return f"{scheme}{host}{slash}{page}"
    return f"{scheme}<host>"


def _folders(environ: Environ) -> list[str]:
    """Folders that texts of this computer name, as they are and quoted for a shell, longest first."""
    found = [environ.get(name, "") for name in (*FOLDERS, "HOME", "USERPROFILE")]
    found += [*environ.get(EXTENSIONS, "").split(os.pathsep), sys.prefix, sys.base_prefix, _home()]
    for place in (os.getcwd, tempfile.gettempdir):
        with contextlib.suppress(OSError):  # a folder that was removed
            found.append(place())
    found += [os.path.realpath(one) for one in found if os.path.isabs(one)]
    found += [shlex.quote(one)[1:-1] for one in found if "'" in one]
    # A value such as "." is not a word of the text.
    words = {one.rstrip("\\/") for one in found if re.search(r"\w", one)}
    return sorted(words, key=lambda one: (-len(one), one))


def _folder_pattern(folder: str) -> str:
    """A folder with either separator, single or doubled as in a repr."""
    parts = re.split(r"[\\/]+", folder.rstrip("\\/"))
    return r"[\\/]+".join(map(re.escape, parts))


def _names(text: str) -> str:
    """Replace the names of the user and of the computer, in any case."""
    node = platform.node()
    marks = {
        node.partition(".")[0]: "<computer>",
        node: "<computer>",
        Path(_home()).name: "<user>",
        _user(): "<user>",
    }
    for name in sorted(marks, key=len, reverse=True):
        if len(name) > 2 and name.lower() != "root":
            pattern = rf"(?<![^\W_])(?<!<){re.escape(name)}(?![^\W_])"
            text = re.sub(pattern, marks[name], text, flags=re.IGNORECASE)
    return text


def _home() -> str:
    try:
        return str(Path.home())
    except RuntimeError:  # a container's user without a home
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user without a name
        return ""


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
