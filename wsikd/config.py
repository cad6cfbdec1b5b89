"""Settings: frozen pydantic models that refuse unknown names; YAML in, resolved YAML out."""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_jsonable_python

from wsikd.errors import ConfigError, WsikdError
from wsikd.yaml_reading import YamlError, read_yaml

__all__ = [
    "OneOf",
    "Settings",
    "SettingsType",
    "explain",
    "first_difference",
    "load",
    "load_document",
    "load_yaml",
    "save",
]

if TYPE_CHECKING:
    from typing import Annotated as OneOf  # a type checker takes OneOf[str, NAMES] for str
else:

    class OneOf:
        """The type of a setting that is a key of a registry, or one of other names.

        The names are read once, when the type is made, so that the command line lists them and
        pydantic refuses others.

        Examples
        --------
        >>> KINDS = {"square": 4, "triangle": 3}
        >>> class Example(Settings):
        ...     kind: OneOf[str, KINDS] = "square"
        >>> Example(kind="triangle").kind
        'triangle'
        """

        def __class_getitem__(cls, item: tuple[type, Collection[str]]) -> Any:
            return Literal[tuple(item[1])]


class Settings(BaseModel):
    """Base of all settings: immutable, closed, declared beside the code that uses them.

    Examples
    --------
    >>> class Example(Settings):
    ...     epochs: int = 3
    >>> Example(epochs=5).model_copy(update={"epochs": 7}).epochs
    7
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


SettingsType = TypeVar("SettingsType", bound=Settings)

_WORDS = (
    (r"^\w+ should ", ""),
    (r"^be a valid dictionary.*", "be a mapping of names to values"),
    (r"^be a valid (?:tuple|list)", "be a list"),
    (r", unable to parse .*| after validation, not \d+$", ""),
    (r"greater than or equal to", "at least"),
    (r"greater than", "above"),
    (r"less than or equal to", "at most"),
    (r"less than", "below"),
)
"""Pydantic's words to ours, in order: what follows "must"."""


def load(path: Path, kind: type[SettingsType]) -> SettingsType:
    """Read settings from a YAML file.

    Raises
    ------
    ConfigError
        If the file is no YAML mapping or a setting breaks its rule; the message is one line.
    """
    values = load_yaml(path)
    try:
        return kind(**values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping; an empty file is an empty mapping."""
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: must be a file, is a folder") from None
    except YamlError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: must be YAML; {reason}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold a mapping of settings, got {type(values).__name__}")
    return values


def stated_options(path: Path, command: str) -> dict[str, Any]:
    """Read what `wsikd.yaml` states of a command: options by name, dotted ones nested.

    Parameters
    ----------
    path : Path
        The file, which need not be there.
    command : str
        Such as "teach" or "segment train", which may be nested in the file.
    """
    sections: Any = load_yaml(path) if path.exists() else {}
    section = sections.get(command)
    for word in command.split() if section is None else ():
        sections = section = (sections or {}).get(word)
    options: dict[str, Any] = {}
    for name, value in (section or {}).items():
        first, _, rest = str(name).replace("-", "_").partition(".")
        if not rest and not isinstance(value, dict):
            options[first] = value
            continue
        inner = options.setdefault(first, {})
        inner |= {rest: value} if rest else value  # `tissue.mpp: 4` beside `tissue: {...}`
    return options


def resolve(
    kind: type[SettingsType],
    given: SettingsType | None,
    options: Mapping[str, Any],
    stated: Mapping[str, Any],
) -> SettingsType:
    """Return settings from what is given, over what `wsikd.yaml` states; `options` go before both.

    Raises
    ------
    ConfigError
        If a field is unknown or breaks its rule. What is stated may have other options, too.
    """
    values = {name: stated[name] for name in stated.keys() & kind.model_fields.keys()}
    if given is not None:
        values |= {name: getattr(given, name) for name in given.model_fields_set}
    try:
        return kind(**{**values, **options})
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def load_document(
    path: Path, kind: type[SettingsType], error: type[WsikdError], remedy: str = ""
) -> SettingsType:
    """Read a JSON document of wsikd's own, whose `kind` fixes its format and version.

    Parameters
    ----------
    path : Path
        The file.
    kind : type of Settings
        Has the fields `format` and `version`, whose types are the values that are understood.
    error : type of WsikdError
        What to raise.
    remedy : str
        How to get the file if it is not there, or not as it must be.

    Raises
    ------
    WsikdError
        Of the given type, if the file is missing, damaged, or of another format or version.
    """
    then = f"; {remedy}" if remedy else ""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(f"{path}: no such file{then}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise error(f"{path}: must be JSON; {problem}{then}") from None
    if not isinstance(values, dict):
        raise error(f"{path}: must hold a mapping, got {type(values).__name__}{then}")
    formats, versions = (
        get_args(kind.model_fields[name].annotation) for name in ("format", "version")
    )
    found = (values.get("format"), values.get("version"))
    if found[0] not in formats or found[1] not in versions:
        raise error(
            f"{path}: expected {formats[0]} version {' or '.join(map(str, versions))}, "
            f"found {found[0]} version {found[1]}"
            f"{_update_if_later(found, (formats[0], max(versions))) or then}"
        )
    try:
        return kind(**values)
    except ValidationError as problem:
        raise error(f"{path}: {explain(problem)}{then}") from None


def _update_if_later(found: tuple[Any, Any], expected: tuple[Any, Any]) -> str:
    """Return the remedy for a document of a later wsikd, which is not to be made anew."""
    is_later = isinstance(found[1], int) and found[1] > expected[1]
    return "; update wsikd" if found[0] == expected[0] and is_later else ""


def save(settings: Settings, path: Path) -> None:
    """Write the resolved settings, defaults included, as YAML."""
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def first_difference(
    before: Mapping[str, Any], now: Mapping[str, Any], ignored: Collection[str] = ()
) -> tuple[str, Any, Any] | None:
    """Find the first setting, by name, that differs between two sets of settings.

    Returns
    -------
    tuple of (str, value, value), or None
        Dotted name, value before and value now; a value is None where it is not set.

    Examples
    --------
    >>> first_difference({"tissue": {"mpp": 8}}, {"tissue": {"mpp": 4}})
    ('tissue.mpp', 8, 4)
    """
    for key in sorted((before.keys() | now.keys()) - set(ignored)):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            inner = first_difference(old, new)
            if inner is not None:
                return (f"{key}.{inner[0]}", *inner[1:])
        elif old != new:
            return key, old, new
    return None


def with_defaults(values: Mapping[str, Any], kind: type[Settings]) -> dict[str, Any]:
    """Fill in what saved settings lack: fields that were declared after they were saved.

    Examples
    --------
    >>> class Example(Settings):
    ...     epochs: int = 3
    ...     sampling: str = "shuffled"
    >>> with_defaults({"epochs": 5}, Example)
    {'epochs': 5, 'sampling': 'shuffled'}
    """
    filled = dict(values)
    for name, field in kind.model_fields.items():
        if not field.is_required():
            default = to_jsonable_python(field.get_default(call_default_factory=True))
            filled.setdefault(name, default)
    return filled


def explain(error: ValidationError, *, as_option: bool = False) -> str:
    """Shorten pydantic's report to one line: subject, rule, value; the first problem found.

    The subject is the field, such as tissue.mpp; with `as_option` it is the option of the command
    line, such as --tissue.mpp.

    Examples
    --------
    >>> class Example(Settings):
    ...     epochs: int = 3
    >>> try:
    ...     Example(epochs="many")
    ... except ValidationError as problem:
    ...     explain(problem)
    "epochs must be a valid integer, got 'many'"
    """
    first = error.errors(include_url=False)[0]
    # an option is all of its list
    parts = [part for part in first["loc"] if isinstance(part, str) or not as_option]
    field = ".".join(map(str, parts))
    subject = f"--{field.replace('_', '-')}" if as_option else field
    if first["type"] == "extra_forbidden":
        return f"{subject} is unknown; leave it out or correct its name"
    if first["type"] == "missing":
        return f"{subject} is required"
    if first["type"] == "value_error":
        problem = str(first["ctx"]["error"])
        return f"{subject}: {problem}" if field else problem  # of several, which it names itself
    rule = first["msg"]
    for pattern, words in _WORDS:
        rule = re.sub(pattern, words, rule)
    return f"{subject} must {rule}, got {first['input']!r}"
