"""The import form: where the pairs are, how their fields are understood, whose they are."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from textual import on, work
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Button, Input, Select, Static

from engine.errors import FedMedError, SettingsError
from engine.protocol import FieldMapping, ImportData, PreviewSource, SourceOptions, SourcePreviewed
from fedmed_tui.amounts import sizes
from fedmed_tui.datadesk import DataDesk, Stopped, only
from fedmed_tui.widgets.text import one_line, safe
from screens.form import Form, row

ROLES = {"question": "Question", "answer": "Answer", "topic": "Topic", "kind": "Kind", "split": "Split", "id": "Id"}
"""What a field can hold, with the labels."""
JOIN = " + "
"""Between two field names: both texts, one after the other."""


class ImportScreen(Form[ImportData]):
    """Look at a source first; then show how it would be understood, to be confirmed or changed.

    Args:
        desk: who asks the engine for the look.
    """

    TITLE = "Import pairs"
    DEFAULT_CSS = """
    ImportScreen .known { height: auto; display: none; }
    ImportScreen.-looked .known { display: block; }
    ImportScreen #found { margin: 1 0; }
    ImportScreen.-small #found, ImportScreen.-medium #found { margin: 0; }
    ImportScreen.-medium > .box { padding: 0 2; }
    ImportScreen.-medium #note, ImportScreen.-medium #buttons { margin-top: 0; }
    """

    def __init__(self, desk: DataDesk) -> None:
        super().__init__()
        self._desk = desk
        self._preview: SourcePreviewed | None = None
        self._looked_at: tuple[str, str] | None = None
        """The source and encoding of the preview, or of the look that is to give one."""

    def lines(self) -> Iterator[Widget]:
        """The source; the rest is hidden until it was looked at."""
        yield row("Source", Input(compact=True, id="source", placeholder="a file, archive or folder, or owner/name of the hub"))
        yield row("Encoding", Input(compact=True, id="encoding", placeholder="of a text file; empty is UTF-8"))
        yield Static(classes="about known", id="found", markup=False)
        for role, label in ROLES.items():
            yield self._hidden(role, label, "no field")
        yield self._hidden("hospital-field", "Hospital field", "the field that says whose a pair is")
        yield self._hidden("hospital", "or one hospital", "a name: all pairs are its own")
        yield self._hidden("sizes", "Pairs to keep", "all; or A=4520, B=2521; or the word reference")
        yield self._hidden("target", "Into folder", "", "data/processed")
        choices = [("leave them as they are", False), ("replace them with placeholders", True)]
        choice = Select(choices, value=False, allow_blank=False, compact=True, id="deidentify")
        yield row("Names, numbers", choice).add_class("known")

    def _hidden(self, id: str, label: str, placeholder: str, value: str = "") -> Widget:
        return row(label, Input(value, compact=True, id=id, placeholder=placeholder)).add_class("known")

    def on_mount(self) -> None:
        """Ask for the source."""
        self._ask_for_the_source()
        self.query_one("#source", Input).focus()

    def _ask_for_the_source(self) -> None:
        self._preview = self._looked_at = None
        self.remove_class("-looked")
        self.query_one("#go", Button).label = "Look at it"
        self.say("Nothing is imported yet. The fields it has, and how they are understood, are shown first.")

    @on(Input.Changed, "#source")
    @on(Input.Changed, "#encoding")
    def source_changed(self) -> None:
        """What is known, or about to be, is of another source."""
        if self._looked_at not in (None, self._named):
            self._ask_for_the_source()

    @property
    def _named(self) -> tuple[str, str]:
        return self.value("source"), self.value("encoding")

    def action_go_on(self) -> None:
        """Look at the source; once it was looked at, import it."""
        if self._preview is None or self._looked_at != self._named:
            self._look()
            return
        try:
            self.dismiss(self._command(self._preview))
        except SettingsError as error:
            self.complain(error)

    @work(group="look")
    async def _look(self) -> None:
        """What comes of it counts only while the lines hold what was looked at."""
        source, encoding = named = self._named
        if not source:
            self.complain(SettingsError("name a source.", where="source", hint="For example clinic.csv."))
            return
        self._preview, self._looked_at = None, named
        self.say("◌ looking at it")
        command = PreviewSource(job="", source=source, options=SourceOptions(encoding=encoding))
        try:
            found: SourcePreviewed | FedMedError | Stopped = only(await self._desk.ask(command), SourcePreviewed)
        except (FedMedError, Stopped) as error:
            found = error
        if named != self._named:
            return
        match found:
            case SourcePreviewed():
                self._show(found)
            case FedMedError():
                message = ": ".join(part for part in (found.where, found.message) if part)
                self.complain(SettingsError(message, where="source", hint=found.hint))
            case Stopped():
                self._ask_for_the_source()

    def _show(self, preview: SourcePreviewed) -> None:
        """Fill in what was guessed."""
        self._preview, self._looked_at = preview, self._named
        guessed: dict[str, str] = msgspec.structs.asdict(preview.mapping)
        for role, field in {**guessed, "hospital-field": preview.hospital_field}.items():
            line = self.query_one(f"#{role}", Input)
            line.value = field
            line.suggester = SuggestFromList(preview.fields, case_sensitive=False)
        self.query_one("#found", Static).update(_found(preview, max(self.query_one(".box").size.width - 6, 20)))
        self.add_class("-looked")
        self.query_one("#go", Button).label = "Import"
        self.say("What is in the folder is replaced once the import is complete.")
        self.query_one("#question", Input).focus()

    def _command(self, preview: SourcePreviewed) -> ImportData:
        """The import as filled in. Raises SettingsError for what cannot be."""
        for role in ("question", "answer"):
            if not self.value(role):
                raise SettingsError(f"say which field holds the {role}.", where=role, hint=_fields(preview))
        hospital, field = self.value("hospital"), self.value("hospital-field")
        for role in (*ROLES, "hospital-field"):
            for name in self.value(role).split(JOIN):
                if name and name not in preview.fields:
                    raise SettingsError(f"there is no field {name!r}.", where=role, hint=_fields(preview))
        if not hospital and not field:
            hint = "Or leave this form and share the pairs out among several (p)."
            raise SettingsError("name the field that says whose a pair is, or one hospital.", where="hospital", hint=hint)
        if not self.value("target"):
            raise SettingsError("name a folder.", where="target", hint="For example data/processed.")
        return ImportData(
            job="",
            source=preview.source,
            hospital_field="" if hospital else field,
            hospital=hospital,
            sizes=sizes(self.value("sizes"), "sizes"),
            target=self.value("target"),
            options=SourceOptions(
                mapping=FieldMapping(**{role: self.value(role) for role in ROLES}),
                encoding=self.value("encoding"),
                deidentify=self.query_one("#deidentify", Select).value is True,
            ),
        )


def _fields(preview: SourcePreviewed) -> str:
    return f"Its fields are {', '.join(preview.fields[:20])}."


def _found(preview: SourcePreviewed, width: int) -> Content:
    """What the source is, its fields, and its first pair."""
    lines = [Content(f"{safe(preview.kind)} · {preview.usable} of the first {preview.rows} rows usable")]
    lines.append(one_line(_fields(preview), width))
    for example in preview.examples[:1]:
        lines += [one_line(f"› {example.question}", width), Content("  ") + one_line(example.answer, width - 2)]
    return Content("\n").join(lines)
