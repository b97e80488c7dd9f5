"""What `nnunet-plugins env` prints, read by a real shell."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_plugins.commands import env as command
from nnunet_plugins.environment import (
    EXTENSIONS,
    FOLDERS,
    SMALL_CPU,
    exports,
    extension_folder,
    register_trainers,
    variables,
)
from nnunet_plugins.errors import UserError

OURS = str(extension_folder())


def in_shell(text, *names, **set_before):
    """Evaluate the text as `eval "$(...)"` does, and return variables."""
    script = 'eval "$TEXT"; ' + " ".join(f"printf '%s\\n' \"${name}\";" for name in names)
    done = subprocess.run(
        ["sh", "-ec", script],
        env={"PATH": os.environ["PATH"], "TEXT": text, **set_before},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["plain", "two  blanks", "it's", 'a "quote"', "$HOME;`x`", "-rf"])
def test_a_shell_sets_the_variables_and_creates_the_folders(tmp_path, name):
    root = tmp_path / name
    values = in_shell(exports(root, environ={}), *FOLDERS, EXTENSIONS)
    assert values == [*(str(root / folder) for folder in FOLDERS), OURS]
    assert all((root / folder).is_dir() for folder in FOLDERS)


def test_the_first_line_creates_the_folders(tmp_path):
    assert exports(tmp_path, environ={}).startswith(f"mkdir -p -- {tmp_path}/nnUNet_raw ")


def test_a_second_call_changes_nothing(tmp_path):
    first = variables(tmp_path, environ={})
    assert variables(tmp_path, environ=first) == first
    assert variables(None, environ=first) == first


def test_the_users_own_trainers_are_kept_behind_ours(tmp_path):
    theirs = os.pathsep.join(["/my trainers", OURS, "", "/more"])
    value = variables(tmp_path, environ={EXTENSIONS: theirs})[EXTENSIONS]
    assert value.split(os.pathsep) == [OURS, "/my trainers", "/more"]


def test_our_folder_of_a_deleted_environment_is_removed(tmp_path):
    gone = tmp_path / "gone" / "nnunet_plugins" / "nnunet_ext"
    kept = tmp_path / "kept" / "nnunet_plugins" / "nnunet_ext"
    kept.mkdir(parents=True)
    present = os.pathsep.join([str(gone), str(kept), "/theirs/gone"])
    value = variables(tmp_path, environ={EXTENSIONS: present})[EXTENSIONS]
    assert value.split(os.pathsep) == [OURS, str(kept), "/theirs/gone"]


def test_home_and_relative_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert variables(Path("~/data"), environ={})["nnUNet_raw"] == f"{tmp_path}/data/nnUNet_raw"
    assert variables("data", environ={})["nnUNet_raw"] == f"{tmp_path}/data/nnUNet_raw"


def test_without_root_the_current_values_are_kept():
    present = {name: f"/somewhere/{name}" for name in FOLDERS}
    assert variables(None, environ=present) == {**present, EXTENSIONS: OURS}


def test_root_overrides_the_current_values(tmp_path):
    present = {name: f"/somewhere/{name}" for name in FOLDERS}
    assert variables(tmp_path, environ=present)["nnUNet_raw"] == str(tmp_path / "nnUNet_raw")


@pytest.mark.parametrize("lacking", [{"nnUNet_raw": "/r"}, {**dict.fromkeys(FOLDERS, ""), "x": ""}])
def test_without_root_all_three_must_be_set(lacking):
    with pytest.raises(UserError, match=r"not set: .*nnUNet_results; pass --root"):
        variables(None, environ=lacking)


@pytest.mark.parametrize("root", ["/a\nb", "/a\0b", "/a\rb"])
def test_paths_with_a_line_break_or_nul_are_rejected(root):
    with pytest.raises(UserError, match="line break or NUL"):
        exports(Path(root), environ={})


def test_an_empty_root_is_rejected():
    with pytest.raises(UserError, match="--root is empty"):
        variables("", environ={})


def test_small_cpu_settings_on_request(tmp_path):
    assert not SMALL_CPU.keys() & variables(tmp_path, environ={}).keys()
    text = exports(tmp_path, cpu=True, environ={})
    assert in_shell(text, "nnUNet_n_proc_DA", "OMP_WAIT_POLICY", "MPLBACKEND") == [
        "1",
        "passive",
        "Agg",
    ]


def test_the_command_prints_shell_text_only(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(EXTENSIONS, raising=False)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args(["--root", str(tmp_path), "--cpu"])) == 0
    assert capsys.readouterr().out == exports(tmp_path, cpu=True)


def test_registering_keeps_folders_and_is_idempotent(monkeypatch):
    monkeypatch.setenv(EXTENSIONS, os.pathsep.join(["/my trainers", OURS]))
    for _ in range(2):
        register_trainers()
        assert os.environ[EXTENSIONS].split(os.pathsep) == [OURS, "/my trainers"]
    monkeypatch.delenv(EXTENSIONS)
    register_trainers()
    assert os.environ[EXTENSIONS] == OURS


def test_importing_it_is_light():
    code = "import sys, nnunet_plugins.environment; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(OURS).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"torch", "numpy", "nnunetv2", "SimpleITK", "monai", "tqdm", "subprocess", "json"}
    assert not heavy & set(done.stdout.split())
