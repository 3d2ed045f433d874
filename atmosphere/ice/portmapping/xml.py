"""XML from strangers: a small tree, or DecodeError. Pure.

There is no document type, so there are no entities to expand or to fetch; size, depth and the number of elements are
bounded. Namespaces are dropped: routers get them wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from atmosphere.errors import DecodeError

__all__ = ["Element", "parse"]

MAX_SIZE = 64 * 1024
MAX_DEPTH = 32
MAX_ELEMENTS = 4000


@dataclass
class Element:
    """An element: its name without prefix, its own text, its children."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def every(self, name: str) -> Iterator[Element]:
        """All elements of that name in here, at any depth."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.every(name)

    def value(self, name: str) -> str | None:
        """The text of the first element of that name in here, or None."""
        found = next(self.every(name), None)
        return None if found is None else found.text.strip()


class _Refused(Exception):
    """What no router needs; the parser stops there."""


class _Builder:
    """Handlers for expat."""

    def __init__(self) -> None:
        self.root = Element("")
        self._open = [self.root]
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._count += 1
        if len(self._open) > MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise _Refused("too deep or too large")
        element = Element(name.rpartition(":")[2])
        self._open[-1].children.append(element)
        self._open.append(element)

    def end(self, name: str) -> None:
        """An element ends."""
        self._open.pop()

    def text(self, text: str) -> None:
        """Some characters."""
        self._open[-1].text += text

    def refuse(self, *_: object) -> int:
        """A document type, and whatever it would bring."""
        raise _Refused("a document type")


def parse(data: bytes) -> Element:
    """An element that contains the document's, or DecodeError."""
    if len(data) > MAX_SIZE:
        raise DecodeError(f"XML of {len(data)} bytes is too long")
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse
    parser.EntityDeclHandler = builder.refuse
    parser.ExternalEntityRefHandler = builder.refuse
    parser.UnparsedEntityDeclHandler = builder.refuse
    try:
        # Some routers end their documents with zero bytes.
        parser.Parse(data.strip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, _Refused, ValueError, LookupError) as error:
        raise DecodeError(f"not a router's XML: {error}") from error
    return builder.root
