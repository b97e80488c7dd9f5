"""Convert in processes that kill themselves before their n-th change or access below a folder.

Run as a script: source, options as JSON, then pairs of a raw folder and n; with 0 the process runs to its
end. One line of JSON reports, per pair, the names of all events if the process ended, or null if it was killed.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from dataset_conversion.datasets.hospital_ct import Options, convert

CHANGES = ("os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")


def kill_before(number: int, folder: Path) -> list[str]:
    """Kill this process before event `number`: files opened in `folder`, and changes of names."""
    seen: list[str] = []
    lock, here = threading.Lock(), str(folder)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in CHANGES or (event == "open" and str(arguments[0]).startswith(here)):
            with lock:
                seen.append(event)
                if len(seen) == number:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return seen


def run(source: Path, options: dict[str, object], raw: Path, number: int) -> list[str] | None:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        seen = kill_before(number, raw)
        options = {**options, "labels": source / "labels.json"}
        convert(source, raw, 660, options=Options(**options))  # type: ignore[arg-type]
        os.write(writer, " ".join(seen).encode())
        os._exit(0)
    os.close(writer)
    seen_by_child = os.read(reader, 1 << 16)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        return None
    if code:
        raise SystemExit(f"{raw}: the conversion ended with {code}")
    return seen_by_child.decode().split()


if __name__ == "__main__":
    pairs = sys.argv[3:]
    print(json.dumps([run(Path(sys.argv[1]), json.loads(sys.argv[2]), Path(raw), int(number))
                      for raw, number in zip(pairs[::2], pairs[1::2], strict=True)]))  # fmt: skip
