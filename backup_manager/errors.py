"""What can go wrong: one class for each row of the table of exit codes.

Every error says what failed, why, and what to do about it. Only the command line turns an error
into an exit code (see ``cli``); everything else raises.
"""

from enum import IntEnum, StrEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The published table of exit codes; a code that is not here means failure."""

    COMPLETE = 0
    DEFECT = 1
    USAGE = 2
    DATABASE = 3
    PRIVILEGE = 4
    DUMPLING = 5
    DUMP_INVALID = 6
    STORE = 7
    MISMATCH = 8
    VOLUME = 9
    HELD = 10
    KUBERNETES = 11
    INTERRUPTED = 130
    TERMINATED = 143


class Reason(StrEnum):
    """The closed table of reasons; TiDB Operator's own word where it has one."""

    COMPLETE = "Complete"
    DRY_RUN = "DryRun"
    DEFECT = "InternalError"
    USAGE = "InvalidSettings"
    CONNECT = "ConnectTidbFailed"
    PRIVILEGE = "PrivilegeMissing"
    GC_READ = "GetTikvGCLifeTimeFailed"
    GC_PARSE_OLD = "ParseOldTikvGCLifeTimeFailed"
    GC_PARSE_CONFIGURED = "ParseConfiguredTikvGCLifeTimeFailed"
    GC_SET = "SetTikvGCLifeTimeFailed"
    GC_PASSED_SNAPSHOT = "SnapshotLostToGC"
    SNAPSHOT = "GetSnapshotFailed"
    DUMPLING = "DumpTidbClusterFailed"
    DUMPLING_UNUSABLE = "DumplingUnusable"
    STALLED = "Stalled"
    DUMP_INVALID = "DumpInvalid"
    COMMIT_TS = "GetCommitTsFailed"
    UPLOAD = "BackupDataToRemoteFailed"
    STORE = "StoreUnusable"
    MISMATCH = "VerificationFailed"
    CLEAN = "CleanBackupDataFailed"
    VOLUME = "VolumeUnusable"
    VOLUME_FULL = "VolumeFull"
    HELD = "HeldByAnotherRun"
    SUPERSEDED = "PublishedByAnotherRun"
    OBJECT = "GetBackupCRFailed"
    STATUS = "UpdateBackupStatusFailed"
    SPEC = "InvalidSpec"
    STORAGE_TYPE = "UnsupportedStorageType"
    NO_PATH = "BackupPathIsEmpty"
    INTERRUPTED = "Interrupted"
    TERMINATED = "Terminated"


class BackupError(Exception):
    """An error with its exit code.

    ``what`` failed, ``why``, and ``fix``: what the reader can do. Each is a phrase without a
    full stop at its end.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.DEFECT
    default_reason: ClassVar[Reason] = Reason.DEFECT

    def __init__(
        self, what: str, *, why: str = "", fix: str = "", reason: Reason | None = None
    ) -> None:
        self.what = what
        self.why = why
        self.fix = fix
        self.reason = reason or self.default_reason
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The three parts as one line."""
        text = f"{self.what}: {self.why}" if self.why else self.what
        return f"{text}. To do: {self.fix}" if self.fix else text


class UsageError(BackupError):
    """A wrong flag, variable, file, option or name."""

    exit_code = ExitCode.USAGE
    default_reason = Reason.USAGE


class DatabaseError(BackupError):
    """The database cannot be reached, or refuses the login."""

    exit_code = ExitCode.DATABASE
    default_reason = Reason.CONNECT


class ProtectionError(BackupError):
    """A privilege is missing, or GC cannot be, or was not, held off."""

    exit_code = ExitCode.PRIVILEGE
    default_reason = Reason.PRIVILEGE


class DumplingError(BackupError):
    """Dumpling failed, stalled, is missing or cannot be run."""

    exit_code = ExitCode.DUMPLING
    default_reason = Reason.DUMPLING


class DumpInvalidError(BackupError):
    """The dump is not whole: no or cut ``metadata``, a file missing, nothing in it."""

    exit_code = ExitCode.DUMP_INVALID
    default_reason = Reason.DUMP_INVALID


class StoreError(BackupError):
    """The store cannot be reached, refuses, or has not what was named."""

    exit_code = ExitCode.STORE
    default_reason = Reason.STORE


class MismatchError(BackupError):
    """What the store holds does not match what was sent."""

    exit_code = ExitCode.MISMATCH
    default_reason = Reason.MISMATCH


class VolumeError(BackupError):
    """The volume is full, not writable, or cannot lock."""

    exit_code = ExitCode.VOLUME
    default_reason = Reason.VOLUME


class HeldError(BackupError):
    """Another run holds this backup, or has published in its place."""

    exit_code = ExitCode.HELD
    default_reason = Reason.HELD


class KubernetesError(BackupError):
    """The Kubernetes API cannot be reached, refuses, or has not the object that was named.

    ``status`` is that of its answer, 0 where there was none.
    """

    exit_code = ExitCode.KUBERNETES
    default_reason = Reason.OBJECT

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        fix: str = "",
        reason: Reason | None = None,
        status: int = 0,
    ) -> None:
        self.status = status
        super().__init__(what, why=why, fix=fix, reason=reason)


class InterruptedBySignalError(BackupError):
    """SIGINT or SIGTERM asked the run to end."""

    def __init__(self, signum: int) -> None:
        # 128 + signal number is the shell's convention; 2 is SIGINT, 15 is SIGTERM.
        is_int = signum == 2  # noqa: PLR2004 - explained above
        self.exit_code = ExitCode.INTERRUPTED if is_int else ExitCode.TERMINATED  # type: ignore[misc]  # per instance here
        super().__init__(
            f"stopped by {'SIGINT' if is_int else 'SIGTERM'}",
            fix="run the same command again: it takes up or clears what this run left",
            reason=Reason.INTERRUPTED if is_int else Reason.TERMINATED,
        )
