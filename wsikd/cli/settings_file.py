"""What `wsikd.yaml` sets for the commands."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from wsikd.cli.commands import COMMANDS, GROUPS, OF_GROUPS
from wsikd.config import load_yaml
from wsikd.errors import ConfigError


def read_settings(path: Path) -> dict[str, Any]:
    """Read what wsikd.yaml says, by command; cyclopts checks the options of the one asked for."""
    found = _with_plans(_nested(load_yaml(path) if path.exists() else {}))
    sections = _checked(found, {name.split()[0] for name in COMMANDS}, path)
    for group in GROUPS.keys() & sections.keys():
        inner = {name.split()[1] for name in COMMANDS if name.startswith(f"{group} ")}
        sections[group] = _checked(sections[group], inner, path, f"{group} ")
    return sections


def is_from_file(said: str, tokens: Sequence[str], sections: Mapping[str, Any]) -> bool:
    """Tell whether a complaint is of an option that wsikd.yaml sets and nobody typed."""
    option = said.split(maxsplit=1)[0].rstrip(":")
    typed = [token.partition("=")[0].replace("_", "-") for token in tokens]
    name = next((token for token in tokens if token in sections), "")
    options = sections.get(name, {})
    if name in GROUPS:
        options = next((options[token] for token in tokens if token in options), {})
    from wsikd.recipes import Step  # noqa: PLC0415  with pandas, for which help has no time

    in_file = Step(0, name, options).arguments
    return option in in_file and option not in typed


def _with_plans(sections: dict[str, Any]) -> dict[str, Any]:
    """Let a training be planned with what is set for it, under what is set for its plan."""
    plans = sections.get("plan") or {}
    trainings = [name.split()[1] for name in COMMANDS if name.startswith("plan ")]
    for name in trainings if isinstance(plans, dict) else ():
        if isinstance(of_training := sections.get(name), dict):
            plans = {**plans, name: of_training | (plans.get(name) or {})}
    return {**sections, "plan": plans} if plans else sections


def _nested(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Bring `segment train: {...}`, as recipes have it, to `segment: {train: {...}}`."""
    nested = {name: options for name, options in sections.items() if name not in OF_GROUPS}
    for name in sections.keys() & OF_GROUPS:
        group, command = name.split()
        inner = nested.get(group) or {}
        nested[group] = {**inner, command: sections[name]}
    return nested


def _checked(
    sections: Mapping[str, Any], known: Collection[str], path: Path, group: str = ""
) -> dict[str, Any]:
    for name, options in sections.items():
        if name not in known:
            may = ", ".join(name for name in COMMANDS if name.startswith(group))
            raise ConfigError(f"{path}: {group + name!r} is no command; it may have {may}")
        if not isinstance(options, dict | None):
            raise ConfigError(f"{path}: {group}{name} must map options to values, got {options!r}")
        for ours in {"workspace", "gpus"} & (options or {}).keys():  # cyclopts would pass over it
            raise ConfigError(f"{path}: {group}{name} cannot set the {ours}; say --{ours}")
    return {name: options or {} for name, options in sections.items()}
