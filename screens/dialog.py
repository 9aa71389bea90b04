"""The frame of every dialog: a titled box in the middle, closed by Escape."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from textual import work
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import ModalScreen

Result = TypeVar("Result")
Owner = TypeVar("Owner", bound=DOMNode)
P = ParamSpec("P")
Asking = Callable[Concatenate[Owner, P], Coroutine[Any, Any, None]]


def one_at_a_time(group: str) -> Callable[[Asking[Owner, P]], Callable[Concatenate[Owner, P], None]]:
    """A worker that is not started while another of its group is at work, as when that one waits for a dialog's answer.

    An exclusive worker would cancel the other one, and leave a dialog on the screen whose answer nobody takes.
    """

    def decorate(method: Asking[Owner, P]) -> Callable[Concatenate[Owner, P], None]:
        worker = work(group=group)(method)

        @wraps(method)
        def start(owner: Owner, /, *args: P.args, **kwargs: P.kwargs) -> None:
            if not any(one.group == group and one.node is owner and not one.is_finished for one in owner.workers):
                worker(owner, *args, **kwargs)

        return start

    return decorate


class Dialog(ModalScreen[Result | None]):
    """A dialog over the current screen; None means that it was left without an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", id="dialog.close", tooltip="leave without changing anything")
    ]
    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        & > .box {
            width: 72; max-width: 100%; height: auto; max-height: 100%;
            border: round $accent; border-title-color: $accent; border-subtitle-color: $muted;
            background: $background; padding: 1 2;
        }
        .hint { color: $muted; height: auto; }
    }
    Dialog.-small > .box { padding: 0 1; }
    """

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys wait until everything is there to act on, and are over once the dialog is being closed."""
        return self.is_mounted and self.is_current

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)
