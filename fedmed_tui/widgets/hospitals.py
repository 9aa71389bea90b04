"""The hospitals of the run, one line each: how far, how good, how much they count."""

from __future__ import annotations

from textual.content import Content

from fedmed_tui.link import link, traffic
from fedmed_tui.standing import best_hospital, latest_loss, latest_weight, training_loss
from fedmed_tui.state import HospitalRound
from fedmed_tui.units import size
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import Column, number, safe, table

COLUMNS = (
    Column("hospital", "left"),
    Column("pairs", keep=3),
    Column("step", keep=1),
    Column("train", keep=4),
    Column("valid", keep=8),
    Column("weight", keep=7),
)
LINKED = (
    Column("hospital", "left"),
    Column("pairs", keep=2),
    Column("step", keep=1),
    Column("train", keep=3),
    Column("valid", keep=8),
    Column("weight", keep=4),
    Column("link", "left", keep=7),
    Column("down", keep=6),
    Column("up", keep=6),
)
"""In a federation also what its connection is doing, and what went over it; weights have a panel of their own."""


class HospitalTable(Figure):
    """Losses are those of the latest round in which they are known; the lowest validation loss bears a star."""

    LINES_FIT = True

    def picture(self, width: int) -> Content:
        """See the class."""
        run = self.run_state
        best = best_hospital(run)
        now = run.current
        far = run.config is not None and run.config.federation.name != ""
        rows: list[tuple[Content | str, ...]] = []
        for hospital in run.hospitals:
            at = (now.hospitals.get(hospital.name) if now else None) or HospitalRound()
            look = self.hospital_look(hospital.name)
            training = now is not None and (link(run, hospital.name) == "training" if far else now.training == hospital.name)
            name = Content.assemble(
                ("✖ ", "$error") if at.lost else ("▶ " if training else "✔ " if at.update else "  ", "$accent"),
                (f"{look.mark} ", look.hue),
                safe(hospital.name),
                (" ★" if hospital.name == best else "", "$accent"),
            )
            step = at.lost.kind if at.lost else f"{at.step}/{at.steps}" if at.steps else ""
            if not step and now is not None and now.rests(hospital.name):
                step = "rests"
            weight = latest_weight(run, hospital.name)
            row = (step, number(training_loss(run, hospital.name)), number(latest_loss(run, hospital.name)), number(weight, 2))
            over = (link(run, hospital.name), *map(size, traffic(run, hospital.name))) if far else ()
            rows.append((name, f"{hospital.train:,}", *row, *over))
        return table(LINKED if far else COLUMNS, rows, width)
