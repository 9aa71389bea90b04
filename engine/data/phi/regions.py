"""Places too large to identify anybody: countries, continents, and the states of the US (which HIPAA lets stand)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from phonenumbers.geodata.locale import LOCALE_DATA

_LARGE = """
Africa, Antarctica, Asia, Europe, North America, South America, Latin America, Central America, Oceania, Middle East, Far East,
Southeast Asia, South Asia, East Asia, Central Asia, West Africa, East Africa, North Africa, South Africa, Eastern Europe,
Western Europe, Northern Europe, Southern Europe, Caribbean, Mediterranean, Scandinavia, England, Scotland, Wales,
Northern Ireland, Great Britain, USA, US, UK, Russia, Korea,
Alabama, Alaska, Arizona, Arkansas, California, Colorado, Connecticut, Delaware, Florida, Georgia, Hawaii, Idaho, Illinois,
Indiana, Iowa, Kansas, Kentucky, Louisiana, Maine, Maryland, Massachusetts, Michigan, Minnesota, Mississippi, Missouri, Montana,
Nebraska, Nevada, New Hampshire, New Jersey, New Mexico, New York, North Carolina, North Dakota, Ohio, Oklahoma, Oregon,
Pennsylvania, Rhode Island, South Carolina, South Dakota, Tennessee, Texas, Utah, Vermont, Virginia, Washington, West Virginia,
Wisconsin, Wyoming
"""


def is_large(place: str) -> bool:
    """Whether a place, or every part of a list of them, is a country or larger, or a state."""
    return all(part.strip().lower() in _large_regions() for part in place.split(","))


@lru_cache(maxsize=1)
def _large_regions() -> frozenset[str]:
    names = [name.strip() for name in _LARGE.split(",")]
    return frozenset(name.lower() for name in [*names, *(_english(country) for country in LOCALE_DATA.values())])


def _english(names: Mapping[str, str]) -> str:
    """A country's name as the telephone library has it; `*xx` there means "as in language xx"."""
    name = names.get("en", "")
    return names.get(name[1:], "") if name.startswith("*") else name
