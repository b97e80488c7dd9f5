"""Running Python code in another process, as the packages under test may crash or hang on import."""

import json
import subprocess
import sys
import textwrap
from typing import Any

from nnunet_plugins.doctor.finding import Environ

PROBE_SECONDS = 300

# The child has this process's sys.path; its answer is the last line, after anything else that is printed.
_FRAME = """
import contextlib, json, sys
sys.path[:] = json.loads({path!r})
with contextlib.redirect_stdout(sys.stderr):
{body}
print()
print(json.dumps(answer))
"""


def probe(body: str, environ: Environ) -> tuple[dict[str, Any] | None, str]:
    """Run code that sets `answer` in another process; return the answer, or None and the cause of failure."""
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
        lines = done.stderr.strip().splitlines()
        return None, lines[-1] if lines else f"the process ended with status {done.returncode}"
