"""SLURM: a stub of its commands, and a real cluster of one node on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.nnunet_plugins.study.studies import snakemake_or_skip

#: Snakemake asks often, as the jobs are short.
OFTEN = ("--seconds-between-status-checks", "1", "--slurm-init-seconds-before-status-checks", "1")
SBATCH = """#!{python}
import subprocess, sys
from pathlib import Path

here = Path(__file__).parent
calls = here / "calls.txt"
number = len(calls.read_text().splitlines()) if calls.exists() else 0
with calls.open("a") as stream:
    options = " ".join(one for one in sys.argv[1:] if not one.startswith("--wrap"))
    stream.write(" ".join(options.split()) + "\\n")
wrapped = next(one[7:] for one in sys.argv if one.startswith("--wrap="))
(here / f"{{number}}.state").write_text("RUNNING")
script = here / f"{{number}}.sh"
script.write_text(wrapped)
done = f"sh {{script}} >{{here}}/{{number}}.log 2>&1 && s=COMPLETED || s=FAILED; echo $s >{{here}}/{{number}}.state"
subprocess.Popen(["sh", "-c", done], start_new_session=True, stdin=subprocess.DEVNULL,
                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(number)
"""
SACCT = """#!{python}
import sys
from pathlib import Path

for file in Path(__file__).parent.glob("*.state") if "--format=JobIdRaw,State" in sys.argv else ():
    print(f"{{file.stem}}|{{file.read_text().strip()}}")
"""
SRUN = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
exec "$@"
"""
NOTHING = "#!/bin/sh\n"


def slurm_plugin_or_skip() -> None:
    """Skip the test where Snakemake has no plugin for SLURM."""
    python = Path(snakemake_or_skip()).read_text().partition("\n")[0].removeprefix("#!").strip()
    command = [python, "-c", "import snakemake_executor_plugin_slurm"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"snakemake-executor-plugin-slurm is not installed for {python}")


def stubs(folder: Path) -> Path:
    """A folder with stubs of SLURM's commands; sbatch notes its options in calls.txt and starts the job."""
    folder.mkdir()
    texts = {"sbatch": SBATCH, "sacct": SACCT}
    found = {name: text.format(python=sys.executable) for name, text in texts.items()}
    found["srun"] = SRUN
    silent = ("squeue", "sinfo", "scancel", "scontrol", "sacctmgr", "sshare")
    for name, text in (found | dict.fromkeys(silent, NOTHING)).items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@contextmanager
def real_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start munged, slurmctld and slurmd for this machine as the only node; yield the variables of its commands."""
    programs = {name: shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in (
        "munged", "slurmctld", "slurmd", "sbatch", "mungekey")}  # fmt: skip
    missing = [name for name, found in programs.items() if found is None]
    if missing:
        pytest.skip(
            f"SLURM is not installed ({', '.join(missing)}): apt-get install slurm-wlm munge"
        )
    if os.geteuid():
        pytest.skip("slurmd must run as root")
    folder.mkdir()
    host, socket = os.uname().nodename.partition(".")[0], folder / "munge.socket"
    conf = folder / "slurm.conf"
    conf.write_text(
        f"ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\nSlurmctldPort=16817\nSlurmdPort=16818\n"
        f"AuthType=auth/munge\nAuthInfo=socket={socket}\nCredType=cred/munge\nStateSaveLocation={folder}/ctld\n"
        f"SlurmdSpoolDir={folder}/spool\nSlurmctldPidFile={folder}/ctld.pid\nSlurmdPidFile={folder}/slurmd.pid\n"
        f"SlurmctldLogFile={folder}/ctld.log\nSlurmdLogFile={folder}/slurmd.log\n"
        "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nMpiDefault=none\nSwitchType=switch/none\n"
        "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nSlurmdParameters=config_overrides\n"
        "AccountingStorageType=accounting_storage/none\nJobAcctGatherType=jobacct_gather/none\nReturnToService=2\n"
        "MinJobAge=600\nSchedulerParameters=sched_interval=1\n"
        f"NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 State=UNKNOWN\n"
        "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
    )
    for name in ("ctld", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    subprocess.run([str(programs["mungekey"]), "--create", "--keyfile", str(key)], check=True)
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    munge = [programs["munged"], "--foreground", "--force", "--key-file", key, "--socket", socket,
             "--pid-file", folder / "munged.pid", "--seed-file", folder / "munged.seed",
             "--log-file", folder / "munged.log"]  # fmt: skip
    commands = [
        munge,
        [programs["slurmctld"], "-D", "-f", conf],
        [programs["slurmd"], "-D", "-f", conf, "-N", host],
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            started.append(
                subprocess.Popen(
                    [str(one) for one in command], env=environment, start_new_session=True,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
            time.sleep(2)
        _wait_until_idle(environment, folder)
        # Snakemake drops SLURM's variables in its jobs; a cluster has its configuration in /etc.
        srun = folder / "bin" / "srun"
        srun.parent.mkdir()
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        yield {"SLURM_CONF": str(conf), "PATH": f"{srun.parent}:{os.environ['PATH']}"}
    finally:
        for process in reversed(started):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_until_idle(environment: dict[str, str], folder: Path) -> None:
    until, said = time.monotonic() + 60, ""
    while time.monotonic() < until:
        found = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True, check=False
        )  # fmt: skip
        said = found.stdout + found.stderr
        if found.stdout.strip() == "idle":
            return
        time.sleep(1)
    logs = "\n".join(file.read_text()[-800:] for file in folder.glob("*.log"))
    pytest.fail(f"SLURM's node did not become idle: {said}\n{logs}")
