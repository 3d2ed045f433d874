"""The docs hold what they promise: links lead somewhere, and the command line's reference is complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from atmosphere.cli.app import atmosphere

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("atmosphere/**/*.md")])
EVERYWHERE = {"--help", "--version"}


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, by GitHub's rule, and those it sets itself."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def commands(group: click.Group, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below `group` with the words that call it."""
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        yield f"{name}{word}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{name}{word} ")


def test_the_reference_knows_every_command_and_option() -> None:
    text = (ROOT / "docs" / "CLI.md").read_text()
    missing = []
    for name, command in commands(atmosphere):
        if f"atmosphere {name}" not in text:
            missing.append(name)
        options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
        flags = [option.opts for option in options if not EVERYWHERE & set(option.opts)]
        missing += [f"{name} {'/'.join(names)}" for names in flags if not any(flag in text for flag in names)]
    assert missing == []


def test_the_reference_knows_no_option_that_is_not_there() -> None:
    text = (ROOT / "docs" / "CLI.md").read_text().partition("### python -m signaling")[0]
    known = {flag for _, command in commands(atmosphere) for option in command.params for flag in option.opts}
    known |= {flag for option in atmosphere.params for flag in option.opts} | EVERYWHERE
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - known == set()
