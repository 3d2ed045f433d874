"""What the flags of the group say, handed to every command."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atmosphere.errors import StateError

if TYPE_CHECKING:
    from atmosphere.cli.control.client import ControlClient
    from atmosphere.cli.output import Output


class State:
    """The group's flags: `json`, `home` and `debug`, and what follows from them."""

    def __init__(self, *, json: bool = False, home: Path | None = None, debug: bool = False) -> None:
        self.json = json
        self.home = (home or default_home()).expanduser().absolute()
        self.debug = debug

    @property
    def debug(self) -> bool:
        """Whether debug logs and tracebacks are shown."""
        return self._debug

    @debug.setter
    def debug(self, on: bool) -> None:
        self._debug = on
        if on:
            logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
            logging.getLogger().setLevel(logging.DEBUG)

    @cached_property
    def out(self) -> Output:
        """Where this command writes its data and its advice."""
        from atmosphere.cli.output import Output

        return Output(self.json)

    def control(self) -> ControlClient:
        """A connection to the running node of this home; NotRunning where there is none."""
        from atmosphere.cli.control.client import ControlClient

        return ControlClient.connect(self.home)

    def defaults(self, commands: Iterable[str]) -> dict[str, dict[str, Any]]:
        """click's default map out of config.toml: top-level keys for every command, a table for the one it names."""
        names = set(commands)
        file = self.settings_file()
        common = {key.replace("-", "_"): value for key, value in file.items() if key not in names}
        tables = {key: table for key, table in file.items() if key in names and isinstance(table, dict)}
        return {
            # A relay is another program than a node: it shares no setting but its own table.
            name: ({} if name == "relay" else common)
            | {key.replace("-", "_"): value for key, value in tables.get(name, {}).items()}
            for name in names
        }

    def settings_file(self) -> dict[str, Any]:
        """What config.toml in the home says; empty when there is none, StateError when it cannot be read."""
        path = self.home / "config.toml"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise StateError(f"{path} cannot be read: {error}") from error
        import tomllib

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise StateError(f"{path} is not TOML: {error}", hint=f"correct {path}") from error


def default_home() -> Path:
    """The home when none is named: `ATMOSPHERE_HOME`, or the user's data directory."""
    if named := os.environ.get("ATMOSPHERE_HOME"):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_data_dir("atmosphere", appauthor=False))


pass_state = click.make_pass_decorator(State)
