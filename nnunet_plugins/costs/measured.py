"""Peak memory of a real training step, from CUDA's allocator or from torch's profiler on the CPU."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from nnunet_plugins.costs.training_step import Setup, TrainingStep


def measure_peak(setup: Setup, device: torch.device, *, half: bool) -> int:
    """Return the peak in bytes of the second step, when the optimizer's state exists.

    Args:
        setup: what is trained.
        device: CPU or CUDA.
        half: fp16 under autocast.
    """
    step = TrainingStep(setup, device, half=half, scaled=half)
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    step.network.zero_grad(set_to_none=True)
    existing = [*step.weights, step.data, *step.targets]
    existing += [
        value
        for state in step.optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        step()
    return sum(t.nbytes for t in existing) + _highest(profile)


def _highest(profile: torch.profiler.profile) -> int:
    """Return the maximum of the bytes allocated since the profile began."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    events = sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"])
    now = highest = 0
    for event in events:
        now += event["args"]["Bytes"]
        highest = max(highest, now)
    return highest
