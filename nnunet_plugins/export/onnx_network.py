"""A network as an ONNX file, compared with the original before it is kept."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import torch
from packaging.version import Version
from torch import Tensor, nn

from nnunet_plugins.errors import UserError
from nnunet_plugins.optional_imports import need

INPUT, OUTPUT = "image", "logits"
#: Largest difference of the logits, as a share of the largest logit if that is above 1.
TOLERANCE = 1e-4
#: Before, torch's exporter of torch.export fails on 3D networks, so the graph is traced.
EXPORTER = Version("2.9")
#: How torch names an operator that has no counterpart in ONNX.
_OPERATOR = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.:]+)'")


def write_onnx(network: nn.Module, channels: int, patch: Sequence[int], path: Path) -> float:
    """Write a network for one patch size and return the largest difference of its logits to the original's.

    The file is run in onnxruntime on normal noise, which is what normalised images resemble.

    Args:
        network: from (1, channels, *patch) to logits (1, K, *patch); it is set to evaluation mode.
        channels: of the image.
        patch: voxels per axis.
        path: of the new file.

    Raises:
        UserError: a package is missing, an operator has no counterpart in ONNX, or the logits differ by more than
            `TOLERANCE`.
    """
    need("onnxscript", "onnx", "export to ONNX")
    network = network.cpu().float().eval()
    image = torch.randn(1, channels, *patch, generator=torch.Generator().manual_seed(0))
    name = type(network).__name__
    with _silent(), torch.no_grad():
        _export(network, image, path)
    with torch.no_grad():
        expected = network(image).numpy()
    found = run(session(path), image.numpy())
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise UserError(
            f"{name}: the logits of the ONNX file differ from the network's by up to {difference:.2g}; allowed is "
            f"{TOLERANCE:g} of the largest logit. Update torch and onnxruntime, or report it with nnunet-plugins "
            "doctor --report"
        )
    return difference


def _export(network: nn.Module, image: Tensor, path: Path) -> None:
    """Write the graph of torch.export; that of tracing where torch's exporter is young or fails.

    Raises:
        UserError: an operator has no counterpart in ONNX.
    """
    traced = Version(torch.__version__) < EXPORTER
    reason: Exception | None = None
    for dynamo in (False,) if traced else (True, False):
        try:
            torch.onnx.export(
                network, (image,), str(path), dynamo=dynamo, input_names=[INPUT], output_names=[OUTPUT],
                external_data=False, verbose=False,
            )  # fmt: skip
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            reason = reason or error
        else:
            return
    text = f"{type(network).__name__}: cannot be exported to ONNX: "
    raise UserError(text + _reason(reason or RuntimeError())) from reason


def session(path: Path, providers: Sequence[str] = ("CPUExecutionProvider",)) -> object:
    """An onnxruntime session.

    Raises:
        UserError: onnxruntime is not installed, or cannot read the file.
    """
    runtime = need("onnxruntime", "onnx", "an ONNX model")
    try:
        made: object = runtime.InferenceSession(str(path), providers=list(providers))
    except Exception as error:  # onnxruntime raises another class for each status
        raise UserError(
            f"{path}: onnxruntime cannot load it ({error}); export the model again"
        ) from error
    return made


def run(made: object, image: np.ndarray) -> np.ndarray:
    """Logits of a patch: (1, C, *S) -> (1, K, *S), float32."""
    logits: np.ndarray = made.run([OUTPUT], {INPUT: image})[0]  # type: ignore[attr-defined]
    return logits


def _reason(error: BaseException) -> str:
    """The operator that ONNX lacks, else the last cause in one line."""
    cause: BaseException | None = error
    text = ""
    while cause is not None:
        if found := _OPERATOR.search(str(cause)):
            return f"ONNX has no operator for {found[1]}"
        text = next(iter(str(cause).strip().splitlines()), "") or text
        cause = cause.__cause__
    return text[:300]


@contextmanager
def _silent() -> Iterator[None]:
    """Without the exporter's progress and warnings, which concern its authors."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
