"""Memory and time of `nnunet-plugins predict` against nnUNetv2_predict on one volume, on the CPU or a GPU.

    python benchmarks/predict.py --size 512 512 280 --classes 20 4
    python benchmarks/predict.py --size 256 256 140 --classes 20 4 -o benchmarks/results/predict_cpu.json
    python benchmarks/predict.py --size 512 512 280 --classes 20 --resampling torch
    python benchmarks/predict.py -device cuda

The volume is a phantom of as many tissues as classes, and the network classifies by intensity, so that the label map
has the smooth surfaces of a trained model's. The network costs little: the rest of the prediction is measured. Each
command is a process. Its peak is the largest resident memory of any of its processes, as GNU time reports it, and
that of all its processes together (proportional, sampled twice a second). The export, from logits to label map, is
also measured alone, on the same logits; its time is that of the CPU, which other programs hardly change.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from scipy.ndimage import gaussian_filter

TRAINER = "nnUNetPlainTrainer"
SPACING = (0.7, 0.7, 1.0)  # mm, x y z
PLANNED = [1.0, 1.0, 1.0]
PATCH = [96, 96, 96]


def phantom(size: list[int], classes: int) -> np.ndarray:
    """Ellipsoids of grey values 0, 1, ... classes - 1 with blurred edges and little noise, (z, y, x)."""
    rng = np.random.default_rng(0)
    shape = np.array(size[::-1])
    image = np.zeros(shape, np.float32)
    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    for value in np.repeat(np.arange(1, classes), 2):
        centre, radius = rng.uniform(0.15, 0.85, 3) * shape, rng.uniform(0.04, 0.16, 3) * shape
        distance = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True))
        image[distance < 1] = value
    image = gaussian_filter(image, 1.0, output=np.float32)
    image += rng.normal(scale=0.02, size=shape).astype(np.float32)
    return image


def write_model(folder: Path, classes: int, torch_resampling: bool) -> None:
    """A model whose logits are linear in the intensity: largest for the class of the nearest grey value."""
    architecture = {
        "network_class_name": "nnunet_plugins.networks.nnUNetPlain",
        "arch_kwargs": {
            "n_stages": 2, "features_per_stage": [2, 2], "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[1, 1, 1], [1, 1, 1]], "strides": [[1, 1, 1], [2, 2, 2]],
            "n_conv_per_stage": [1, 1], "n_conv_per_stage_decoder": [1], "conv_bias": True,
            "norm_op": None, "norm_op_kwargs": None, "dropout_op": None, "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"negative_slope": 1.0},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }  # fmt: skip
    resample, order = "resample_data_or_seg_to_shape", {"order_z": 0, "force_separate_z": None}
    data, logits = {"is_seg": False, "order": 3, **order}, {"is_seg": False, "order": 1, **order}
    if torch_resampling:
        resample = "resample_torch_fornnunet"
        data = logits = {"is_seg": False, "memefficient_seg_resampling": False}
    configuration = {
        "data_identifier": "bench", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": PATCH, "median_image_size_in_voxels": PATCH, "spacing": PLANNED,
        "normalization_schemes": ["NoNormalization"], "use_mask_for_norm": [False],
        "batch_dice": False, "architecture": architecture,
        "resampling_fn_data": resample, "resampling_fn_data_kwargs": data,
        "resampling_fn_seg": resample, "resampling_fn_seg_kwargs": {**logits, "is_seg": True},
        "resampling_fn_probabilities": resample, "resampling_fn_probabilities_kwargs": logits,
    }  # fmt: skip
    plans = {
        "dataset_name": "Dataset999_Bench", "plans_name": "P", "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "label_manager": "LabelManager",
        "original_median_spacing_after_transp": PLANNED, "original_median_shape_after_transp": PATCH,
        "experiment_planner_used": "ExperimentPlanner",
        "foreground_intensity_properties_per_channel": {"0": {}},
        "configurations": {"3d_fullres": configuration},
    }  # fmt: skip
    names = {"background": 0} | {f"class{n}": n for n in range(1, classes)}
    dataset = {
        "channel_names": {"0": "noNorm"}, "labels": names, "numTraining": 1,
        "file_ending": ".nii.gz", "overwrite_image_reader_writer": "SimpleITKIO",
    }  # fmt: skip
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunet_plugins.training.trainers import TRAINERS

    manager = PlansManager(plans)
    network = TRAINERS[TRAINER].build_network_architecture(
        manager, manager.get_configuration("3d_fullres"), 1, classes, False
    )
    weights = linear_weights(network.state_dict(), classes)
    torch.save(
        {
            "trainer_name": TRAINER, "init_args": {"configuration": "3d_fullres"},
            "inference_allowed_mirroring_axes": None, "network_weights": weights,
        },
        folder / "fold_0" / "checkpoint_final.pth",
    )  # fmt: skip


def linear_weights(weights: dict[str, Any], classes: int) -> dict[str, Any]:
    """The first feature is the intensity x; the logit of class c is 2 c x - c^2, largest for the c nearest to x."""
    changed = {}
    for name, value in weights.items():
        value = torch.zeros_like(value)
        if value.ndim == 5 and "seg_layers" not in name and "transpconvs" not in name:
            # After the concatenation in the decoder, the skipped features are the second half.
            value[0, value.shape[1] - 2 if value.shape[1] == 4 else 0] = 1
        if "seg_layers" in name:
            number = torch.arange(classes, dtype=torch.float32)
            if value.ndim == 5:
                value[:, 0, 0, 0, 0] = 2 * number
            else:
                value = -(number**2)
        changed[name] = value
    return changed


class Sampler(threading.Thread):
    """Samples the proportional memory of a process and all its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak, self.over = pid, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            self.peak = max(self.peak, sum(map(_pss, _family(self.pid))))


def _family(pid: int) -> set[int]:
    found = {pid}
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int(
                    (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
                )
            except (OSError, IndexError):
                continue
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0
    )


def measured(command: list[str], log: Path) -> dict[str, float]:
    """Run a command; returns seconds and the peak of its largest process and of all together."""
    script = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[2:]); "
        "use = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "open(sys.argv[1], 'w').write(f'{use.ru_maxrss} {use.ru_utime + use.ru_stime}'); sys.exit(code)"
    )
    peak = log.with_suffix(".peak")
    began = time.monotonic()
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(peak), *command], stdout=stream, stderr=stream
        )
        sampler = Sampler(process.pid)
        sampler.start()
        code = process.wait()
    sampler.over.set()
    if code:
        raise SystemExit(f"{command[0]}: status {code}\n{log.read_text()[-3000:]}")
    largest, cpu = peak.read_text().split()
    return {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(float(cpu), 1),
        "peak_gb": round(int(largest) * 1024 / 1e9, 2),
        "peak_all_processes_gb": round(sampler.peak / 1e9, 2),
    }


def export(model: Path, image: Path, classes: int, ours: bool, target: Path) -> None:
    """Export the same logits as nnU-Net or as predict does; writes the labels, CPU seconds and memory."""
    from nnunetv2.inference.export_prediction import (
        convert_predicted_logits_to_segmentation_with_correct_shape as convert,
    )

    from nnunet_plugins.prediction import find_model, load
    from nnunet_plugins.prediction.label_maps import Grids, label_map

    predictor = load(find_model(model), "cpu")
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(image)))
    grid = [round(n * s / p) for n, s, p in zip(values.shape, SPACING[::-1], PLANNED, strict=True)]
    places = [torch.arange(n) * (m / n) for n, m in zip(grid, values.shape, strict=True)]
    data = torch.from_numpy(values)[torch.meshgrid(*(p.long() for p in places), indexing="ij")]
    properties = {
        "spacing": SPACING[::-1], "shape_before_cropping": values.shape,
        "shape_after_cropping_and_before_resampling": values.shape,
        "bbox_used_for_cropping": [[0, n] for n in values.shape],
    }  # fmt: skip
    logits = torch.empty((classes, *grid), dtype=torch.half)
    for number in range(classes):
        logits[number] = (2 * number * data - number**2).half()
    size = values.shape
    del values, data
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    if ours:
        out = np.zeros(size, np.uint8)
        grids = Grids.of(predictor, grid, properties)
        label_map(iter(torch.split(logits, 8, 1)), grids, out)
    else:
        out = convert(
            logits, predictor.plans_manager, predictor.configuration_manager, predictor.label_manager,
            properties, num_threads_torch=torch.get_num_threads(),
        )  # fmt: skip
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    np.save(target.with_suffix(".npy"), out)
    logits_gb = logits.nbytes / 1e9
    target.write_text(
        json.dumps(
            {
                "cpu_seconds": round(seconds, 1),
                "peak_gb": round(peak * 1024 / 1e9, 2),
                "above_logits_gb": round((peak - before) * 1024 / 1e9, 2),
                "logits_gb": round(logits_gb, 2),
            }
        )
    )


def exports(model: Path, image: Path, classes: int) -> dict[str, Any]:
    """Both exports, each in a process, and whether their label maps are equal."""
    found: dict[str, Any] = {}
    for who in ("nnunet", "predict"):
        target = image.parent.parent / f"export_{who}.json"
        subprocess.run(
            [sys.executable, __file__, "--export", str(model), str(image), str(classes), who, str(target)],
            check=True,
        )  # fmt: skip
        found[who] = json.loads(target.read_text())
    one, other = (
        np.load(image.parent.parent / f"export_{who}.npy") for who in ("nnunet", "predict")
    )
    ratio = found["predict"]["cpu_seconds"] / max(found["nnunet"]["cpu_seconds"], 1e-9)
    return found | {
        "ratio_cpu": round(ratio, 3),
        "differing_voxels": int((one != other).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, nargs=3, default=[256, 256, 140], help="x y z")
    parser.add_argument("--classes", type=int, nargs="+", default=[20, 4])
    parser.add_argument("-device", default="cpu")
    parser.add_argument("--resampling", choices=("default", "torch"), default="default")
    parser.add_argument("--export", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--export-only", action="store_true", help="time the export alone")
    parser.add_argument("-o", dest="output", type=Path)
    arguments = parser.parse_args()
    from nnunet_plugins.environment import register_trainers

    register_trainers()
    if arguments.export:
        model_folder, file, count, who, target = arguments.export
        export(Path(model_folder), Path(file), int(count), who == "predict", Path(target))
        return
    found = []
    for classes in arguments.classes:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            model = folder / f"{TRAINER}__P__3d_fullres"
            write_model(model, classes, arguments.resampling == "torch")
            image = folder / "in" / "case_0000.nii.gz"
            image.parent.mkdir()
            volume = sitk.GetImageFromArray(phantom(arguments.size, classes))
            volume.SetSpacing(SPACING)
            sitk.WriteImage(volume, str(image))
            del volume
            row: dict[str, Any] = {"classes": classes}
            if not arguments.export_only:
                shared = ["-device", arguments.device, "-step_size", "1", "-f", "0"]
                tools = Path(sys.executable).parent
                row["nnUNetv2_predict"] = measured(
                    [str(tools / "nnUNetv2_predict_from_modelfolder"), "-i", str(image.parent), "-o",
                     str(folder / "theirs"), "-m", str(model), "-npp", "1", "-nps", "1", *shared],
                    folder / "theirs.log",
                )  # fmt: skip
                row["predict"] = measured(
                    [sys.executable, "-m", "nnunet_plugins", "predict", str(image.parent), "-o",
                     str(folder / "ours"), "--model", str(model), *shared],
                    folder / "ours.log",
                )  # fmt: skip
                one, other = (
                    sitk.GetArrayFromImage(sitk.ReadImage(str(folder / who / "case.nii.gz")))
                    for who in ("theirs", "ours")
                )
                row["labels"] = len(np.unique(one))
                row["differing_voxels"] = int((one != other).sum())
                ratios = {}
                for key in ("seconds", "cpu_seconds", "peak_gb", "peak_all_processes_gb"):
                    ratios[key] = round(row["predict"][key] / row["nnUNetv2_predict"][key], 3)
                row["ratios"] = ratios
            row["export"] = exports(model, image, classes)
        found.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    record = {
        "size": arguments.size, "spacing": SPACING, "planned_spacing": PLANNED, "patch": PATCH,
        "resampling": arguments.resampling, "device": arguments.device, "torch": torch.__version__,
        "threads": torch.get_num_threads(), "cores": os.cpu_count(), "rows": found,
    }  # fmt: skip
    text = json.dumps(record, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
