"""torch, torchvision and timm, the GPU, the compiler, and OpenMP's settings."""

import os
import shutil
from typing import Any

from nnunet_plugins.doctor.finding import Environ, Finding
from nnunet_plugins.doctor.probe import probe

MATCHING_TORCH = (
    "install torch and torchvision from the same index; without a GPU:\n"
    "pip install --force-reinstall torch torchvision --index-url "
    "https://download.pytorch.org/whl/cpu\n"
    "with a GPU:\n"
    "pip install --force-reinstall torch torchvision"
)

_TORCH = """
import importlib, torch
def look(name, attribute):
    try:
        module = importlib.import_module(name)
        for part in attribute.split("."):
            module = getattr(module, part)
        return {"version": importlib.import_module(name).__version__, "error": ""}
    except Exception as error:
        return {"version": "", "error": f"{type(error).__name__}: {error}".splitlines()[0]}
gpu = torch.cuda.is_available()
mps = getattr(torch.backends, "mps", None)
answer = {
    "torch": torch.__version__,
    "cuda": torch.version.cuda,
    "gpu": torch.cuda.get_device_name(0) if gpu else "",
    "mps": bool(mps and mps.is_available()),
    "torchvision": look("torchvision", "ops.nms"),
    "timm": look("timm", "__version__"),
}
"""


def check_torch(environ: Environ) -> list[Finding]:
    """torch, torchvision and timm match, and there is a GPU and a compiler."""
    facts, error = probe(_TORCH, environ)
    if facts is None:
        return [Finding("broken", "torch", f"cannot be imported: {error}", MATCHING_TORCH)]
    findings = [Finding("ok", "torch", str(facts["torch"]))]
    for name in ("torchvision", "timm"):
        package = facts[name]
        if package["error"]:
            detail = f"does not match torch {facts['torch']} ({package['error']}); every -tr but "
            detail += "nnUNetTrainer fails"
            findings.append(Finding("broken", name, detail, MATCHING_TORCH))
        else:
            findings.append(Finding("ok", name, package["version"]))
    findings.append(_accelerator(facts))
    if facts["gpu"]:
        findings.append(_compiler(environ))
    elif not facts["mps"]:
        findings.append(_openmp(environ))
    return findings


def _accelerator(facts: dict[str, Any]) -> Finding:
    if facts["gpu"]:
        return Finding("ok", "GPU", f"{facts['gpu']} (CUDA {facts['cuda']})")
    if facts["mps"]:
        detail = "Apple's (mps): pass -device mps to nnU-Net; slower than CUDA, no compiling"
        return Finding("ok", "GPU", detail)
    why = "this torch is built without CUDA" if not facts["cuda"] else "torch sees no CUDA device"
    return Finding(
        "warning",
        "GPU",
        f"none ({why}): 3D training is about 100 times slower on a CPU: the usual "
        "1000 epochs take months instead of a day or two",
        "for a trial, pass --preset cpu and -device cpu; for training, use a machine with a GPU",
    )


def _compiler(environ: Environ) -> Finding:
    # nnU-Net compiles unless the variable is set to something other than true.
    if environ.get("nnUNet_compile", "t").lower() not in ("true", "1", "t") or os.name == "nt":
        return Finding("ok", "nnUNet_compile", "off")
    names = [environ.get("CC", ""), "cc", "gcc", "clang"]
    found = next(
        (name for name in names if name and shutil.which(name, path=environ.get("PATH"))), ""
    )
    if found:
        return Finding("ok", "nnUNet_compile", f"on, with {found}")
    detail = "on, but torch.compile finds no C compiler: training stops at its start"
    fix = "export nnUNet_compile=f\nor install one (apt install build-essential)"
    return Finding("broken", "nnUNet_compile", detail, fix)


def _openmp(environ: Environ) -> Finding:
    value = environ.get("OMP_WAIT_POLICY", "")
    if value.lower() == "passive":
        return Finding("ok", "OMP_WAIT_POLICY", "passive")
    detail = f"is {value!r}" if value else "is not set"
    detail += ": waiting threads spin, and steps take several times as long on a busy CPU"
    fix = "export OMP_WAIT_POLICY=passive"
    return Finding("warning", "OMP_WAIT_POLICY", detail, fix)
