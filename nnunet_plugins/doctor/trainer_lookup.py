"""Whether nnU-Net finds our trainers, by doing as it does."""

import os
from pathlib import Path

from nnunet_plugins.doctor.finding import Environ, Finding
from nnunet_plugins.doctor.probe import probe
from nnunet_plugins.environment import EXTENSIONS, extension_folder

TRAINER = "MAGUNetTrainer"

_TRAINER = """
import inspect
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
found = recursive_find_trainer_class_by_name({name!r})
module = sys.modules.get(found.__module__)
answer = {{
    "module": found.__module__,
    "file": inspect.getfile(found),
    "same": getattr(module, {name!r}, None) is found,
}}
"""


def check_trainers(environ: Environ) -> list[Finding]:
    """nnU-Net's own look-up, as `nnUNetv2_train -tr` does it, gives the very class of ours."""
    ours = extension_folder()
    entries = [entry for entry in environ.get(EXTENSIONS, "").split(os.pathsep) if entry.strip()]
    cure = 'in every shell that trains or predicts:\neval "$(nnunet-plugins env)"'
    if ours not in [Path(entry).resolve() for entry in entries]:
        detail = f"lacks {ours}" if entries else "is not set"
        return [Finding("broken", EXTENSIONS, f"{detail}: nnU-Net cannot find our trainers", cure)]
    findings = [Finding("ok", EXTENSIONS, "has our folder")]
    gone = [entry for entry in entries if not Path(entry).exists()]
    if gone:
        detail = f"names what does not exist: {', '.join(gone)}"
        findings.append(Finding("warning", EXTENSIONS, detail, "take it out; nnU-Net skips it"))

    found, error = probe(_TRAINER.format(name=TRAINER), environ)
    if found is None:
        cure = "mend what is broken above; else run nnUNetv2_train with this -tr to see it all"
        return [*findings, Finding("broken", "trainers", f"looking up {TRAINER}: {error}", cure)]
    package = ours.parent
    right = found["same"] and package in Path(found["file"]).resolve().parents
    if right and found["module"].split(".")[:2] == ["nnunet_plugins", "training"]:
        detail = f"nnU-Net finds {TRAINER} in {found['module']}"
        return [*findings, Finding("ok", "trainers", detail)]
    detail = f"nnU-Net finds another {TRAINER}: {found['module']} in {found['file']}"
    cure = f"take its folder out of {EXTENSIONS}, or rename that class"
    return [*findings, Finding("broken", "trainers", detail, cure)]
