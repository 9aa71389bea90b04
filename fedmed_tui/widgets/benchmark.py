"""What is known of the run in numbers: headlines, losses before and after, and what it cost."""

from __future__ import annotations

from textual.content import Content

from fedmed_tui.standing import best_hospital, latest_loss
from fedmed_tui.state import RunState
from fedmed_tui.units import duration, size
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import Column, bar, number, safe, table
from fedmed_tui.workspace import Workspace

LOSS_COLUMNS = (
    Column("hospital", "left"),
    Column("base", keep=7),
    Column("now", keep=8),
    Column("change", keep=6),
    Column("", "left", keep=2),
)


class LossComparison(Figure):
    """Validation loss of the base model against the newest global adapter, per hospital and their mean."""

    def picture(self, width: int) -> Content:
        """See the class."""
        run = self.run_state
        best = best_hospital(run)
        pairs = [(one.name, run.loss_series(one.name).get(0), latest_loss(run, one.name)) for one in run.hospitals]
        macro = run.macro_series()
        largest = max((abs(_relative(base, now) or 0) for _, base, now in pairs), default=0) or 1
        rows = []
        for name, base, now in pairs:
            look = self.hospital_look(name)
            star = (" ★" if name == best else "", "$accent")
            label = Content.assemble((f"{look.mark} ", look.hue), safe(name), star)
            rows.append((label, *_loss_cells(base, now, largest)))
        if macro:
            label = Content.assemble(("━ ", "$accent"), "mean")
            rows.append((label, *_loss_cells(macro.get(0), macro[max(macro)], largest)))
        note = "Mean loss per answer token on pairs no hospital trains on. ★ lowest."
        return Content("\n").join([table(LOSS_COLUMNS, rows, width), Content(""), Content.styled(note, "$muted")])


class Efficiency(Figure):
    """Sizes and speeds: what travels, what is trained, how fast."""

    def picture(self, width: int) -> Content:
        """See the class."""
        facts = [*_size_facts(self.run_state), *_speed_facts(self.run_state), *_chat_facts(self.workspace)]
        label = max(len(name) for name, _ in facts)
        return Content("\n").join(Content.assemble((f"{name:<{label}}  ", "$muted"), value) for name, value in facts)


class Headlines(Figure):
    """The three numbers people ask for first, each with its words."""

    DEFAULT_CSS = """
    Headlines { height: 2; }
    """

    def picture(self, width: int) -> Content:
        """See the class."""
        run = self.run_state
        macro = run.macro_series()
        relative = _relative(macro.get(0), macro[max(macro)]) if macro else None
        improvement = _percent(relative) if run.completed else "–"
        heads = [
            (improvement, "validation loss"),
            (_bytes_per_round(run), "sent per update"),
            (_training_speed(run), "training speed"),
        ]
        if run.model is not None and width >= 100:
            heads.append((f"{run.model.trainable / run.model.parameters:.2%}", "of the weights are trained"))
        column = width // len(heads)
        figures = Content("").join(Content.styled(value.ljust(column), "bold $accent") for value, _ in heads)
        words = Content("").join(Content.styled(label[: column - 1].ljust(column), "$muted") for _, label in heads)
        return Content("\n").join([figures, words])


def _loss_cells(base: float | None, now: float | None, largest: float) -> tuple[str, str, str, Content]:
    relative = _relative(base, now)
    share = max(0.0, -(relative or 0.0)) / largest
    return number(base), number(now), _percent(relative), bar(share, 16)


def _relative(base: float | None, now: float | None) -> float | None:
    return None if base is None or now is None or base == 0 else (now - base) / base


def _percent(relative: float | None) -> str:
    if relative is None:
        return "–"
    mark = "▼ −" if relative < 0 else "▲ +"
    return f"{mark}{abs(relative):.1%}"


def _training_speed(run: RunState) -> str:
    updates = [at.update for state in run.rounds.values() for at in state.hospitals.values() if at.update is not None]
    seconds, tokens = sum(one.seconds for one in updates), sum(one.tokens for one in updates)
    return f"{tokens / seconds:,.0f} tokens/s" if seconds else "–"


def _bytes_per_round(run: RunState) -> str:
    sent = [at.update.bytes for state in run.rounds.values() for at in state.hospitals.values() if at.update is not None]
    return size(sent[-1]) if sent else "–"


def _size_facts(run: RunState) -> list[tuple[str, str]]:
    model = run.model
    facts = []
    if model is not None:
        share = model.trainable / model.parameters if model.parameters else 0.0
        facts = [
            ("base model in memory", size(model.base_bytes)),
            ("adapter", f"{size(model.adapter_bytes)}, {model.base_bytes / max(model.adapter_bytes, 1):,.0f} times smaller"),
            ("trained weights", f"{model.trainable:,} of {model.parameters:,} ({share:.2%})"),
        ]
    sent = sum(at.update.bytes for state in run.rounds.values() for at in state.hospitals.values() if at.update)
    return [*facts, ("sent by hospitals so far", size(sent) if sent else "–")]


def _speed_facts(run: RunState) -> list[tuple[str, str]]:
    rounds = [state.finished.seconds for state in run.rounds.values() if state.finished is not None]
    return [
        ("training speed", _training_speed(run)),
        ("time per round", duration(sum(rounds) / len(rounds)) if rounds else "–"),
    ]


def _chat_facts(workspace: Workspace) -> list[tuple[str, str]]:
    answer = workspace.conversations.last_answer
    if answer is None or answer.finished is None or answer.tokens_per_second is None:
        return [("chat speed", "ask something in Chat to see it")]
    first = duration(answer.finished.first_token_seconds)
    return [("chat speed", f"{answer.tokens_per_second:.1f} tokens/s, first token after {first}")]
