"""The command line: help without heavy imports, and mistakes reported in a line or two."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dataset_conversion.datasets.registry import CONVERTERS
from nnunet_plugins import cli
from nnunet_plugins.cli import COMMANDS, main
from nnunet_plugins.commands.networks import ROWS
from nnunet_plugins.errors import UserError

HEAVY = {"torch", "nnunetv2", "SimpleITK", "numpy", "monai", "matplotlib", "scipy", "pydicom"}


def python(*arguments, **environ):
    return subprocess.run(
        [sys.executable, *arguments],
        env={k: v for k, v in os.environ.items() if not k.startswith("nnUNet_")} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


# help


def test_help_imports_no_heavy_module():
    done = python("-X", "importtime", "-m", "nnunet_plugins", "--help")
    assert done.returncode == 0
    assert set(COMMANDS) <= {
        line.split()[0] for line in done.stdout.splitlines() if line[:4] == "    "
    }
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "nnunet_plugins.commands.plan" in imported
    assert not HEAVY & imported


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name in COMMANDS),
        *(["convert", name] for name in CONVERTERS),
        ["ablation", "list"],
        ["ablation", "plans"],
    ],
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: nnunet-plugins {' '.join(command)} ")


def test_the_help_line_of_a_command_is_its_modules_first_line(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name, module in COMMANDS.items():
        first = module.__doc__.splitlines()[0].rstrip(".")
        assert f"{name} {' '.join(first.split())}" in shown


# networks


@pytest.fixture(scope="module")
def networks():
    return importlib.import_module("nnunet_plugins.networks").NETWORKS


@pytest.fixture(scope="module")
def trainers():
    module = importlib.import_module("nnunet_plugins.nnunet_ext.nnunet_plugins_trainers")
    return {row.trainer: getattr(module, row.trainer) for row in ROWS}


def test_networks_lists_each_network_once(networks, capsys):
    assert main(["networks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["network", "dims", "what", "proposed", "in"]
    assert max(map(len, lines)) <= 100
    assert sorted(line.split()[0] for line in lines[1 : lines.index("")]) == sorted(networks)


def test_each_network_has_a_trainer_that_trains_it(networks, trainers):
    assert {t.network_name: name for name, t in trainers.items()} == {
        network: f"{network}Trainer" for network in networks
    }


def test_the_list_states_ranks_and_papers_of_the_networks(networks):
    from nnunet_plugins.papers.library import PAPERS

    assert {row.network: row.paper for row in ROWS if row.paper} == {
        paper.network: paper.key for paper in PAPERS
    }
    for row in ROWS:
        assert row.ranks.split() == [f"{rank}D" for rank in networks[row.network].ranks]


def test_networks_as_json(networks, capsys):
    assert main(["networks", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {entry["network"]: entry["trainer"] for entry in listed} == {
        network: f"{network}Trainer" for network in networks
    }
    compared = {entry["network"]: entry["compared_in"] for entry in listed}
    assert compared["UNETR"] == ["yan2025-mag-unet", "sij-fm-25d-attention-unet"]
    assert compared["MAGUNet"] == []


@pytest.fixture(scope="module")
def counted():
    """Counts of the papers' topologies, each built once."""
    from nnunet_plugins.papers import topologies

    real, known = topologies.count, {}

    def count(topology):
        key = (topology.paper, topology.name)
        if key not in known:
            known[key] = real(topology)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topologies, "count", count)
        yield


@pytest.mark.integration
@pytest.mark.usefixtures("counted")
def test_published_sizes_next_to_ours(capsys):
    from nnunet_plugins.papers.library import TOPOLOGIES

    assert main(["networks", "--paper"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    lines = text.splitlines()
    heading = next(
        line for line in lines if line.startswith("silveira2025-inception-dual (Table 8")
    )
    exact = lines[lines.index(heading) + 1 :][:5]
    assert all(line.partition("[")[0].split()[-1] == "none" for line in exact)
    for mark in {line.split()[-1] for line in text.splitlines() if line.endswith("]")}:
        assert f"\n{mark} " in text

    assert main(["networks", "--paper", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [r["row"] for r in records] == [t.name for t in TOPOLOGIES]
    dual = next(r for r in records if r["row"] == "Proposed Model")
    assert dual["here"] == {"total": 31475396, "trainable": 31463140, "non_trainable": 12256}
    assert dual["published"] == dual["here"]
    assert (dual["difference"], dual["difference_percent"]) == (0, 0.0)
    assert "as printed" in dual["note"]
    assert all(r["note"] for r in records if abs(r["difference_percent"]) > 0.1)


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("paper", ["003", "silveira2025-inception-dual"])
def test_published_sizes_of_one_paper(paper, capsys):
    assert main(["networks", "--paper", paper, "--json"]) == 0
    found = {record["paper"] for record in json.loads(capsys.readouterr().out)}
    assert found == {"silveira2025-inception-dual"}


def test_published_sizes_of_an_unknown_paper(said):
    error = said("networks", "--paper", "yan2024")
    assert "no paper called 'yan2024'; known, the nearest first: yan2025-mag-unet, " in error
    assert "no paper called ''; known, the nearest first: " in said("networks", "--paper", "")


# ablation


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "--table", "1.4"], "no table called '1.4'; known, the nearest first: yan2025-mag-unet.4, "),
        (["list", "--table", ""], "no table called ''; known, the nearest first: "),
        (["plans", "1", "--table", "0042"], "no table called '0042'; known, the nearest first: cai2023-aspp-"),
        (["plans", "1", "--table", "001.4", "--rows", "mmf"], "yan2025-mag-unet.4: no row called 'mmf'; known, the "),
        (["plans", "7", "--table", "yan2025-mag-unet.4"], "there are: Dataset001_One, Dataset012_Two"),
        (["plans", "1", "--table", "001.4"], "Dataset001_One: no plans called ModularUNetPlans or nnUNetPlans"),
    ],
)  # fmt: skip
def test_ablation_names_the_bad_value_and_what_is_known(said, root, arguments, words):
    assert words in said("ablation", *arguments)


def test_ablation_without_variables_names_the_fix(said, root, monkeypatch):
    monkeypatch.delenv("nnUNet_preprocessed")
    assert "nnUNet_preprocessed is not set; run eval" in said(
        "ablation", "plans", "1", "--table", "yan2025-mag-unet.4"
    )


def test_the_list_of_tables_is_free_of_torch():
    code = "import sys; from nnunet_plugins.cli import main; main(['ablation', 'list']); print(*sys.modules)"
    done = python("-c", code)
    assert "yan2025-mag-unet.4" in done.stdout
    assert not HEAVY & set(done.stdout.split())


def test_the_list_of_networks_is_free_of_torch():
    code = (
        "import sys; from nnunet_plugins.cli import main; main(['networks']); print(*sys.modules)"
    )
    done = python("-c", code)
    assert "MAGUNet" in done.stdout
    assert not HEAVY & set(done.stdout.split())


# errors


def stand_in(monkeypatch, error):
    def run(arguments):
        raise error

    command = SimpleNamespace(__doc__="Fail.", add_arguments=lambda parser: None, run=run)
    monkeypatch.setitem(cli.COMMANDS, "networks", command)


@pytest.mark.parametrize(
    "error", [UserError("bad value"), FileNotFoundError(2, "bad value", "/x"), PermissionError("bad value")]
)  # fmt: skip
def test_a_user_error_is_one_line_and_status_2(said, monkeypatch, error):
    stand_in(monkeypatch, error)
    line = said("networks")
    assert line.startswith("nnunet-plugins networks: ")
    assert "bad value" in line
    assert line.count("\n") == 1


def test_an_internal_error_keeps_its_traceback(monkeypatch):
    stand_in(monkeypatch, KeyError("ours"))
    with pytest.raises(KeyError, match="ours"):
        main(["networks"])


def test_ctrl_c_ends_the_process_with_status_130():
    code = """
import os, signal
from types import SimpleNamespace
from nnunet_plugins import cli
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background job
run = lambda arguments: os.kill(os.getpid(), signal.SIGINT)
cli.COMMANDS["env"] = SimpleNamespace(__doc__="Stop.", add_arguments=lambda parser: None, run=run)
import sys; sys.argv[1:] = ["env"]
cli.console()
"""
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (130, "nnunet-plugins env: interrupted\n")


def test_interruption_is_130(said, monkeypatch):
    stand_in(monkeypatch, KeyboardInterrupt())
    assert said("networks", status=130) == "nnunet-plugins networks: interrupted\n"


def test_debug_shows_the_traceback():
    plain = python("-m", "nnunet_plugins", "env")
    assert plain.returncode == 2
    assert plain.stderr.startswith("nnunet-plugins env: not set: nnUNet_raw")
    assert "Traceback" not in plain.stderr
    debug = python("-m", "nnunet_plugins", "--debug", "env")
    assert debug.returncode != 0
    assert debug.stderr.startswith("Traceback")
    assert "UserError: env: not set: nnUNet_raw" in debug.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["paln"], "invalid choice: 'paln' (choose from plan, "),
        (["rounds", "staus"], "invalid choice: 'staus' (choose from status, "),
        (["--debgu", "env"], "unrecognized arguments: --debgu; nearest: --debug"),
        (["report", "x", "--refrence=y"], "report: error: unrecognized arguments: --refrence=y; nearest: --ref"),
        (["convert", "csig", "x", "--splt", "own"], "unrecognized arguments: --splt own; nearest: --split"),
        (["rounds", "status", "x", "--xyz"], "rounds status: error: unrecognized arguments: --xyz\n"),
        ([], "required: COMMAND"),
        (["plan", "1"], "required: --network"),
        (["plan", "1", "--network", "MAGUNet", "--recipe", "p"], "invalid choice: 'p'"),
        (["convert"], "required: DATASET"),
        (["convert", "spine"], "invalid choice: 'spine'"),
    ],
)  # fmt: skip
def test_a_rejected_argument_is_named_with_status_2(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_an_ascii_terminal_still_gets_output(tmp_path):
    done = python(
        "-m", "nnunet_plugins", "env", "--root", str(tmp_path / "ü"), PYTHONIOENCODING="ascii"
    )
    assert done.returncode == 0, done.stderr


def test_the_installed_command_ends_with_the_status_of_main(tmp_path):
    command = str(Path(sys.executable).with_name("nnunet-plugins"))
    if not Path(command).exists():
        pytest.skip("the command is not installed with this Python")
    done = subprocess.run([command, "networks"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip().splitlines()[-1]
    wrong = subprocess.run(
        [command, "check", str(tmp_path / "none")], capture_output=True, check=False
    )
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(b"nnunet-plugins check: ")


def test_exit_waits_for_threads_and_pools(tmp_path):
    code = f"""
import threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from nnunet_plugins import cli
def main():
    def late(name):
        time.sleep(0.5)
        Path({str(tmp_path)!r}, name).write_text("done")
    threading.Thread(target=late, args=("thread",)).start()
    ThreadPoolExecutor(1).submit(late, "pool")
    return 7
cli.main = main
cli.console()
"""
    assert python("-c", code).returncode == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pool", "thread"]


def test_a_closed_stdout_is_not_an_error():
    done = subprocess.run(
        f"{sys.executable} -m nnunet_plugins ablation list >&-",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_broken_pipe_is_silent():
    # As in `nnunet-plugins ablation list | head -1`.
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "nnunet_plugins", "ablation", "list"],
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    os.close(reading)
    _, said = process.communicate()
    assert said == b""
    assert process.returncode == 141


def test_a_missing_package_is_one_line(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")\n")
    done = subprocess.run(
        [sys.executable, "-m", "nnunet_plugins", "networks", "--paper"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "No module named 'torch'" in done.stderr
    assert "Traceback" not in done.stderr
    assert "pip install" in done.stderr
