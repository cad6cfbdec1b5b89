"""What the commands that can be steps of a recipe read and write, asked of their modules."""

from collections.abc import Iterator, Mapping
from importlib import import_module

from wsikd.cli.commands import COMMANDS
from wsikd.recipes import Footprint


class Footprints(Mapping[str, Footprint]):
    """Command to its footprint; a command's module is imported when it is asked for."""

    def __getitem__(self, command: str) -> Footprint:
        if command not in COMMANDS:
            raise KeyError(command)
        module = import_module(f"wsikd.cli.{command.split(maxsplit=1)[0]}")
        declared: Mapping[str, Footprint] = getattr(module, "FOOTPRINTS", {})
        return declared[command]

    def __iter__(self) -> Iterator[str]:
        return (command for command in COMMANDS if command in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
