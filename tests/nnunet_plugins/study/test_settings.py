from __future__ import annotations

import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.study.init import Choices, content_of, study_text, write_study
from nnunet_plugins.study.jobs import jobs_of, trained_folds
from nnunet_plugins.study.settings import (
    Budget,
    Data,
    ExtraRuns,
    RowEntry,
    Settings,
    parse_settings,
    read_settings,
)

pytest.importorskip("yaml")
SHORT = "data: {dataset: 660}\nrows: [MAGUNet]\n"


def test_what_init_writes_is_what_was_asked_for(tmp_path):
    chosen = Choices(
        660,
        networks=["MAGUNet"],
        folds=["0", "all"],
        seeds=[0, 3],
        epochs=50,
        preset="cpu",
        metrics=["nsd"],
    )
    written = write_study(tmp_path, content_of(chosen))
    assert written == read_settings(tmp_path)
    assert written.row_names == ["nnUNetPlain", "ResEncM", "MAGUNet"]
    assert (written.folds, written.seeds, written.metrics) == ((0, "all"), (0, 3), ("nsd",))
    assert written.budget == Budget(preset="cpu", epochs=50)
    assert written.resources.device == "cpu"
    with pytest.raises(UserError, match=r"study.yaml: exists; edit it, or pass --force"):
        write_study(tmp_path, content_of(chosen))


def test_a_table_gives_its_rows_network_and_configuration():
    settings = parse_settings(
        study_text(content_of(Choices(660, table="001.4", no_baselines=True)))
    )
    assert settings.table == "yan2025-mag-unet.4"
    assert settings.row_names[:3] == ["unet", "da", "mff"]
    assert (settings.budget.network, settings.configuration) == ("MAGUNet", "3d_fullres")


def test_rows_of_their_own_and_every_value_survive_the_file():
    content = {
        "data": {
            "dataset": 1,
            "source": "/a b",
            "format": "spider",
            "options": ["--split", "80/20"],
        },
        "rows": ["UNet", {"name": "se", "network": "SEUNet", "options": {"bottleneck": "eca"}}],
        "extra_runs": [{"rows": ["se"], "folds": [0], "seeds": [1, 2]}],
        "budget": {"training": {"loss": {"dice": 1}}},
    }
    settings = parse_settings(study_text(content))
    assert settings.data == Data(1, "/a b", "spider", ("--split", "80/20"))
    assert settings.rows == ("UNet", RowEntry("se", "SEUNet", {"bottleneck": "eca"}))
    assert settings.extra_runs == (ExtraRuns(("se",), (0,), (1, 2)),)
    assert settings.budget.procedure() == {"loss": {"dice": 1}}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("fold: [0]", r"^unknown key 'fold'; nearest: 'folds'; known: data, rows"),
        ("budget: {epoch: 3}", r"budget: unknown key 'epoch'; nearest: 'epochs'"),
        ("budget: {epochs: true}", r"budget.epochs: is True; expected an integer"),
        ("budget: [1]", r"budget: is \[1\]; expected keys network, recipe"),
        ("folds: 0", r"folds: is 0; expected a list"),
        ("folds: [one]", r"folds: 'one' is not a fold; allowed: 0, 1, ... or all"),
        ("folds: [0, 0]", r"folds: 0 is listed twice"),
        ("folds: []", r"folds: is empty"),
        ("seeds: [-1]", r"seeds: -1 is not a seed"),
        ("seeds: [0.5]", r"seeds\[0\]: is 0.5; expected an integer"),
        ("table: 3", r"table: is 3; expected a text"),
        ("resources: {device: gpu}", r"resources.device: is 'gpu'; allowed: cuda, cpu, mps"),
        ("resources: {cpus: 0}", r"resources.cpus: is 0; expected 1 or more"),
        ("extra_runs: [{rows: [UNet], folds: [0], seeds: [1]}]", r"no row called 'UNet'"),
        ("extra_runs: [{rows: [MAGUNet], folds: [0]}]", r"extra_runs\[0\]: 'seeds' is missing"),
        ("budget: {recipe: papers}", r"budget.recipe: is 'papers'; allowed: native, paper"),
        ("test: {", r"not YAML"),
        ("budget: {training: 3}", r"budget.training: is 3; expected keys with values"),
        ("budget: {epochs: 0}", r"budget.epochs: is 0; expected 1 or more"),
        ("budget: {batch_size: -2}", r"budget.batch_size: is -2; expected 1 or more"),
        ("budget: {gpu_memory: .nan}", r"budget.gpu_memory: is nan; expected GB above 0"),
        ("rows: [SEUNet]", r"'rows' is given twice in one entry"),
        ("budget: {epochs: 1, iterations: 2, epochs: 3}", r"'epochs' is given twice"),
        ("budget: {training: &a {b: *a}, epochs: 0}", r"budget.epochs: is 0"),
    ],
)
def test_what_is_not_understood_is_named(more, message):
    with pytest.raises(UserError, match=message):
        parse_settings(SHORT + more)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: [UNet]", r"'data' is missing"),
        ("data: {dataset: 660}", r"'rows' is missing"),
        ("data: {dataset: 0}\nrows: [UNet]", r"data.dataset: is 0; expected an id from 1 to 999"),
        ("data: {dataset: 1, source: x}\nrows: [UNet]", r"source and format belong together"),
        ("data: {dataset: 1}\nrows: [a__b]", r"'a__b' is not a name"),
        ("data: {dataset: 1}\nrows: [3]", r"rows\[0\]: is 3; expected a text"),
        ("data: {dataset: 1}\nrows: [{name: a}]", r"rows\[0\]: 'network' is missing"),
        ("just text", r"is 'just text'; expected keys data, rows"),
        ("", r"is None; expected keys data, rows"),
    ],
)
def test_a_file_that_lacks_something(text, message):
    with pytest.raises(UserError, match=message):
        parse_settings(text)


def test_a_folder_without_study(tmp_path):
    with pytest.raises(UserError, match=r"no study.yaml; create one: nnunet-plugins study init"):
        read_settings(tmp_path)


def test_jobs_are_rows_x_folds_x_seeds_and_the_extra_runs():
    settings = Settings(
        Data(660),
        ("UNet", "MAGUNet"),
        folds=(0, 1),
        extra_runs=(ExtraRuns(("MAGUNet",), (0,), (0, 2)),),
        test=True,
    )
    assert trained_folds(settings) == {
        ("UNet", 0): (0, 1),
        ("MAGUNet", 0): (0, 1),
        ("MAGUNet", 2): (0,),
    }
    jobs = jobs_of(settings)
    names = [f"{job.kind}/{job.name}" for job in jobs]
    assert len(set(names)) == len(names)
    assert [n for n in names if n.startswith("train")] == [
        "train/UNet_seed0_fold0",
        "train/UNet_seed0_fold1",
        "train/MAGUNet_seed0_fold0",
        "train/MAGUNet_seed0_fold1",
        "train/MAGUNet_seed2_fold0",
    ]
    test = next(job for job in jobs if job.name == "MAGUNet_seed0" and job.kind == "test")
    assert test.needs == (
        "records/train/MAGUNet_seed0_fold0.json",
        "records/train/MAGUNet_seed0_fold1.json",
    )
    known = {job.record for job in jobs}
    assert all(need in known for job in jobs for need in job.needs)


def test_fold_all_is_tested_and_never_validated():
    jobs = jobs_of(Settings(Data(660), ("UNet",), folds=("all",), test=True))
    assert [job.kind for job in jobs] == ["plan", "rows", "train", "test", "compare"]


def test_a_paper_gives_data_recipe_folds_and_its_table(tmp_path):
    content = content_of(Choices(paper="004", source=str(tmp_path), convert=["-j", "2"]))
    settings = parse_settings(study_text(content))
    assert settings.data.format == "csig"
    assert settings.data.options[-4:] == ("--split", "5-fold", "-j", "2")
    assert (settings.table, settings.configuration) == ("cai2023-aspp-unet.3", "2d")
    assert settings.budget == Budget("ASPPUNet", recipe="paper")
    assert settings.folds == (0, 1, 2, 3, 4)
    assert settings.test
    assert "nnUNetPlain" not in settings.row_names


@pytest.mark.parametrize("number", ["000", "001", "002", "003", "004"])
def test_options_of_every_paper_are_those_of_its_converter(number):
    """`convert` accepts them."""
    from nnunet_plugins.cli import parser

    settings = parse_settings(study_text(content_of(Choices(paper=number, source="/s"))))
    arguments = ["convert", settings.data.format, "/s", "-d", "660", *settings.data.options]
    if settings.data.format == "hospital-ct":
        arguments += ["--labels", "labels.json"]
    assert parser().parse_args(arguments).source_format == settings.data.format


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (Choices(660), r"no rows; pass --networks NAME ..., --table T, or --paper KEY"),
        (Choices(networks=["UNet"]), r"--dataset is missing; .* or --source FOLDER"),
        (
            Choices(660, networks=["UNet"], source="/s"),
            r"--format None: allowed with --source: spider",
        ),
        (Choices(660, paper="001", table="003.6"), r"table silveira.* is not of the paper 001"),
    ],
)
def test_choices_that_make_no_study(chosen, message):
    with pytest.raises(UserError, match=message):
        content_of(chosen)


def test_nnunets_own_row_of_a_paper_has_nnunets_own_plan():
    from nnunet_plugins.study.rows import native_configurations

    def of(**more):
        text = study_text(content_of(Choices(paper="004", source="/s", **more)))
        return native_configurations(parse_settings(text))

    assert of() == ["2d"]
    assert of(rows=["aspp", "segnet"]) == []
    assert of(preset="cpu") == []  # all rows have the topology of the preset
