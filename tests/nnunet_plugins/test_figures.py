from __future__ import annotations

import matplotlib
import pytest

from nnunet_plugins.figures import figure
from nnunet_plugins.reports.charts import svg


@pytest.mark.parametrize("kind", ["file", "page"])
def test_settings_of_the_process_do_not_change_a_figure(tmp_path, kind) -> None:
    def draw(axes) -> None:
        axes.plot([0, 1], [0, 1])
        axes.set_title("Dice")

    def drawn() -> str:
        if kind == "page":
            return svg(draw, 3.0, "salt")
        path = tmp_path / "chart.svg"
        with figure([path], (3.0, 3.0), ["Dice"]) as drawing:
            draw(drawing.subplots())
        return path.read_text(encoding="utf-8")

    before = drawn()
    # As nnU-Net's plot of the training progress leaves them, through seaborn.
    with matplotlib.rc_context({"axes.titlesize": 40, "lines.linewidth": 9, "axes.grid": True}):
        assert drawn() == before
        assert matplotlib.rcParams["lines.linewidth"] == 9
