"""What the environment variable DUMPLING_DOUBLE asks of the double."""

import json
import os
from collections.abc import Mapping
from typing import Any

VARIABLE = "DUMPLING_DOUBLE"
# Done at a count of finished data files or of bytes (misdeeds.py) ...
TIMED = {
    "bad-utf8-log",
    "burst",
    "delete-file",
    "enospc",
    "hang",
    "invalid-connection",
    "killed",
    "log-flood",
    "long-log-line",
    "odd-names",
    "password-leak",
    "rename-file",
    "row-leak",
    "special-file",
    "subdirectories",
}
# ... and the rest.
OTHERS = {
    "enospc-at-close",
    "exit-1-at-end",
    "hang-at-start",
    "ignore-sigterm",
    "metadata-cut",
    "metadata-empty",
    "metadata-missing",
    "metadata-new-terms",
    "metadata-no-finished",
    "metadata-no-pos",
    "metadata-other-pos",
    "metadata-two-pos",
    "no-files",
    "old-version",
    "only-metadata",
    "password-by-environment",
    "retry-chunk",
    "status-foreign",
    "status-none",
    "status-silent",
}
SETTINGS = {"gate", "pace", "progress_interval", "replay"}

Entry = dict[str, Any]


class ControlError(Exception):
    """The variable cannot be read; a test that asks for the impossible must not pass."""


class Controls:
    """The misdeeds asked for, and the settings beside them."""

    def __init__(self, entries: list[Entry]) -> None:
        self.misdeeds: list[Entry] = []
        self.gates: list[Entry] = []
        self.settings: Entry = {}
        for entry in entries:
            name = entry.get("misdeed")
            if name is not None:
                if name not in TIMED | OTHERS:
                    raise ControlError(f"unknown misdeed {name!r}")
                self.misdeeds.append(entry)
            elif not entry.keys() & SETTINGS:
                raise ControlError(f"neither a misdeed nor a setting: {entry!r}")
            for setting in entry.keys() & SETTINGS:
                self.settings[setting] = entry[setting]
            if "gate" in entry:
                gate = entry["gate"]
                self.gates += gate if isinstance(gate, list) else [gate]

    def find(self, name: str) -> Entry | None:
        return next((each for each in self.misdeeds if each["misdeed"] == name), None)

    def has(self, name: str) -> bool:
        return self.find(name) is not None

    def timed(self) -> list[Entry]:
        """Misdeeds and gates that wait for a count, each with its `misdeed`."""
        gates = [{"misdeed": "gate", **gate} for gate in self.gates if "at" not in gate]
        return [each for each in self.misdeeds if each["misdeed"] in TIMED] + gates


def from_environment(environment: Mapping[str, str] = os.environ) -> Controls:
    text = environment.get(VARIABLE, "")
    try:
        value = json.loads(text) if text.strip() else []
    except ValueError as error:
        raise ControlError(f"not JSON: {error}") from None
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, dict) for entry in entries):
        raise ControlError("not an object, nor a list of objects")
    return Controls(entries)
