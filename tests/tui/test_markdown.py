"""A model's Markdown, drawn in one widget: every character of it is there, and nothing of it is obeyed."""

from __future__ import annotations

import pytest
from conftest import until

from fedmed_tui.app import FedMedApp
from fedmed_tui.widgets.markdown import MarkdownText, drawn

WIDTH = 40


def lines(text: str, width: int = WIDTH) -> list[str]:
    return drawn(text, width).plain.split("\n")


def test_a_list_has_a_line_for_each_item_and_long_ones_are_wrapped() -> None:
    shown = lines("Do this:\n\n1. **Rest** and drink, as often as you can in a day\n2. Sleep")

    assert shown[0] == "Do this:"
    assert [line.strip() for line in shown if "Rest" in line or "Sleep" in line] == [
        "1 Rest and drink, as often as you can",
        "2 Sleep",
    ]
    assert max(map(len, shown)) <= WIDTH


def test_strong_words_are_bold() -> None:
    content = drawn("Take **care** now", WIDTH)

    assert [content.plain[span.start : span.end] for span in content.spans if getattr(span.style, "bold", False)] == ["care"]


def test_a_heading_stands_on_the_left() -> None:
    assert lines("# Signs\n\nFever.") == ["Signs", "", "Fever."]


def test_code_has_no_colours_of_its_own() -> None:
    content = drawn("```python\nprint(1)\n```", WIDTH)

    assert content.plain.strip() == "print(1)"
    assert not any(getattr(span.style, "background", None) for span in content.spans)


@pytest.mark.parametrize("text", ["<b>bold</b>", "a <script>x</script> b", "[/] [bold red]x[/bold]"])
def test_tags_and_markup_are_shown_as_they_are(text: str) -> None:
    assert lines(text) == [text]


def test_a_link_shows_where_it_leads_and_cannot_be_followed() -> None:
    content = drawn("[here](https://example.org)", WIDTH)

    assert content.plain == "here (https://example.org)"
    assert not any(getattr(span.style, "link", None) or getattr(span.style, "meta", None) for span in content.spans)


def test_what_a_terminal_would_obey_is_shown_as_a_mark() -> None:
    assert "\x1b" not in drawn("a \x1b]0;title\x07 b", WIDTH).plain


def test_unfinished_markdown_is_drawn_as_far_as_it_goes() -> None:
    whole = "| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```\n\n> so"

    shown = [drawn(whole[:end], WIDTH).plain for end in range(len(whole) + 1)]

    assert all(word in shown[-1] for word in ("a", "b", "1", "2", "code", "so"))


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 20)])
async def test_its_height_follows_its_width(app: FedMedApp, size: tuple[int, int]) -> None:
    text = "one two three four five six seven eight nine ten " * 6
    async with app.run_test(size=(100, 36)) as pilot:
        widget = MarkdownText(text)
        await app.screen.mount(widget, before=0)
        await pilot.resize_terminal(*size)

        await until(pilot, lambda: widget.size.width == size[0])
        await until(pilot, lambda: widget.size.height == len(lines(text, size[0])))
