"""What is written for a case besides its label map, and under which names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from nnunet_plugins.errors import UserError


@dataclass(frozen=True)
class Outputs:
    """What is written besides the label map.

    Attributes:
        probabilities: CASE.npz and CASE.pkl, as nnU-Net writes them.
        entropy: CASE_entropy, the entropy of the predicted distribution of each voxel; see
            `uncertainty.entropy_of`.
        disagreement: CASE_disagreement, the share of folds whose own label map has another label there than the
            label map; see `uncertainty.disagreement_of`.
    """

    probabilities: bool = False
    entropy: bool = False
    disagreement: bool = False

    @property
    def maps(self) -> list[str]:
        """Names of the maps, float32 on the grid of the label map."""
        return [name for name in ("entropy", "disagreement") if getattr(self, name)]

    def files(self, stem: str, ending: str) -> list[str]:
        """Names of the files of a case, the label map last.

        >>> Outputs(entropy=True).files("spine", ".nii.gz")
        ['spine_entropy.nii.gz', 'spine.nii.gz']
        """
        names = [f"{stem}.npz", f"{stem}.pkl"] if self.probabilities else []
        return [*names, *(f"{stem}_{one}{ending}" for one in self.maps), f"{stem}{ending}"]

    def check_names(self, stems: Iterable[str], ending: str) -> None:
        """Check that no file is written twice.

        Raises:
            UserError: the label map of a case and a map of another one have one name.
        """
        for name, count in Counter(n for stem in stems for n in self.files(stem, ending)).items():
            if count > 1:
                raise UserError(
                    f"{name}: the label map of one case and a map of another one; rename a case"
                )


ONLY_LABELS = Outputs()
