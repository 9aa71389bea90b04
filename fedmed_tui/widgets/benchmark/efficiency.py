"""Sizes: what travels, what is trained."""

from __future__ import annotations

from textual.content import Content

from engine.benchmark.results import Efficiency, ModelSizes
from engine.benchmark.words import percent, size
from engine.protocol import ModelLoaded
from fedmed_tui.widgets.benchmark.section import SectionFigure, muted
from fedmed_tui.widgets.text import Column, one_line, table

NAMES = ("base, loaded", "base, 16 bit", "adapter", "less to send", "trained")
SHORT = 10
"""Cells of a model's name above its column."""


class Sizes(SectionFigure):
    """The run's model and adapter, and the reference set-up's."""

    WAITING = "Sizes are known once the model is loaded."

    def shown(self, width: int) -> Content | None:
        """See the class."""
        section, model = self.sections.efficiency, self.run_state.model
        if section is not None:
            return _both(section, width)
        return _columns([("this run", _loaded(model))], width) if model is not None else None


def _both(section: Efficiency, width: int) -> Content:
    reference = section.reference
    name = one_line(reference.name, SHORT).plain
    claimed = percent(reference.reduction(section.claimed_base_bytes), 1)
    note = muted(f"{name}: {claimed} less than 7 GB. Counted.")
    return Content("\n").join([_columns([("this run", section.run), (name, reference)], width), note])


def _columns(models: list[tuple[str, ModelSizes]], width: int) -> Content:
    rows = [(name, *(_figures(sizes)[at] for _, sizes in models)) for at, name in enumerate(NAMES)]
    return table([Column("", "left"), *(Column(name) for name, _ in models)], rows, width)


def _figures(of: ModelSizes) -> tuple[str, ...]:
    """In the order of `NAMES`; what is sent is compared with the base as loaded."""
    return (
        size(of.loaded_bytes),
        size(of.bytes_16_bit),
        size(of.adapter_bytes),
        percent(of.reduction(of.loaded_bytes), 1),
        percent(of.trainable_share, 3),
    )


def _loaded(model: ModelLoaded) -> ModelSizes:
    """What the engine said when it loaded the model."""
    return ModelSizes(
        name=model.name,
        parameters=model.parameters,
        trainable=model.trainable,
        stored_bytes=model.stored_bytes or None,
        loaded_bytes=model.base_bytes,
        loaded_as=model.quantization,
        bytes_16_bit=2 * model.parameters,
        adapter_bytes=model.adapter_bytes,
    )
