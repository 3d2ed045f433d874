from __future__ import annotations

import json
import logging
import sys

from signaling.logs import JsonFormatter


def test_a_record_is_one_line_of_json() -> None:
    record = logging.LogRecord("signaling.x", logging.INFO, "f", 1, "a %s\nb", ("c",), None)
    line = JsonFormatter().format(record)
    entry = json.loads(line)
    assert "\n" not in line
    assert (entry["level"], entry["logger"], entry["message"]) == ("info", "signaling.x", "a c\nb")
    assert entry["time"].endswith("+00:00")


def test_a_traceback_is_kept() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    assert "ValueError: why" in json.loads(JsonFormatter().format(record))["traceback"]
