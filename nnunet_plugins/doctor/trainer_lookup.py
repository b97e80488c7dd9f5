"""Whether nnU-Net finds our trainers, and whether plugins of other projects can be imported."""

from pathlib import Path

from nnunet_plugins.doctor.finding import Environ, Finding
from nnunet_plugins.doctor.probe import probe
from nnunet_plugins.environment import EXTENSIONS, extension_folder
from nnunet_plugins.other_plugins import is_ours, listed_folders

TRAINER = "MAGUNetTrainer"
SET_TRAINERS = 'in every shell that trains or predicts:\neval "$(nnunet-plugins env)"'

_TRAINER = """
import inspect
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
from nnunet_plugins.other_plugins import broken_file
try:
    found = recursive_find_trainer_class_by_name({name!r})
    module = sys.modules.get(found.__module__)
    answer = {{
        "module": found.__module__,
        "file": inspect.getfile(found),
        "same": getattr(module, {name!r}, None) is found,
    }}
except (Exception, SystemExit) as error:
    answer = {{"error": broken_file(error) or f"{{type(error).__name__}}: {{error}}"}}
"""

# nnU-Net's search for a name that no module has imports all of them.
_PLUGIN = """
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class
from nnunet_plugins.other_plugins import broken_file
try:
    recursive_find_python_class({folder!r}, "no such trainer", None, base_folder={folder!r})
    answer = {{"error": ""}}
except (Exception, SystemExit) as error:
    answer = {{"error": broken_file(error) or f"{{type(error).__name__}}: {{error}}"}}
"""


def check_trainers(environ: Environ) -> list[Finding]:
    """nnU-Net's own look-up, as `nnUNetv2_train -tr` runs it, returns our class; other plugins can be imported."""
    folders = listed_folders(environ)
    position = next((i for i, one in enumerate(folders) if is_ours(one)), None)
    others = [
        finding
        for i, folder in enumerate(folders)
        if not is_ours(folder)
        for finding in _other_plugin(folder, environ, first=position is None or i < position)
    ]
    if position is None:
        detail = f"lacks {extension_folder()}" if folders else "is not set"
        detail += ": nnU-Net cannot find our trainers"
        return [Finding("broken", EXTENSIONS, detail, SET_TRAINERS), *others]
    return [Finding("ok", EXTENSIONS, "has our folder"), *others, _our_trainer(environ)]


def _other_plugin(folder: Path, environ: Environ, *, first: bool) -> list[Finding]:
    """What is wrong with another plugin's folder; ``first`` if nnU-Net searches it before ours."""
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        detail = f"{folder} {what}; nnU-Net finds no trainer there"
        return [Finding("warning", EXTENSIONS, detail, f"remove it from {EXTENSIONS}, or fix it")]
    found, error = probe(_PLUGIN.format(folder=str(folder)), environ)
    if found is None:
        error = f"{folder}: importing its modules ends Python ({error})"
    elif not (error := found["error"]):
        return []
    detail = f"a plugin of another project is broken: {error}"
    fix = f"fix this plugin, or remove {folder} from {EXTENSIONS}"
    if not first:
        return [Finding("warning", "other plugin", f"{detail}; its trainers cannot be used", fix)]
    detail += "; it blocks every trainer that is not nnU-Net's"
    return [
        Finding("broken", "other plugin", detail, f"{fix}; to search ours first,\n{SET_TRAINERS}")
    ]


def _our_trainer(environ: Environ) -> Finding:
    found, error = probe(_TRAINER.format(name=TRAINER), environ)
    if found is None or "error" in found:
        fix = "fix what is broken above; else run nnUNetv2_train with this -tr to see the traceback"
        error = error if found is None else found["error"]
        return Finding("broken", "trainers", f"looking up {TRAINER}: {error}", fix)
    package = extension_folder().parent
    right = found["same"] and package in Path(found["file"]).resolve().parents
    if right and found["module"].split(".")[:2] == ["nnunet_plugins", "training"]:
        return Finding("ok", "trainers", f"nnU-Net finds {TRAINER} in {found['module']}")
    detail = f"nnU-Net finds another {TRAINER}: {found['module']} in {found['file']}"
    fix = f"remove its folder from {EXTENSIONS}, or rename that class"
    return Finding("broken", "trainers", detail, fix)
