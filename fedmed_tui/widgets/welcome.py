"""What a newcomer sees before the first run: what this is, and which key to press."""

from __future__ import annotations

from textual.content import Content

from fedmed_tui.units import size
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import bar, safe

KEYS = (
    ("s", "train the demo: three rounds, a few minutes"),
    ("1", "look at the hospitals' data first"),
    ("5", "chat with the model"),
    ("n", "set up a run of your own"),
    ("o", "open an earlier run"),
    ("F1", "every key, and what the words mean"),
    ("^q", "quit"),
)


class Welcome(Figure):
    """Shown in place of the training panels while there is no run."""

    DEFAULT_CSS = """
    Welcome { width: 1fr; height: auto; }
    """

    def picture(self, width: int) -> Content:
        """See the class."""
        lines = [
            Content.styled("Several hospitals, one medical model, no shared records.", "bold"),
            Content(""),
            Content.styled(
                "Each hospital trains a small adapter on its own question and answer pairs. Only adapters travel. "
                "An aggregator decides how much each of them counts, and says why.",
                "$muted",
            ),
            Content(""),
            *(Content.assemble((f"{key:>4}", "bold $accent"), f"   {words}") for key, words in KEYS),
        ]
        return Content("\n").join(lines)


class Preparing(Figure):
    """Shown between the start key and the first event of the run: what is being loaded."""

    DEFAULT_CSS = """
    Preparing { width: 1fr; height: auto; }
    """

    def picture(self, width: int) -> Content:
        """See the class."""
        progress = self.workspace.status.progress
        what = safe(progress.what) if progress else "Getting ready"
        lines = [Content.styled("The run is being prepared.", "bold"), Content(""), Content.assemble(("◌ ", "$accent"), what)]
        if progress is not None and progress.total:
            share = progress.done / progress.total
            lines.append(Content.assemble("  ", bar(share, min(40, width - 10)), f" {share:>5.0%}"))
        model = self.workspace.status.model
        if model is not None:
            lines += [Content(""), Content.styled(f"The model is in memory: {size(model.base_bytes)}.", "$muted")]
        return Content("\n").join(lines)
