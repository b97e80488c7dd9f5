"""Peak memory of a training step that is really run: CUDA's allocator, or the CPU's through torch's profiler."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from nnunet_plugins.costs.training_step import Setup, TrainingStep


def measure_peak(setup: Setup, device: torch.device, *, half: bool) -> int:
    """Bytes at the peak of the second step, when the optimiser's state is there.

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
    there = [*step.weights, step.data, *step.targets]
    there += [
        value
        for state in step.optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        step()
    return sum(t.nbytes for t in there) + _highest(profile)


def _highest(profile: torch.profiler.profile) -> int:
    """The most that the allocator had given out since the profile began."""
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
