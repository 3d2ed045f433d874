"""The group: flags, errors, exit codes, what is imported when."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from atmosphere.cli import failures
from atmosphere.cli.app import ENTRIES, atmosphere
from atmosphere.cli.base import Command
from tests.cli.conftest import Invoke
from tests.cli.fake import FakeNode

HEAVY = {"asyncio", "aioice", "aiortc", "cryptography", "rich", "websockets", "msgspec", "segno", "atmosphere.mesh"}


def test_help_lists_every_command(invoke: Invoke) -> None:
    text = invoke("--help").stdout
    for name, entry in ENTRIES.items():
        assert name in text
        assert entry.help in text
    for later in ("pipe", "forward", "proxy", "--short"):
        assert later not in text


@pytest.mark.parametrize("name", ENTRIES)
def test_every_command_has_help_and_environment_variables(invoke: Invoke, name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    command = atmosphere.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert command.help
    for parameter in command.params:
        if parameter.param_type_name == "option" and not parameter.hidden:  # type: ignore[attr-defined]
            longest = max(parameter.opts, key=len).removeprefix("--")
            assert parameter.envvar == "ATMOSPHERE_" + longest.upper().replace("-", "_")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from atmosphere.cli.app import atmosphere\n"
        "try: atmosphere(['--help'])\n"
        "except SystemExit: pass\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stderr == "[]\n"


def test_version(invoke: Invoke) -> None:
    assert invoke("--version").stdout.startswith("atmosphere 0.")


def test_usage_error(invoke: Invoke) -> None:
    for wrong in (["nothing"], ["peers", "--wrong"], ["ping"], ["--wrong"], ["ping", "x", "--timeout", "soon"]):
        result = invoke(*wrong)
        assert result.exit_code == 2
        error, hint = result.stderr.splitlines()
        assert error.startswith("Error: ")
        assert hint.startswith("Try: atmosphere")
        assert hint.endswith("--help")


def test_no_command_shows_help(invoke: Invoke) -> None:
    result = CliRunner().invoke(atmosphere, [])
    assert result.exit_code == 2
    assert "Usage:" in result.output


def test_home_from_the_environment(tmp_path: Path) -> None:
    result = CliRunner().invoke(atmosphere, ["status"], env={"ATMOSPHERE_HOME": str(tmp_path / "elsewhere")})
    assert str(tmp_path / "elsewhere") in result.stderr


@pytest.mark.parametrize(
    ("raised", "code", "text"),
    [
        (KeyboardInterrupt(), 6, "Error: interrupted\n"),
        (RuntimeError("odd"), 1, f"Error: unexpected RuntimeError: odd\nTry: {failures.REPORT}\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "Error: Permission denied: /x\n"),
        (TimeoutError(), 4, "Error: nobody answered in time\n"),
    ],
)
def test_anything_raised_is_one_line(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, text: str
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(Command, "invoke", fail)
    result = invoke("peers")
    assert (result.exit_code, result.stderr) == (code, text)


def test_an_unforeseen_error_goes_into_the_log(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(Command, "invoke", fail)
    assert "Traceback" not in invoke("peers").output
    assert "RuntimeError: odd" in (home / "node.log").read_text()


def test_debug_shows_the_traceback(invoke: Invoke, node: FakeNode, caplog: pytest.LogCaptureFixture) -> None:
    assert invoke("--debug", "remove", "nobody").exit_code == 1
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(home: Path, closed: str) -> None:
    command = f"{sys.executable} -m atmosphere --home {home} status {closed}"
    result = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode == failures.NOT_RUNNING
    assert "unexpected" not in result.stderr
    command = f"{sys.executable} -m atmosphere --home {home} config {closed}"
    result = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=30)
    assert (result.returncode, result.stderr) == (0, "")
