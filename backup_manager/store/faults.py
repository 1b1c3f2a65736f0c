"""What a store's refusal means: whether to try again, and what to tell the user."""

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError
from urllib3.exceptions import SSLError as PoolSSLError

from backup_manager.errors import BackupError, Reason, StoreError

# Errors that ask for fewer requests.
_THROTTLING_CODES = {
    "SlowDown",
    "SlowDownRead",
    "SlowDownWrite",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
}
_THROTTLING_STATUS = {429, 503}
# Errors that pass by themselves; the hash mismatches are a body damaged on its way.
_PASSING_CODES = _THROTTLING_CODES | {
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "RequestTimeoutException",
    "OperationAborted",
    "ConditionalRequestConflict",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "IncompleteBody",
    "NoETag",  # our own: the answer was cut
}
_PASSING_STATUS = _THROTTLING_STATUS | {408, 500, 502, 504}
_UNSUPPORTED_STATUS, _UNSUPPORTED_CODES = {405, 501}, {"NotImplemented", "MethodNotAllowed"}

_FIXES = {
    "NoSuchBucket": "create the bucket, or correct --bucket (and --endpoint and --region)",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID: the store does not know this key",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY, --region and the clock",
    "RequestTimeTooSkewed": "set the clock of this machine right",
    "ExpiredToken": "renew the session token, or use credentials that refresh themselves",
    "InvalidToken": "check AWS_SESSION_TOKEN; leave it unset for a permanent key",
    "PermanentRedirect": "set --region to the bucket's region",
    "AuthorizationHeaderMalformed": "set --region to the bucket's region",
    "IllegalLocationConstraintException": "set --region to the bucket's region",
    "InvalidStorageClass": "correct --storage-class: this store has none of that name",
    "RangeMismatch": "check that nothing between here and the store changes its answers",
    "ETagMismatch": "the store holds something else than was sent, or its ETags are no MD5s (as "
    "under KMS): in that case use --s3-option=--ignore-checksum",
    "QuotaExceeded": "raise the quota of the bucket or of the user",
    "EntityTooLarge": "this store takes no objects so large: split the files, for example by "
    "--dumpling-option=--filesize=256MiB",
}
_FORBIDDEN = {"AccessDenied", "403", "Forbidden", "AllAccessDisabled"}
_NOT_FOUND = {"404", "NoSuchKey", "NotFound"}
# What OpenSSL says of plain HTTP.
_PLAIN = "wrong_version_number"
_NO_S3 = "check that --endpoint is an S3 store, with no proxy that answers in its place"
_OVERLOADED = "the store is overloaded or failing: run the same command again when it is well"
# Multipart uploads are made by the right to put objects; the other calls have their own names.
_PERMISSIONS = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListObjectsV2": "s3:ListBucket",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
}
_ACTIONS = (
    "A backup needs s3:ListBucket, s3:PutObject, s3:GetObject, s3:DeleteObject, "
    "s3:AbortMultipartUpload, s3:ListMultipartUploadParts and s3:ListBucketMultipartUploads there"
)


class AnswerError(Exception):
    """The store's answer to a hot call was an error."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        content_type: str = "",
        operation: str = "PutObject",
    ) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.operation = operation
        self.content_type = content_type
        self.status = status
        self.code = code
        self.message = message


class CredentialsError(BotoCoreError):
    """No credentials are to be had: ``explained``; ``passing`` tells whether they may be soon."""

    fmt = "{text}"

    def __init__(self, explained: BackupError, *, passing: bool) -> None:
        super().__init__(text=explained.message)
        self.explained = explained
        self.passing = passing


# What calls to the store raise; everything else is a defect.
FAULTS = (BotoCoreError, ClientError, ResponseParserError, AnswerError, HTTPError, OSError)


def code_of(error: BaseException) -> str:
    """Return the store's error code, or an empty string."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return error.code if isinstance(error, AnswerError) else ""


def status_of(error: BaseException) -> int:
    """Return the HTTP status of the store's answer, or 0."""
    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return error.status if isinstance(error, AnswerError) else 0


def passing(error: BaseException) -> bool:
    """Tell whether the same call may work a little later."""
    if isinstance(error, CredentialsError):
        return error.passing
    if isinstance(error, ClientError | AnswerError):
        return code_of(error) in _PASSING_CODES or status_of(error) in _PASSING_STATUS
    if isinstance(error, SSLError | PoolSSLError):
        # A certificate does not mend itself; a connection cut in the middle of TLS does.
        text = str(error).lower()
        return "certificate" not in text and _PLAIN not in text
    return isinstance(
        error,
        EndpointConnectionError
        | ConnectionClosedError
        | ConnectTimeoutError
        | ReadTimeoutError
        | ResponseParserError
        | HTTPClientError
        | HTTPError
        | ConnectionError
        | TimeoutError,
    )


def throttled(error: BaseException) -> bool:
    """Tell whether the store asks for fewer requests."""
    return status_of(error) in _THROTTLING_STATUS or code_of(error) in _THROTTLING_CODES


def unsupported(error: BaseException) -> bool:
    """Tell whether the store does not know this call."""
    return status_of(error) in _UNSUPPORTED_STATUS or code_of(error) in _UNSUPPORTED_CODES


def refused(error: BaseException) -> bool:
    """Tell whether the key may not make this call."""
    return code_of(error) in _FORBIDDEN


def upload_gone(error: BaseException) -> bool:
    """Tell whether the store has no such multipart upload; of some it says NoSuchKey (Ceph 16)."""
    return code_of(error) == "NoSuchUpload" or not_found(error)


def not_found(error: BaseException) -> bool:
    """Tell whether there is no such object; a web page is no answer of a store's."""
    return code_of(error) in _NOT_FOUND and not _foreign(error)


def explain(error: BaseException, doing: str, where: str, reason: Reason | None) -> BackupError:
    """Make a StoreError of a fault: ``doing`` what, at ``where``."""
    if isinstance(error, CredentialsError):
        return error.explained
    what = f"{where}: cannot {doing}"
    code = code_of(error)
    if _foreign(error):
        return StoreError(
            what,
            why="the answer is none of an S3 store",
            fix=_NO_S3,
            reason=reason,
        )
    if code or status_of(error):
        return StoreError(what, why=_words(error), fix=_fix(code, error), reason=reason)
    if isinstance(error, SSLError | PoolSSLError) and "certificate" in str(error).lower():
        return StoreError(
            what,
            why=f"the store's certificate is not trusted ({short_fault(error)})",
            fix="give the file with the CA's certificate by --s3-ca (or AWS_CA_BUNDLE)",
            reason=reason,
        )
    if _PLAIN in str(error).lower():
        return StoreError(
            what,
            why="this port does not speak https",
            fix="give --endpoint with http://, or the port of https",
            reason=reason,
        )
    return StoreError(
        what,
        why=short_fault(error),
        fix="check --endpoint (https or http?), its port, the network, and that the store is up",
        reason=reason,
    )


def _foreign(error: BaseException) -> bool:
    """Tell whether a web page, or what can be read by nobody, came in place of an answer."""
    if isinstance(error, ClientError):
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return "html" in str(headers.get("content-type", ""))
    if isinstance(error, AnswerError):
        return "html" in error.content_type
    return isinstance(error, ResponseParserError)


def needed(answer: Mapping[str, Any], name: str, where: str) -> Any:
    """Return a field of an answer; raise StoreError where the store has left it out."""
    if name not in answer:
        raise StoreError(
            f"{where}: the answer is none of an S3 store",
            why=f"it has no {name}",
            fix=_NO_S3,
        )
    return answer[name]


def fix_for(code: str, action: str) -> str:
    """Return what to do about an error code; ``action`` is what the key may not do, if it is that.

    A code that passes was tried again already.
    """
    if code in _FIXES:
        return _FIXES[code]
    if code in _FORBIDDEN:
        return f"allow the key {action} under the prefix. {_ACTIONS}" if action else _ACTIONS
    if code in _PASSING_CODES:
        return _OVERLOADED
    return "look the code up in the store's documentation"


def _fix(code: str, error: BaseException) -> str:
    overloaded = passing(error) and code not in _FIXES
    return _OVERLOADED if overloaded else fix_for(code, _action(error))


def _action(error: BaseException) -> str:
    """Return the permission that a call needs, by its name."""
    operation = ""
    if isinstance(error, ClientError):
        operation = error.operation_name
    elif isinstance(error, AnswerError):
        operation = error.operation
    return _PERMISSIONS.get(operation, "")


def _words(error: BaseException) -> str:
    """Quote the store. Ceph's message is often the word None."""
    if isinstance(error, ClientError):
        message = str(error.response.get("Error", {}).get("Message") or "")
        operation = f" to {error.operation_name}"
    else:
        message, operation = getattr(error, "message", ""), ""
    text = f"the store answered {code_of(error) or status_of(error)}{operation}"
    return text if message in {"", "None"} else f"{text}: {message.rstrip('.')}"


def short_fault(error: BaseException | None) -> str:
    """Say what went wrong in one line: the store's own words, or the cause that libraries wrap."""
    if error is None:
        return ""
    if code_of(error) or status_of(error):
        return _words(error)
    wrapped = getattr(error, "kwargs", {}).get("error")
    reason = wrapped or getattr(error, "reason", None) or error
    if isinstance(reason, HTTPError) and len(reason.args) > 1:
        reason = reason.args[-1]  # the cause beside urllib3's words, or its text behind the pool
    # urllib3 puts the connection's own name before what happened to it.
    text = re.sub(r"^<?\w+\(host=[^)]*\)>?: ", "", str(reason)).rstrip(".")
    return f"{text or type(reason).__name__}"[:500]
