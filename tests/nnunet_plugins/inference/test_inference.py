"""`nnunet-plugins predict`: cases, forecast, resuming, and workers that die."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.io.volumes import header_of
from dataset_conversion.phantoms.dicom import CT, MR, write_series
from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.inference import run as running
from nnunet_plugins.inference.cases import Case, find_cases
from nnunet_plugins.inference.forecast import Forecast, forecast, lines
from nnunet_plugins.inference.run import prepare
from nnunet_plugins.inference.setting import Setting
from nnunet_plugins.inference.worker import Ready, Result, death, work
from nnunet_plugins.prediction import find_model, load
from nnunet_plugins.prediction.case_files import check_case
from nnunet_plugins.prediction.outputs import Outputs
from tests.contract import making
from tests.nnunet_plugins.prediction.models import image, labels_in, make_model, nnunet_predicts

SHAPE = (8, 9, 8)


@pytest.fixture(scope="module")
def model(nnunet, tmp_path_factory):
    return make_model(
        tmp_path_factory.mktemp("model") / "UNetTrainer__Plans__3d_fullres", mirror=None
    )


@dataclass(frozen=True)
class Deadly(Setting):
    """A worker that dies as if memory ran out on an image with a value above 1000."""

    def load(self, model):
        predictor = super().load(model)
        own = predictor._internal_maybe_mirror_and_predict

        def die(part):
            if part.max() > 1000:
                os.kill(os.getpid(), signal.SIGKILL)
            return own(part)

        predictor._internal_maybe_mirror_and_predict = die
        return predictor


@pytest.mark.integration
def test_a_case_that_ends_the_worker_is_named_and_the_others_are_predicted(model, tmp_path):
    cases = [
        Case(f"c{n}", (image(tmp_path / f"c{n}_0000.nii.gz", SHAPE, seed=n),)) for n in range(3)
    ]
    bright = sitk.ReadImage(str(cases[1].images[0]))
    bright[4, 4, 4] = 1e4
    sitk.WriteImage(bright, str(cases[1].images[0]))
    broken = tmp_path / "c3_0000.nii.gz"
    broken.write_bytes(b"no image")
    cases.append(Case("c3", (broken,)))
    ready, *found = work(model, Deadly("cpu"), cases, tmp_path / "out")
    assert isinstance(ready, Ready)
    assert ready.passes == 1
    assert [one.case for one in found] == ["c0", "c1", "c2", "c3"]
    assert [bool(one.failure) for one in found] == [False, True, False, True]
    assert "killed" in found[1].failure
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["c0.nii.gz", "c2.nii.gz"]
    wanted = nnunet_predicts(model, cases[2].images, tmp_path / "nnunet" / "c2")
    np.testing.assert_array_equal(labels_in(tmp_path / "out" / "c2.nii.gz"), wanted)


@pytest.mark.integration
def test_the_command_continues_what_is_incomplete(model, tmp_path, capsys):
    for n in range(2):
        image(tmp_path / "in" / f"c{n}_0000.nii.gz", SHAPE, seed=n)
    out = tmp_path / "out"
    command = ["predict", str(tmp_path / "in"), "-o", str(out), "--model", str(model.folder),
               "-device", "cpu"]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr()
    assert "1/2  c0" in said.out
    assert "forecast:" in said.err
    assert {path.name for path in out.iterdir()} == {
        "c0.nii.gz", "c1.nii.gz", "plans.json", "dataset.json", "nnunet_plugins_predict.json",
    }  # fmt: skip
    assert str(tmp_path) not in (out / "nnunet_plugins_predict.json").read_text()
    before = (out / "c0.nii.gz").stat().st_mtime_ns
    (out / "c1.nii.gz").unlink()
    assert main([*command, "--continue_prediction"]) == 0
    said = capsys.readouterr()
    assert "1/1  c1" in said.out
    assert "1 case complete" in said.err
    assert (out / "c0.nii.gz").stat().st_mtime_ns == before
    assert main([*command, "--continue_prediction", "-step_size", "1"]) == 2
    assert "step_size 0.5, now 1.0" in capsys.readouterr().err


def test_cases_are_files_or_series(model, tmp_path, shared_data):
    first = image(tmp_path / "in" / "c0_0000.nii.gz", SHAPE)
    assert find_cases(tmp_path / "in", model) == ([Case("c0", (first,))], [])
    assert find_cases(first, model) == ([Case("c0", (first,))], [])
    patients = tmp_path / "patients"
    shutil.copytree(shared_data / "dicom_ct" / "series", patients / "Miller^Anna")
    (case,), _ = find_cases(patients, model)
    assert case.dicom == patients / "Miller^Anna"
    assert "Miller" not in case.name
    assert find_cases(patients / "Miller^Anna", model)[0][0].name == case.name
    shutil.copytree(shared_data / "dicom_ct" / "series", patients / "again")
    with pytest.raises(UserError, match="the same series is in several folders"):
        find_cases(patients, model)
    (patients / "again" / next((patients / "again").iterdir()).name).unlink()  # a slice is missing
    found, bad = find_cases(patients, model)[0]
    assert not found.problem
    assert bad.problem
    run = prepare(model, patients, tmp_path / "out", Setting())
    assert [case.dicom for case in run.cases] == [patients / "Miller^Anna"]
    (failed,) = run.refused
    assert failed.failure.startswith(str(patients / "again"))
    two = replace(model, dataset=model.dataset | {"channel_names": {"0": "a", "1": "b"}})
    with pytest.raises(Exception, match="needs 2 images per case"):
        find_cases(patients, two)
    with pytest.raises(UserError, match="no such file or folder"):
        find_cases(tmp_path / "none", model)


@pytest.mark.parametrize(
    ("scanner", "channel", "warned"),
    [(MR, "CT", True), (MR, "T1", False), (MR, "noNorm", False), (CT, "T2 TSE", True), (CT, "CT", False),
     (CT, "t10", False)],
)  # fmt: skip
def test_a_series_of_another_modality_is_noted(model, tmp_path, scanner, channel, warned):
    write_series(
        tmp_path / "series", np.zeros((4, 8, 8), np.uint16), np.eye(4), key="k", scanner=scanner
    )
    other = replace(model, dataset=model.dataset | {"channel_names": {"0": channel}})
    (case,), notes = find_cases(tmp_path / "series", other)
    assert case.dicom == tmp_path / "series"
    assert [note.startswith("WARNING") for note in notes] == [True] * warned


@pytest.mark.integration
def test_a_series_gets_a_label_map_on_its_own_grid(nnunet, tmp_path, shared_data):
    from nnunet_plugins.export.source_series import find_source
    from nnunet_plugins.inference.one_case import predict_one

    series = shared_data / "dicom_ct" / "series"
    grid = find_source(series).grid()
    model = make_model(
        tmp_path / "model", mirror=None, spacing=[n * 8 for n in grid.GetSpacing()[::-1]]
    )
    dataset = model.dataset | {
        "nnunet_plugins": {"orientation": "RAS", "window": None, "steps": []}
    }
    (model.folder / "dataset.json").write_text(json.dumps(dataset))
    model = replace(model, dataset=dataset)
    outputs = Outputs(probabilities=True, entropy=True)
    setting = Setting("cpu", step_size=1, outputs=outputs)
    predict_one(
        load(model, "cpu", step_size=1), model, Case("s", dicom=series), tmp_path / "out", setting
    )
    found = sitk.ReadImage(str(tmp_path / "out" / "s.nii.gz"))
    assert found.GetSize() == grid.GetSize()
    np.testing.assert_allclose(found.GetDirection(), grid.GetDirection(), atol=1e-5)
    np.testing.assert_allclose(found.GetOrigin(), grid.GetOrigin(), atol=1e-3)
    turned = sitk.DICOMOrient(find_source(series).volume(), "RAS")
    sitk.WriteImage(sitk.Cast(turned, sitk.sitkFloat32), str(tmp_path / "s_0000.nii.gz"))
    wanted = nnunet_predicts(
        replace(model), [tmp_path / "s_0000.nii.gz"], tmp_path / "nnunet" / "s",
        predictor=load(model, "cpu", step_size=1),
    )  # fmt: skip
    labels = sitk.GetArrayFromImage(sitk.DICOMOrient(found, "RAS"))
    np.testing.assert_array_equal(labels, wanted)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*outputs.files("s", ".nii.gz")}
    values = np.load(tmp_path / "out" / "s.npz")["probabilities"]
    np.testing.assert_array_equal(values.argmax(0), sitk.GetArrayFromImage(found))
    entropy = sitk.ReadImage(str(tmp_path / "out" / "s_entropy.nii.gz"))
    np.testing.assert_allclose(entropy.GetDirection(), grid.GetDirection(), atol=1e-5)
    expected = -(values * np.log(np.maximum(values, 1e-30))).sum(0)
    np.testing.assert_allclose(sitk.GetArrayFromImage(entropy), expected, atol=1e-5)


def test_the_forecast_counts_windows_and_grows_with_image_and_outputs(model, tmp_path):
    small = Case("small", (image(tmp_path / "a_0000.nii.gz", (16, 16, 16), (1, 1, 1)),))
    large = Case("large", (image(tmp_path / "b_0000.nii.gz", (16, 16, 32), (1, 1, 1)),))
    entry = making.configuration()
    one, other = (forecast(case, model, Setting(), entry) for case in (small, large))
    assert one.windows == 3**3  # patches of 8 at half their length in 16 voxels
    assert other.windows == 3 * 3 * 7
    assert forecast(small, model, Setting(step_size=1), entry).windows == 2**3
    assert other.memory > one.memory
    assert (
        forecast(small, model, Setting(outputs=Outputs(entropy=True)), entry).memory >= one.memory
    )
    flat = forecast(small, model, Setting(), making.configuration(2))
    assert flat.windows == 16 * 3 * 3
    lps = replace(model, dataset=model.dataset | {"nnunet_plugins": {"orientation": "LPS"}})
    thin = Case("thin", (image(tmp_path / "c_0000.nii.gz", (4, 16, 32), (1, 1, 1)),))
    entry |= {"patch_size": [4, 8, 16]}
    wanted = forecast(thin, lps, Setting(), entry).windows
    assert wanted == 1 * 3 * 3
    turned = sitk.DICOMOrient(sitk.ReadImage(str(thin.images[0])), "PIR")
    sitk.WriteImage(turned, str(tmp_path / "d_0000.nii.gz"))
    stored = Case("turned", (tmp_path / "d_0000.nii.gz",))
    assert forecast(stored, lps, Setting(), entry).windows == wanted
    (tmp_path / "dataset.json").write_text(json.dumps(lps.dataset))
    series = Case("series", dicom=tmp_path, grid=header_of(turned))
    model = replace(lps, folder=tmp_path)
    shutil.copy(lps.folder / "plans.json", tmp_path)
    assert forecast(series, model, Setting(), entry).windows == wanted
    sitk.WriteImage(turned[:, :, 0], str(tmp_path / "e_0000.nii.gz"))
    picture = Case("flat", (tmp_path / "e_0000.nii.gz",))
    assert forecast(picture, model, Setting(), making.configuration(2)).windows > 0


def test_the_forecast_names_what_makes_it_fit():
    ready = Ready(10**9, 2.0, 8, {})
    said = lines(
        [Forecast("c1", 3e9, 100)], ready, Setting(outputs=Outputs(probabilities=True)), 2 * 10**9
    )
    assert "4.0 GB of memory for c1, about 27 min" in said[0]
    assert "--disable_tta" in said[1]
    assert "omit --save_probabilities" in said[2]
    assert len(lines([Forecast("c1", 3e6, 1)], ready, Setting(), 2 * 10**9)) == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"step_size": 0.0}, "-step_size 0: expected more than 0"),
        ({"previous": Path("none")}, "no label map of c0"),
        ({"outputs": Outputs(disagreement=True)}, "only fold 0 is used"),
    ],
)
def test_options_are_checked_before_the_model_is_loaded(model, tmp_path, option, message):
    image(tmp_path / "c0_0000.nii.gz", SHAPE)
    with pytest.raises(UserError, match=message):
        prepare(model, tmp_path, tmp_path / "out", Setting(**option))
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_continued_knows_the_sources_of_all_cases(model, tmp_path):
    files = [image(tmp_path / "in" / f"c{n}_0000.nii.gz", SHAPE) for n in range(2)]
    out = tmp_path / "out"
    first = prepare(model, tmp_path / "in", out, Setting())
    assert [case.name for case in first.cases] == ["c0", "c1"]
    first.record.finished("c0", files[:1], ["c0.nii.gz"])
    for name in ("c0", "c1"):  # c1 is of another model
        (out / f"{name}.nii.gz").touch()
    found = prepare(model, tmp_path / "in", out, Setting(), resume=True)
    assert [case.name for case in found.cases] == ["c1"]
    assert found.sources == {"c0": str(files[0]), "c1": str(files[1])}
    files[0].unlink()
    (note,) = prepare(model, tmp_path / "in", out, Setting()).notes
    assert note.endswith("label maps of an earlier run stay in this folder: c0")


def done(run, case, images):
    """A case as if it were predicted."""
    (run.record.folder / f"{case}.nii.gz").parent.mkdir(exist_ok=True)
    (run.record.folder / f"{case}.nii.gz").touch()
    run.record.finished(case, images, [f"{case}.nii.gz"])


def test_a_case_whose_images_changed_is_not_complete(model, tmp_path):
    file = image(tmp_path / "in" / "c0_0000.nii.gz", SHAPE)
    previous = image(tmp_path / "before" / "c0.nii.gz", SHAPE)
    out, setting = tmp_path / "out", Setting(previous=tmp_path / "before")
    done(prepare(model, tmp_path / "in", out, setting), "c0", [file, previous])
    copy = shutil.copytree(tmp_path / "in", tmp_path / "copied")  # other dates, same content
    assert not prepare(model, copy, out, setting, resume=True).cases
    for changed in (file, previous):
        before = changed.read_bytes()
        image(changed, SHAPE, seed=1)
        assert prepare(model, tmp_path / "in", out, setting, resume=True).cases
        changed.write_bytes(before)
        assert not prepare(model, tmp_path / "in", out, setting, resume=True).cases


def test_a_run_is_not_continued_with_weights_of_another_training(model, tmp_path):
    file = image(tmp_path / "in" / "c0_0000.nii.gz", SHAPE)
    out, again = tmp_path / "out", tmp_path / "again" / model.folder.name
    done(prepare(model, tmp_path / "in", out, Setting()), "c0", [file])
    shutil.copytree(model.folder, again)
    same = prepare(find_model(again), tmp_path / "in", out, Setting(), resume=True)
    assert not same.cases
    for name in ("fold_0/checkpoint_final.pth", "dataset.json"):
        content = (again / name).read_bytes()
        (again / name).write_bytes(content + b" ")
        with pytest.raises(UserError, match="was begun with other options"):
            prepare(find_model(again), tmp_path / "in", out, Setting(), resume=True)
        (again / name).write_bytes(content)


def test_a_file_without_a_name_is_refused(model, tmp_path):
    with pytest.raises(UserError, match="the name of the case is empty"):
        find_cases(image(tmp_path / "_0000.nii.gz", SHAPE), model)


def test_a_copy_of_a_fold_is_not_a_fold(model, tmp_path):
    copied = shutil.copytree(model.folder, tmp_path / model.folder.name)
    for name in ("fold_0_old", "fold_0_1", "fold_00"):
        shutil.copytree(copied / "fold_0", copied / name)
    assert find_model(copied).folds == ("0",)
    with pytest.raises(
        UserError, match=r"fold 0_1 has no checkpoint_final.pth; trained folds: 0 \("
    ):
        find_model(copied, ["0_1"])


def test_an_unreadable_file_concerns_its_own_case_only(model, tmp_path):
    good = image(tmp_path / "in" / "c0_0000.nii.gz", SHAPE)
    (tmp_path / "in" / "c1_0000.nii.gz").write_bytes(good.read_bytes()[:50])
    (tmp_path / "in" / "c2_0000.nii.gz").symlink_to(tmp_path / "moved.nii.gz")
    found = prepare(model, tmp_path / "in", tmp_path / "out", Setting())
    assert [case.name for case in found.cases] == ["c0", "c1", "c2"]
    (said,) = running._forecast(found, Ready(1, 1.0, 1, making.configuration()))
    assert "of memory for c0" in said
    for case in found.cases[1:]:
        with pytest.raises(UserError, match=case.name):
            check_case(case.images, rank=3, any_order=False)


def test_no_input_is_overwritten(model, tmp_path):
    image(tmp_path / "c0_0000.nii.gz", SHAPE)
    with pytest.raises(UserError, match="the folder of the images"):
        prepare(model, tmp_path, tmp_path, Setting())
    alone = image(tmp_path / "single" / "c1.nii.gz", SHAPE)
    with pytest.raises(UserError, match="the folder of the images"):
        prepare(model, alone, alone.parent, Setting())
    previous = tmp_path / "previous"
    image(previous / "c0.nii.gz", SHAPE)
    with pytest.raises(UserError, match="label maps of the previous stage"):
        prepare(model, tmp_path, previous, Setting(previous=previous))
    image(tmp_path / "c0_entropy_0000.nii.gz", SHAPE)
    with pytest.raises(UserError, match="the label map of one case and a map of another"):
        prepare(model, tmp_path, tmp_path / "out", Setting(outputs=Outputs(entropy=True)))


def test_maps_need_a_reader_that_keeps_the_order_of_the_voxels(model, tmp_path):
    shutil.copytree(model.folder, tmp_path / "model")
    plans = json.loads((tmp_path / "model" / "plans.json").read_text())
    plans["image_reader_writer"] = "NibabelIOWithReorient"
    (tmp_path / "model" / "plans.json").write_text(json.dumps(plans))
    image(tmp_path / "in" / "c0_0000.nii.gz", SHAPE)
    other = find_model(tmp_path / "model")
    with pytest.raises(UserError, match="reads images with NibabelIOWithReorient"):
        prepare(other, tmp_path / "in", tmp_path / "out", Setting(outputs=Outputs(entropy=True)))
    outputs = Outputs(probabilities=True)
    assert prepare(other, tmp_path / "in", tmp_path / "out", Setting(outputs=outputs)).cases


@pytest.mark.parametrize(
    ("status", "oom", "said"),
    [(-9, 2, "oom_kill rose by 2"), (-9, 0, "SIGKILL"), (-11, 0, "SIGSEGV"), (1, 0, "status 1")],
)
def test_the_reason_of_a_death_is_the_kernels_or_the_signal(status, oom, said):
    assert said in death(status, oom)


def test_a_result_without_failure_is_a_success():
    assert not Result("c0", 1.0).failure
