"""Plugins of other projects that cannot be imported: their file is named, and they do not block our trainers."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

from nnunet_plugins import prediction
from nnunet_plugins.doctor import trainer_lookup
from nnunet_plugins.environment import EXTENSIONS, extension_folder, variables
from nnunet_plugins.errors import UserError
from nnunet_plugins.other_plugins import broken_file

OURS = str(extension_folder())
KINDS = {
    "missing dependency": ("\nimport mamba_ssm_\n", "line 2: ModuleNotFoundError: No module named 'mamba_ssm_'"),
    "syntax error": ("x = 1\nclass Trainer(:\n    pass\n", "line 2: SyntaxError: invalid syntax"),
    "raises": ("raise RuntimeError('needs\\n  CUDA 13')\n", "line 1: RuntimeError: needs CUDA 13"),
    "exits": ("import sys\n\nsys.exit('no GPU')\n", "line 3: SystemExit: no GPU"),
    "wrong argument": ("int('x')\n", "line 1: ValueError: invalid literal"),
}  # fmt: skip


def plugin(folder, code):
    """A plugin like U-Mamba's, with the fault in a module that its trainer imports."""
    (folder / "net").mkdir(parents=True)
    (folder / "net" / "__init__.py").touch()
    (folder / "net" / "blocks.py").write_text(code)
    (folder / "their_trainer.py").write_text("import net.blocks\n")
    return folder


@pytest.fixture(params=KINDS)
def broken(request, tmp_path):
    """Folder of a broken plugin, and what a message must contain."""
    code, expected = KINDS[request.param]
    folder = plugin(tmp_path / "umamba", code)
    return folder, f"{folder / 'net' / 'blocks.py'}, {expected}"


def test_the_file_is_named(broken):
    folder, expected = broken
    with pytest.raises((Exception, SystemExit)) as caught:
        recursive_find_python_class(
            str(folder), "no such trainer", None, cleanup_imports_from_base_folder=True
        )
    assert broken_file(caught.value, {EXTENSIONS: f"{OURS}{os.pathsep}{folder}"}).startswith(
        expected
    )
    assert broken_file(caught.value, {EXTENSIONS: OURS}) == ""


def test_no_plugin_is_blamed_for_our_errors(tmp_path):
    with pytest.raises(UserError) as caught:
        variables("", environ={})
    # Some list a folder above this package.
    above = str(extension_folder().parents[1])
    assert (
        broken_file(caught.value, {EXTENSIONS: f"{tmp_path}{os.pathsep}{above}/nnunet_plugins"})
        == ""
    )


@pytest.mark.parametrize("name", ["TheirTrainer", "MAGUNetTrainer"])
def test_a_model_is_loaded_unless_it_needs_the_broken_plugin(broken, monkeypatch, tmp_path, name):
    """The predictor's own look-up runs; the rest of loading is left out."""
    from nnunetv2.inference import predict_from_raw_data as nnunet
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as look_up

    def initialize(self, *_):
        self.configuration_manager = SimpleNamespace(previous_stage_name=None)
        look_up(name)

    folder, expected = broken
    monkeypatch.setenv(EXTENSIONS, str(folder))
    monkeypatch.setattr(nnunet.nnUNetPredictor, "initialize_from_trained_model_folder", initialize)
    model = prediction.Model(tmp_path, ("0",), "checkpoint_final.pth", {})
    if name == "MAGUNetTrainer":
        prediction.load(model, "cpu")
        return
    with pytest.raises(UserError) as caught:
        prediction.load(model, "cpu")
    assert expected in str(caught.value)
    assert "reinstall" not in str(caught.value)


def test_a_damaged_checkpoint_is_not_blamed_on_the_trainer_alone(monkeypatch, tmp_path):
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as look_up

    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "trainer.py").write_text(
        "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer\n"
        "class TheirTrainer(nnUNetTrainer):\n"
        "    @staticmethod\n"
        "    def build_network_architecture(plan):\n"
        "        return plan['stages']\n"
    )
    monkeypatch.setenv(EXTENSIONS, str(folder))
    monkeypatch.setattr(
        nnUNetPredictor,
        "initialize_from_trained_model_folder",
        lambda self, *_: look_up("TheirTrainer").build_network_architecture({}),
    )
    with pytest.raises(UserError) as caught:
        prediction.load(prediction.Model(tmp_path, ("0",), "x.pth", {}), "cpu")
    text = str(caught.value)
    assert f"{folder / 'trainer.py'}, line 5: KeyError: 'stages'" in text
    assert "the checkpoint may be incomplete" in text
    assert "is broken" not in text


def test_a_model_of_a_trainer_in_a_folder_that_does_not_exist(monkeypatch, tmp_path):
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as look_up

    monkeypatch.setenv(EXTENSIONS, str(tmp_path / "gone"))
    monkeypatch.setattr(
        nnUNetPredictor,
        "initialize_from_trained_model_folder",
        lambda self, *_: look_up("TheirTrainer"),
    )
    with pytest.raises(UserError, match=r"do not exist: .*gone; correct nnUNet_extTrainer"):
        prediction.load(prediction.Model(tmp_path, ("0",), "x.pth", {}), "cpu")


@pytest.mark.parametrize(
    ("order", "level"), [("theirs ours", "broken"), ("ours theirs", "warning")]
)
@pytest.mark.parametrize("code", [KINDS["missing dependency"][0], "import os\nos._exit(3)\n"])
def test_the_doctor_names_the_plugin(monkeypatch, tmp_path, order, level, code):
    folder = plugin(tmp_path / "umamba", code)
    paths = {"ours": OURS, "theirs": str(folder)}
    environ = {**os.environ, EXTENSIONS: os.pathsep.join(paths[one] for one in order.split())}
    monkeypatch.setattr(
        trainer_lookup, "_our_trainer", lambda environ: trainer_lookup.Finding("ok", "", "")
    )
    _, finding, _ = trainer_lookup.check_trainers(environ)
    assert finding.level == level
    assert ("blocks.py, line 2" in finding.detail) or ("status 3" in finding.detail)
    assert str(folder) in finding.detail
    assert "reinstall" not in finding.fix
    assert ("nnunet-plugins env" in finding.fix) == (level == "broken")


def test_a_file_in_place_of_a_folder_is_a_warning(monkeypatch, tmp_path):
    (tmp_path / "trainer.py").touch()
    (finding,) = trainer_lookup._other_plugin(tmp_path / "trainer.py", {}, first=True)
    assert (finding.level, finding.subject) == ("warning", EXTENSIONS)
    assert "trainer.py is not a folder" in finding.detail


def test_env_puts_our_folder_before_a_broken_plugin(broken, tmp_path):
    folder, _ = broken
    value = variables(tmp_path, environ={EXTENSIONS: str(folder)})[EXTENSIONS]
    assert value == f"{OURS}{os.pathsep}{folder}"
