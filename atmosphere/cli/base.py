"""The classes of our commands: late imports, options with environment variables, errors as exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from atmosphere.cli import failures
from atmosphere.errors import AtmosphereError


def terminal(stream: Any) -> bool:
    """Whether colours and live output belong on `stream`: a terminal, and neither NO_COLOR nor CI is set."""
    return stream.isatty() and not (os.environ.get("NO_COLOR") or os.environ.get("CI"))


def _wants_help() -> bool:
    """Whether this process is about to draw help on a terminal: only then rich is worth its import."""
    return (len(sys.argv) < 2 or "--help" in sys.argv) and terminal(sys.stdout)


if TYPE_CHECKING or not _wants_help():
    from click import Command as _Command
    from click import Group as _Group
else:
    from rich_click import RichCommand as _Command
    from rich_click import RichGroup as _Group


class Option(click.Option):
    """An option that is also read from `ATMOSPHERE_<OPTION>`."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        longest = max(self.opts, key=len)
        if self.envvar is None and longest.startswith("--"):
            self.envvar = "ATMOSPHERE_" + longest[2:].replace("-", "_").upper()

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, click.core.ParameterSource]:
        """The value and where it came from; in config.toml one server needs no list, and only servers take one."""
        value, source = super().consume_value(ctx, opts)
        if source is click.core.ParameterSource.DEFAULT_MAP:
            if isinstance(value, dict) or (isinstance(value, list) and not self.multiple):
                raise click.BadParameter("config.toml has several values where one belongs", ctx, self)
            if self.multiple and not isinstance(value, list):
                value = [value]
        return value, source


class Command(_Command):
    """A command of ours; the group's --json, --debug and --home are also taken after its name."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.extend(_late_group_options())


def _late_group_options() -> list[click.Parameter]:
    def keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value and ctx.obj is not None:
            setattr(ctx.obj, str(parameter.name), value)

    common: dict[str, Any] = {"hidden": True, "expose_value": False, "callback": keep, "is_eager": True}
    return [click.Option([name], is_flag=True, **common) for name in ("--json", "--debug")]


class Entry(NamedTuple):
    """Where a command of the group lives, and its line in the group's help."""

    module: str
    attribute: str
    help: str
    family: str


class LazyGroup(_Group):
    """A group that imports a command when it is run, and draws its own help from a table."""

    def __init__(self, *args: Any, entries: dict[str, Entry], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._entries = entries
        self._drawing_help = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the table's order."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; a stand-in with its one line while help is being drawn."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        if self._drawing_help:
            panel: dict[str, Any] = {} if _Command is click.Command else {"panel": entry.family}
            return _Command(cmd_name, short_help=entry.help, help=entry.help, **panel)
        command = getattr(importlib.import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - the table is ours
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C becomes an Abort, to which click adds nothing of its own."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort from error
        except Exception as error:
            _keep(ctx, error)
            raise

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help without importing a single command."""
        self._drawing_help = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._drawing_help = False

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section a family, where rich does not draw its panels."""
        if _Group is not click.Group:
            super().format_commands(ctx, formatter)
            return
        for family in dict.fromkeys(entry.family for entry in self._entries.values()):
            with formatter.section(family):
                formatter.write_dl([(name, e.help) for name, e in self._entries.items() if e.family == family])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and exit; every failure is one line, a hint where there is one, and the exit code of its kind."""
        if not standalone_mode:
            return click.Group.main(self, args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            result = click.Group.main(self, args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            _reader_gone()
        except BaseException as error:  # noqa: BLE001 - the one place where every failure becomes an exit code
            sys.exit(_report(error))
        sys.exit(result if isinstance(result, int) else failures.DONE)


def _report(error: BaseException) -> int:
    """Say on stderr what happened; the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else failures.FAILED
    if isinstance(error, KeyboardInterrupt | click.Abort):
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # after the ^C that the terminal shows
        failures.show("interrupted")
        return failures.INTERRUPTED
    if isinstance(error, click.ClickException):
        return _report_click(error)
    ours = failures.as_atmosphere_error(error)
    if not isinstance(error, AtmosphereError):
        _log(error)
    elif debugging():
        _log(error)
    failures.show(str(ours), failures.hint_for(ours))
    return failures.exit_code(ours)


def _report_click(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return failures.USAGE
    ctx = getattr(error, "ctx", None)
    hint = f"{ctx.command_path} --help" if ctx is not None else "atmosphere --help"
    failures.show(error.format_message(), hint if isinstance(error, click.UsageError) else None)
    return failures.USAGE if isinstance(error, click.UsageError) else failures.FAILED


def _keep(ctx: click.Context, error: Exception) -> None:
    """An error that nobody foresaw goes into the log of the home, with its traceback."""
    foreseen = (AtmosphereError, click.ClickException, click.exceptions.Exit, click.Abort, OSError)
    if not isinstance(error, foreseen) and ctx.obj is not None:
        from atmosphere.cli.daemon import logs

        logs.keep(ctx.obj.home, error)


def debugging() -> bool:
    """Whether --debug was given: tracebacks are shown then, and only then."""
    import logging

    return logging.getLogger().isEnabledFor(logging.DEBUG)


def _log(error: BaseException) -> None:
    import logging

    logging.getLogger("atmosphere.cli").debug("%s", error, exc_info=error)


def _reader_gone() -> NoReturn:
    """Whoever read our stdout has gone (`| head`): end quietly, and keep Python's exit from complaining."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(failures.FAILED)
