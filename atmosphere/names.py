"""The names people give to nodes and meshes: shown on terminals, written in addresses, so free of surprises."""

from __future__ import annotations

import unicodedata

MAX_BYTES = 63
"""How long a name may be, in UTF-8: a DNS label's length."""

_SEPARATORS = str.maketrans(dict.fromkeys("/\\:@", "-"))


def clean_name(text: str) -> str:
    """The nearest name to `text`, perhaps "".

    Normalised (NFC), without control and invisible characters (a name must not steer a terminal), runs of white space
    as one space, the separators of paths and addresses as dashes, cut to 63 bytes of UTF-8.
    """
    spaced = " ".join(unicodedata.normalize("NFC", text).split())
    seen = "".join(letter for letter in spaced if letter == " " or unicodedata.category(letter)[0] not in "CZ")
    cut = seen.translate(_SEPARATORS).encode()[:MAX_BYTES].decode(errors="ignore")
    return " ".join(unicodedata.normalize("NFC", cut).split())


def is_name(text: str) -> bool:
    """Whether `text` is a name as it stands: not empty, and `clean_name` leaves it alone."""
    return bool(text) and clean_name(text) == text
