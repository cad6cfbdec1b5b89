"""Show the fields of settings and records as a list: name, type, range, default and meaning.

A field's meaning stands in its `Field(..., description=...)`, which no docstring repeats.
"""

import ast
from typing import Any

import griffe

_LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


class Fields(griffe.Extension):
    """Adds a section Attributes to the docstring of every class of settings."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """List the fields of one class, unless its docstring does."""
        is_record = any(str(base).endswith("Settings") for base in cls.bases)
        if not is_record or cls.docstring is None or "\nAttributes\n" in cls.docstring.value:
            return
        fields = [member for member in cls.members.values() if _is_field(member)]
        lines = [f"{field.name} : {field.annotation}\n    {_describe(field)}" for field in fields]
        if lines:
            cls.docstring.value += "\n\nAttributes\n----------\n" + "\n".join(lines)


def _is_field(member: griffe.Object | griffe.Alias) -> bool:
    is_data = isinstance(member, griffe.Attribute) and member.annotation is not None
    return is_data and not member.name.startswith("_") and "property" not in member.labels


def _describe(field: griffe.Attribute) -> str:
    value = ast.parse(str(field.value), mode="eval").body if field.value is not None else None
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "Field"):
        return f"({_default(value)})"
    named = {each.arg: each.value for each in value.keywords}
    description = named.get("description")
    meaning = description.value if isinstance(description, ast.Constant) else ""
    limits = [f"{said} {ast.unparse(named[key])}" for key, said in _LIMITS.items() if key in named]
    default = value.args[0] if value.args else named.get("default", named.get("default_factory"))
    return f"{meaning} ({', '.join([*limits, _default(default)])})".strip()


def _default(value: ast.expr | None) -> str:
    return "required" if value is None else f"default `{ast.unparse(value)}`"
