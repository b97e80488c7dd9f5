"""Compare ids of patients however they are spelled, and join cases that share one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from dataset_conversion.dicom.patients import parts_of, spelling

# PatientIDs that anonymisation writes; as `spelling` returns them.
_PLACEHOLDERS = frozenset((
    "0", "anon", "anonym", "anonymized", "anonymised", "anonymous", "deidentified", "de identified",
    "id", "n a", "na", "none", "null", "patient", "removed", "unknown",
))  # fmt: skip


def unbroken(text: str) -> str:
    """Return a number written with separators as one number, else `spelling`.

    >>> unbroken("12-04-56"), unbroken("0120456"), unbroken("P-7")
    ('120456', '120456', 'p 7')
    """
    runs = parts_of(text)
    if runs and all(run.isdigit() for run in runs):
        return "".join(runs).lstrip("0") or "0"
    return spelling(text)


def by_patient(
    folders: Mapping[str, str], ids: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Group cases by folder and PatientID, each in any spelling.

    A folder without a PatientID that has the name of another's is of that patient. An id that all
    folders share is taken for a placeholder and ignored, and so is one such as ANON if it is the only
    one.

    >>> by_patient({"c1": "a", "c2": "b", "c3": "c"}, {"c1": "00123", "c3": "123"})
    ({'c1': 'case c1', 'c2': 'case c2', 'c3': 'case c1'}, \
['patient ids that differ only in spelling (zeros, blanks, letter case), taken as one patient: c1, c3'])

    Args:
        folders: case -> name of its folder.
        ids: case -> PatientID, where one is known.

    Returns:
        Case -> group, and notes, which name cases but no ids.
    """
    known, notes = _informative(ids, len(folders))
    times = Counter(folders.values())
    equal = {case: [f"case {case}"] for case in folders}
    alike = {case: list(keys) for case, keys in equal.items()}
    for case, name in folders.items():
        if times[name] > 1 or not spelling(name):  # several folders named CT: not an id
            continue
        alike[case].append(f"folder {spelling(name)}")
        if (
            case not in known
        ):  # the folder of a NIfTI may be named by the PatientID of a DICOM in another
            alike[case].append(f"id {spelling(name)}")
    for case, text in known.items():
        alike[case] += [f"id {spelling(text)}", f"number {unbroken(text)}"]
        equal[case].append(f"id {text}")
    exact, groups = joined(equal), joined(alike)
    shared = len(folders) - len(set(exact.values()))
    if shared:
        notes.append(f"folders that share a PatientID with another, kept in its fold: {shared}")
    parts: dict[str, set[str]] = {}
    for case, group in groups.items():
        parts.setdefault(group, set()).add(exact[case])
    spelled = sorted(case for case, group in groups.items() if len(parts[group]) > 1)
    if spelled:
        notes.append(
            "patient ids that differ only in spelling (zeros, blanks, letter case), taken as one "
            f"patient: {', '.join(spelled)}"
        )
    return groups, notes


def _informative(ids: Mapping[str, str], folders: int) -> tuple[dict[str, str], list[str]]:
    """Return the ids without empty ones and placeholders, and a note on placeholders."""
    known = {case: text for case, text in ids.items() if spelling(text)}
    if len(known) < 2 or len({spelling(text) for text in known.values()}) > 1:
        return known, []
    if len(known) == folders:
        return {}, ["all folders have the same PatientID: each folder is treated as one patient"]
    if spelling(next(iter(known.values()))) not in _PLACEHOLDERS:
        return known, []
    return {}, [
        f"{len(known)} folders have the same PatientID, a placeholder: each folder is treated as one "
        "patient"
    ]


def joined(keys: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return a group for each case; cases that share a key, also through others, share the group.

    Args:
        keys: case -> keys of its patient.

    Returns:
        Case -> the smallest key of its group.

    >>> joined({"c1": ["a"], "c2": ["a", "b"], "c3": ["b"], "c4": ["z"]})
    {'c1': 'a', 'c2': 'a', 'c3': 'a', 'c4': 'z'}
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for own in keys.values():
        roots = sorted({root(key) for key in own})
        for other in roots[1:]:
            parent[other] = roots[0]
    return {case: root(min(own)) for case, own in keys.items()}
