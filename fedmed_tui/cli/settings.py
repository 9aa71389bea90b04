"""`fedmed-tui settings`: every setting with its meaning, as a TOML file that can be edited and given to `train --config`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import tomli_w
import typer

from engine import settings as definitions
from engine.settings import RunConfig


def settings(*, preset: Annotated[str, typer.Option(help="Show this preset's values.")] = "demo") -> None:
    """List every setting, as a TOML file.

    With its default, type and meaning. The list can be edited and used:
    fedmed-tui settings > my.toml, then fedmed-tui train --config my.toml.
    """
    print("\n".join(settings_file(preset)))


def settings_file(preset: str) -> Iterator[str]:
    """The lines of a TOML file with every setting and a comment on each. Raises SettingsError for an unknown preset."""
    config = definitions.preset(preset)
    sections = []
    for field in msgspec.structs.fields(RunConfig):
        value = getattr(config, field.name)
        if isinstance(value, msgspec.Struct):
            sections.append((field.name, value))
        else:
            yield from _setting(RunConfig, field, value)
    for name, section in sections:
        yield f"\n# {inspect.getdoc(type(section))}\n[{name}]"
        for field in msgspec.structs.fields(type(section)):
            yield from _setting(type(section), field, getattr(section, field.name))


def _setting(owner: type[msgspec.Struct], field: msgspec.structs.FieldInfo, value: Any) -> Iterator[str]:
    meaning = _docstrings(owner).get(field.name)
    if meaning:
        yield f"# {' '.join(meaning.split())}"
    line = f"{field.name} = {_toml(msgspec.to_builtins(value))}"
    yield f"{line:<38}  # {describe_type(msgspec.inspect.type_info(field.type))}"


def _toml(value: Any) -> str:
    """A value on one line; tomli_w would spread arrays and tables."""
    match value:
        case list() | tuple():
            return f"[{', '.join(_toml(item) for item in value)}]"
        case dict():
            return f"{{{', '.join(f'{_toml(key)} = {_toml(item)}' for key, item in value.items())}}}"
        case _:
            return tomli_w.dumps({"value": value}).strip().removeprefix("value = ")


def describe_type(kind: msgspec.inspect.Type) -> str:
    """A setting's type and range in words."""
    match kind:
        case msgspec.inspect.LiteralType(values=values):
            return " | ".join(str(value) for value in values)
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            word = "whole number" if isinstance(kind, msgspec.inspect.IntType) else "number"
            bounds = (("from", kind.ge), ("above", kind.gt), ("to", kind.le), ("below", kind.lt))
            return " ".join([word, *(f"{sign} {bound:.12g}" for sign, bound in bounds if bound is not None)])
        case msgspec.inspect.VarTupleType(item_type=item):
            return f"list of {describe_type(item)}"
        case msgspec.inspect.DictType(value_type=item):
            return f"table of name = {describe_type(item)}"
        case msgspec.inspect.StrType():
            return "text"
        case msgspec.inspect.BoolType():
            return "true | false"
        case _:
            raise TypeError(f"no words for the setting type {kind}")


def _docstrings(owner: type[msgspec.Struct]) -> dict[str, str]:
    """The string under each field of a class, which Python itself does not keep."""
    body = ast.parse(inspect.getsource(owner)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
    return found
