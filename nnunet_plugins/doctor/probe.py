"""Asking Python in another process, as what is looked at may crash or hang when imported."""

import json
import subprocess
import sys
import textwrap
from typing import Any

from nnunet_plugins.doctor.finding import Environ

PROBE_SECONDS = 300

# The child looks for modules where this process does, and answers past whatever is printed.
_FRAME = """
import contextlib, json, sys
sys.path[:] = json.loads({path!r})
with contextlib.redirect_stdout(sys.stderr):
{body}
print()
print(json.dumps(answer))
"""


def probe(body: str, environ: Environ) -> tuple[dict[str, Any] | None, str]:
    """Run Python text that sets `answer` in another process: its answer, or None and why not."""
    code = _FRAME.format(path=json.dumps(sys.path), body=textwrap.indent(body, "    "))
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
        return json.loads(done.stdout.strip().splitlines()[-1]), ""
    except subprocess.TimeoutExpired:
        return None, f"no answer within {PROBE_SECONDS} s"
    except (ValueError, IndexError):
        said = done.stderr.strip().splitlines()
        return None, said[-1] if said else f"the process ended with status {done.returncode}"
