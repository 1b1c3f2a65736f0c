"""From an exit code and last words to an error that says what to do."""

import os
import re
import signal
from pathlib import Path

from backup_manager.dumpling.binary import signal_name
from backup_manager.dumpling.findings import Findings
from backup_manager.errors import (
    BackupError,
    DumpInvalidError,
    DumplingError,
    ProtectionError,
    Reason,
    VolumeError,
)
from backup_manager.volume.directory import FULL_ERRORS, full, volume_error

_KILLED = 128 + signal.SIGKILL
# What to do, by what the last words hold; the first that fits counts.
_FIXES = {
    r"unknown (?:shorthand )?flag": "the binary does not know this option: see dumpling --help",
    r"parse arguments failed|invalid argument|flag needs an argument|unparsed arguments": (
        "correct the Dumpling option that it names"
    ),
    r"Error 1045\b|Access denied for user .*using password": (
        "Dumpling's login was refused: check --user, the password, and the host it may come from"
    ),
    r"Error (?:1044|1142|1143|1227|8121)\b|command denied|need \(at least one of\)": (
        "grant the account what Dumpling was refused"
    ),
    r"Unknown databases": (
        "--database names a schema that does not exist, or that the account may not see"
    ),
    r"snapshot consistency is not supported": (
        "the server is no TiDB: leave out --consistency and --snapshot"
    ),
    r"Error 8175\b|Out Of Memory Quota|exceeding the allowed memory limit": (
        "spare TiDB's memory with Dumpling options: a smaller --rows, fewer --threads, "
        "--tidb-mem-quota-query, or --params=tidb_distsql_scan_concurrency=5"
    ),
    r"create dumper failed: open : no such file": (
        "this old version of Dumpling needs --tls-ca, --tls-cert and --tls-key, all three"
    ),
    r"x509|tls: |TLS|certificate|\bcerts?\b": (
        "check --tls-ca, --tls-cert and --tls-key: Dumpling reads the same files"
    ),
    r"connection refused|no such host|i/o timeout|no route to host|network is unreachable": (
        "Dumpling could not reach the database: check that it still runs, and the network"
    ),
    r"(?:invalid|bad) connection|EOF|connection reset|broken pipe|Error (?:1317|2013)\b": (
        "the database broke the connection off: look into its log (out of memory?), then run the "
        "same command again; fewer --threads or a smaller --rows ease it"
    ),
    r"panic: |fatal error: ": "Dumpling crashed: try another version of it",
}
_DEFAULT_FIX = "look at Dumpling's log lines above, then run the same command again"


def judge(code: int, findings: Findings, output: Path | None = None) -> BackupError | None:
    """Return the error for Dumpling's exit code (negative: the signal), or None for success.

    0 is no success where a file could not be written or closed: such errors got lost in some
    versions (pingcap/tidb#45353). ``output`` is the directory that it wrote into.
    """
    what = f"Dumpling ended with {signal_name(-code) if code < 0 else f'exit code {code}'}"
    why = findings.words or what
    if number := findings.file_error:
        doing = f"Dumpling cannot write into {output or 'the volume'}"
        if number in FULL_ERRORS:
            return full(doing, why, where=output)
        if code != 0 or findings.unclosed:
            told = volume_error(doing, OSError(number, os.strerror(number)))
            return VolumeError(doing, why=f"{told.why} ({why})", fix=told.fix)
    if code == 0:
        return _unclosed(findings) if findings.unclosed else None
    if findings.gc_passed:
        return ProtectionError(
            "GC removed data that Dumpling was still to read",
            why=why,
            fix="raise --gc-life-time above the time that the dump takes, and see who lowered "
            "tikv_gc_life_time meanwhile",
            reason=Reason.GC_PASSED_SNAPSHOT,
        )
    if code in {-signal.SIGKILL, _KILLED}:
        last = f"; its last error was: {findings.words}" if findings.words else ""
        return DumplingError(
            what,
            why=f"it was killed, probably by the OOM killer{last}",
            fix="raise the memory limit, lower --threads, or bound its files with --filesize",
        )
    return DumplingError(
        what, why=findings.words or "it left no last words", fix=_fix(findings.words)
    )


def _unclosed(findings: Findings) -> BackupError:
    return DumpInvalidError(
        "Dumpling ended with exit code 0, but the dump is not whole",
        why=f"it failed to close {findings.unclosed} files",
        fix="see that the volume has room and is healthy, then run the same command again",
    )


def _fix(words: str) -> str:
    for pattern, fix in _FIXES.items():
        if re.search(pattern, words):
            return fix
    return _DEFAULT_FIX
