"""A configuration from the program's own code, in place of the file that ``AMBASSADOR_CONFIG`` names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ambassador_proxy import _native


def configure(source: str | os.PathLike[str] | Mapping[str, Any]) -> None:
    """From now on that configuration holds over what the app says, for proxies that are made from now on: the path of a file, its
    text in YAML or JSON (what has a line break, or begins with ``{``), or the same as a mapping.

    Raises ``ConfigError`` when something is wrong with it, with file, line and column; what held before then holds on.

    >>> configure({"version": 1, "targets": {"rates.example.com": {"max_retries": 5}}})
    """
    # A mapping may be one that JSON does not know, such as a view of one.
    _native.configure(json.dumps(dict(source)) if isinstance(source, Mapping) else os.fspath(source))
