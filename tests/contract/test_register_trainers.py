"""`nnunet_plugins.register_trainers()`: nnU-Net finds our trainers in a process that no shell prepared.

Each test runs in its own interpreter: nnU-Net could read the variable when it is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_plugins.environment import EXTENSIONS

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
LOOK_UP = (
    "from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as look_up\n"
)
REGISTER = "import nnunet_plugins; nnunet_plugins.register_trainers()\n"


def run(folder: Path, code: str, **environ: str) -> str:
    """Run a script file and return the last line that it prints."""
    script = folder / "script.py"
    script.write_text(code)
    without = {name: value for name, value in os.environ.items() if name != EXTENSIONS}
    done = subprocess.run(
        [sys.executable, str(script)], env={**without, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_the_look_up_finds_our_class_if_nnunet_is_imported_before(tmp_path):
    code = LOOK_UP + REGISTER + "from nnunet_plugins.training.trainers import TRAINERS\n"
    code += "print(look_up('MAGUNetTrainer') is TRAINERS['MAGUNetTrainer'])\n"
    assert run(tmp_path, code) == "True"


def test_spawned_workers_find_our_trainers_and_the_users(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "their_module.py").write_text(
        "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer\n"
        "class TheirTrainer(nnUNetTrainer):\n    pass\n"
    )
    code = LOOK_UP + (
        "import multiprocessing, os\n"
        "def module(name):\n"
        "    return look_up(name).__module__\n"
        "if __name__ == '__main__':\n"
        f"    {REGISTER}"
        "    os.chdir('/')\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(*pool.map(module, ['MAGUNetTrainer', 'TheirTrainer']))\n"
    )
    found = run(tmp_path, code, **{EXTENSIONS: os.path.relpath(theirs)})
    assert found == "nnunet_plugins.training.trainers their_module"
