"""Load a case and turn it into the volumes and the record of a dataset."""

from __future__ import annotations

from dataclasses import replace

from dataset_conversion.cases.case import Case, Sample
from dataset_conversion.cases.preprocess import Prepared, prepare
from dataset_conversion.errors import DatasetError, reading
from dataset_conversion.raw_format.channels import channel_warnings
from dataset_conversion.raw_format.description import Description
from dataset_conversion.raw_format.manifest import Record
from dataset_conversion.raw_format.salted import keyed, keyed_facts


def prepared_case(case: Case, dataset: Description) -> Prepared:
    """Load and prepare a case."""
    ready = prepare(loaded(case, dataset), dataset.labels, dataset.output, case.where)
    warnings = channel_warnings(dataset.channel_names, ready.facts)
    return replace(ready, notes=(*ready.notes, *warnings))


def loaded(case: Case, dataset: Description) -> Sample:
    """Load a case.

    Raises:
        DatasetError: it cannot be read, or has changed since the scan.
    """
    with reading(case.where):
        sample = case.load()
    count, masked = len(dataset.channel_names), sample.mask is not None
    if len(sample.images) != count or case.labelled != masked:
        raise DatasetError(
            f"{case.where}: {len(sample.images)} channels of {count}, mask {'found' if masked else 'missing'}; the "
            "source changed during the conversion: run it again"
        )
    return sample


def record_of(case: Case, ready: Prepared, files: dict[str, str], dataset: Description,
              settings: str, made_with: str) -> Record:  # fmt: skip
    """Return the record of a case, whose digests are mixed with the dataset's secret.

    The digests of the case are keyed. `files` are paths in the dataset -> SHA-256; `settings` is the digest of
    the settings.
    """
    secret = dataset.secret
    measures = ready.measures.to_dict() if ready.measures else {}
    measures |= {"mask": keyed(measures.get("mask", ""), secret)}
    return Record(
        sources=dict(case.sources),
        settings=settings,
        files=files,
        voxels={str(value): count for value, count in ready.voxels.items()},
        grid=ready.grid,
        made_with=made_with,
        notes=list(ready.notes),
        images=[vars(keyed_facts(fact, secret)) for fact in ready.facts],
        measures=measures,
    )
