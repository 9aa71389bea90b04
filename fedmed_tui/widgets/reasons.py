"""Why the hospitals count as they do: the aggregator's own sentences, and the evidence they rest on."""

from __future__ import annotations

from textual.content import Content

from engine.protocol import Aggregated, Reason
from fedmed_tui.widgets.text import Column, number, plain, safe, signed_percent, table
from fedmed_tui.widgets.weights import RoundFigure


class Reasons(RoundFigure):
    """One entry a sentence, hospitals that do not count marked; then what each update alone does to every hospital's loss."""

    def picture(self, width: int) -> Content:
        """See the class."""
        state = self.round_state
        if state is None or state.aggregated is None:
            return Content.styled("The aggregator gives its reasons after each round.", "$muted")
        event = state.aggregated
        parts = [_entry(reason, width) for reason in event.reasons] or [plain(event.reason)]
        if event.narration:
            parts += [Content.styled("Retold by the language model, which decides nothing:", "$muted"), plain(event.narration)]
        if event.transfer:
            parts += [Content(""), self._transfer(event, width)]
        return Content("\n").join(parts)

    def _transfer(self, event: Aggregated, width: int) -> Content:
        """One row an update, one column a hospital that tried it."""
        gains = {(one.hospital, one.voter): one.gain for one in event.transfer}
        voters = sorted({one.voter for one in event.transfer})
        rows = []
        for hospital in sorted({one.hospital for one in event.transfer}):
            look = self.hospital_look(hospital)
            label = Content.assemble((f"{look.mark} ", look.hue), safe(hospital)[:16])
            # a gain is a fall of the loss: shown as the loss's change, like everywhere
            rows.append([label, *(_loss_change(gains.get((hospital, voter))) for voter in voters)])
        columns = [Column("update alone", "left"), *(Column(f"at {safe(voter)[:10]}") for voter in voters)]
        title = Content.styled("Change of the validation loss", "$muted")
        return Content("\n").join([title, table(columns, rows, width)])


def _entry(reason: Reason, width: int) -> Content:
    """A sentence, wrapped beside its mark; those about a hospital that does not count bear a cross."""
    fault = any(field.endswith(".standing") for field in reason.fields)
    first, *more = plain(reason.text).wrap(max(width - 2, 10))
    start = Content.assemble(("✖ ", "$warning") if fault else ("· ", "$accent"), first)
    return Content("\n").join([start, *(Content("  ") + rest for rest in more)])


def _loss_change(gain: float | None) -> Content:
    if gain is None:
        return Content(number(None))
    text = Content(signed_percent(-gain, 1))
    return text.stylize("$warning") if gain < 0 else text
