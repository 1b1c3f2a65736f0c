"""Whether a request was signed (SigV4) by whom it says, and Amazon's words where it was not.

The signature is computed again by botocore's signer, over the request as it was received; path and
query are first brought into the canonical form that Amazon's guide asks for.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.s3_proxy import Answer

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/s3/aws4_request,"
    r" ?SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_STAMP = "%Y%m%dT%H%M%SZ"
_SKEW = timedelta(minutes=15)


@dataclass
class Account:
    """Who may do all. A test may change it at any time: end it, or give it another token.

    `token`: of a session, which each request must carry; `expires`: None is never.
    """

    access_key: str
    secret_key: str
    token: str | None = None
    expires: datetime | None = None

    def end(self) -> None:
        """Its session is over."""
        self.expires = datetime.now(UTC)


class _RefusedError(Exception):
    """Code, status and words."""

    def __init__(self, code: str, status: int, words: str) -> None:
        self.answer = Answer.error(code, status, words)


def refusal(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    accounts: Mapping[str, Account],
    region: str | None,
) -> Answer | None:
    """What Amazon S3 would answer to a request that it does not believe; None: it does.

    `url` and `headers` (names in lower case) as received; `region`: what must be signed for.
    """
    try:
        _check(method, url, headers, body, accounts, region)
    except _RefusedError as refused:
        return refused.answer
    return None


def _check(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    accounts: Mapping[str, Account],
    region: str | None,
) -> None:
    signed = _claim(headers)
    account = _account(signed["key"], headers.get("x-amz-security-token"), accounts)
    if region and signed["region"] != region:
        words = f"The region '{signed['region']}' is wrong; expecting '{region}'"
        raise _RefusedError("AuthorizationHeaderMalformed", 400, words)
    names = signed["headers"].split(";")
    _check_headers(names, headers)
    covered = {name: headers.get(name, "") for name in names}
    expected = _signature(method, url, covered, account, signed["region"])
    if not hmac.compare_digest(expected, signed["signature"]):
        words = "The request signature we calculated does not match the signature you provided."
        raise _RefusedError("SignatureDoesNotMatch", 403, words)
    _check_body(headers.get("x-amz-content-sha256", ""), body)


def _claim(headers: Mapping[str, str]) -> re.Match[str]:
    given = headers.get("authorization", "")
    signed = _AUTHORIZATION.fullmatch(given)
    if signed:
        return signed
    if not given:
        raise _RefusedError("AccessDenied", 403, "Access Denied")
    words = "The authorization mechanism you have provided is not supported."
    raise _RefusedError("InvalidRequest", 400, words)


def _account(key: str, token: str | None, accounts: Mapping[str, Account]) -> Account:
    account = accounts.get(key)
    # Keys of a session are unknown without their token.
    if account is None or (account.token and token is None):
        words = "The AWS Access Key Id you provided does not exist in our records."
        raise _RefusedError("InvalidAccessKeyId", 403, words)
    if token != account.token:
        words = "The provided token is malformed or otherwise invalid."
        raise _RefusedError("InvalidToken", 400, words)
    if account.expires and account.expires <= datetime.now(UTC):
        raise _RefusedError("ExpiredToken", 400, "The provided token has expired.")
    return account


def _check_headers(names: list[str], headers: Mapping[str, str]) -> None:
    try:
        time = datetime.strptime(headers.get("x-amz-date", ""), _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise _RefusedError("AccessDenied", 403, "AWS authentication requires a date") from None
    if abs(datetime.now(UTC) - time) > _SKEW:
        words = "The difference between the request time and the current time is too large."
        raise _RefusedError("RequestTimeTooSkewed", 403, words)
    needed = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    if not needed.issubset(names):
        words = "There were headers present in the request which were not signed"
        raise _RefusedError("AccessDenied", 403, words)


def _check_body(signed: str, body: bytes) -> None:
    if signed.startswith("STREAMING-"):
        raise _RefusedError("NotImplemented", 501, "aws-chunked is not understood here.")
    if signed not in {"UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()}:
        words = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise _RefusedError("XAmzContentSHA256Mismatch", 400, words)


def _signature(
    method: str, url: str, headers: Mapping[str, str], account: Account, region: str
) -> str:
    request = AWSRequest(method=method, url=_canonical(url), headers=dict(headers))
    request.context["timestamp"] = headers.get("x-amz-date", "")
    credentials = Credentials(account.access_key, account.secret_key)
    signer = S3SigV4Auth(credentials, "s3", region)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    return str(signer.signature(to_sign, request))


def _canonical(url: str) -> str:
    """The URL with everything but the unreserved characters encoded, once."""
    parts = urlsplit(url)
    path = quote(unquote(parts.path), safe="/-_.~")
    pairs = (pair.partition("=") for pair in parts.query.split("&") if pair)
    query = "&".join(
        f"{quote(unquote(name), safe='-_.~')}={quote(unquote(value), safe='-_.~')}"
        for name, _, value in pairs
    )
    return f"{parts.scheme}://{parts.netloc}{path}" + (f"?{query}" if query else "")
