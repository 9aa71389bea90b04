"""The figure: nothing overlaps, nothing is cut, whatever was or was not measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axis import Axis, Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from msgspec.structs import replace

from engine.benchmark import figure
from engine.benchmark.results import SUITES, BenchmarkResults, HospitalPairs
from tests.benchmark.samples import aggregation, learning, partly_evaluated, privacy, results

LONG = "St_Bartholomews_and_the_Royal_London-2026"


def many_hospitals() -> BenchmarkResults:
    names = [f"{LONG}-{at:02d}" for at in range(40)]
    losses = dict.fromkeys(names, 2.5)
    return results(
        run=LONG * 2,
        learning=replace(learning(), validation=tuple(replace(at, losses=losses) for at in learning().validation)),
        aggregation=replace(aggregation(), full_runs=(), same_updates=()),
        privacy=replace(
            privacy(), pairs=tuple(HospitalPairs(hospital=name, train=5000, validation=300, test=500) for name in names)
        ),
    )


def long_names() -> BenchmarkResults:
    losses = {LONG: 2.6, "$x^{2": 2.4, "C": 2.5}
    return results(
        model=LONG,
        learning=replace(learning(), validation=tuple(replace(at, losses=losses) for at in learning().validation)),
        aggregation=replace(
            aggregation(),
            full_runs=(),
            same_updates=(),
            rounds=tuple(replace(at, weights={name: 1 / 3 for name in losses}) for at in aggregation().rounds),
        ),
        privacy=replace(
            privacy(), pairs=tuple(HospitalPairs(hospital=name, train=4520, validation=9, test=9) for name in losses)
        ),
    )


def quick() -> BenchmarkResults:
    return results(
        inference=None,
        learning=replace(partly_evaluated(), test=None),
        aggregation=replace(aggregation(), full_runs=()),
    )


CASES: dict[str, BenchmarkResults] = {
    "full": results(),
    "quick": quick(),
    "long names": long_names(),
    "many hospitals": many_hospitals(),
    "nothing measured": results(**dict.fromkeys(SUITES)),  # type: ignore[arg-type]
}


def drawn(found: BenchmarkResults, monkeypatch: pytest.MonkeyPatch, path: Path) -> Figure:
    """The figure as it was written."""
    kept: list[Figure] = []

    class Kept(Figure):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            kept.append(self)

    monkeypatch.setattr(figure, "Figure", Kept)
    figure.draw(found, path)
    return kept[0]


def visible_texts(shown: Figure) -> list[tuple[str, Bbox]]:
    """Every text with its place in pixels."""
    renderer = FigureCanvasAgg(shown).get_renderer()
    shown.draw(renderer)
    beyond = {tick.label1 for axes in shown.axes for axis in (axes.xaxis, axes.yaxis) for tick in _beyond(axis)}
    texts = [text for text in shown.findobj(Text) if text.get_visible() and text.get_text().strip() and text not in beyond]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    return [(text, box) for text, box in boxes if box.width and box.height]


def _beyond(axis: Axis) -> list[Tick]:
    """Ticks outside the axis' range: they are made but never drawn."""
    low, high = sorted(axis.get_view_interval())
    return [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]


@pytest.mark.parametrize("case", CASES)
def test_no_text_is_cut_and_none_lies_on_another(case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = drawn(CASES[case], monkeypatch, tmp_path / "figure.png")

    texts = visible_texts(shown)
    outside = [text for text, box in texts if box.x0 < 0 or box.y0 < 0 or box.x1 > shown.bbox.x1 or box.y1 > shown.bbox.y1]
    assert outside == []
    overlapping = [
        (text, other)
        for at, (text, box) in enumerate(texts)
        for other, place in texts[at + 1 :]
        if _inner(box).overlaps(_inner(place))
    ]
    assert overlapping == []


def _inner(box: Bbox) -> Bbox:
    """The box without the empty rim that belongs to every line of text."""
    return Bbox.from_extents(box.x0 + 1, box.y0 + 0.15 * box.height, box.x1 - 1, box.y1 - 0.15 * box.height)


def test_it_is_a_png_for_a_sheet_of_a4(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"

    shown = drawn(results(), monkeypatch, path)

    assert path.read_bytes().startswith(b"\x89PNG")
    assert tuple(shown.get_size_inches()) == (11.69, 8.27)
    assert len(shown.axes) == 6


def test_panels_that_were_not_measured_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = drawn(CASES["nothing measured"], monkeypatch, tmp_path / "figure.png")

    assert [text for text, _ in visible_texts(shown)].count("not measured") == 6
