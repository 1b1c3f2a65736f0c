"""What the metadata service says, where botocore found no credentials there."""

import json
from dataclasses import dataclass

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

_SECONDS = 2
_TOKEN = "latest/api/token"  # noqa: S105 - a path
_ROLES = "latest/meta-data/iam/security-credentials/"
_OK, _UNAUTHORIZED = 200, 401
_QUOTED = 300
_ANNOTATE = (
    "give the Pod a role: with kube2iam or kiam by the annotation iam.amazonaws.com/role, and for "
    "kiam one on the namespace that permits it"
)
_HOPS = (
    "let the token's answer reach Pods: aws ec2 modify-instance-metadata-options "
    "--http-put-response-hop-limit 2 --instance-id ID"
)


@dataclass(frozen=True)
class Finding:
    """What it said, what to do, and whether that may pass: a Pod that is new to kube2iam."""

    text: str
    fix: str = ""
    passing: bool = False


class _SilentError(Exception):
    """There was no answer."""

    def __init__(self, error: Exception) -> None:
        self.connected = isinstance(error, ReadTimeoutError)


def ask(url: str) -> Finding:
    """Ask for credentials as botocore does, once, 2 s a request; ``url`` ends with a slash."""
    session = URLLib3Session(timeout=_SECONDS, proxies=get_environ_proxies(url))
    token, hung = "", False
    try:
        try:
            header = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
            status, text = _request(session, "PUT", url + _TOKEN, header)
            token = text if status == _OK else ""
        except _SilentError as silent:
            if not silent.connected:
                raise
            hung = True
        headers = {"x-aws-ec2-metadata-token": token} if token else {}
        status, role = _request(session, "GET", url + _ROLES, headers)
        if status == _OK and role:
            status, text = _request(session, "GET", url + _ROLES + role.split()[0], headers)
            return Finding(f"for the role {role} it answers {_quoted(status, text)}", "", True)
    except _SilentError as silent:
        if silent.connected:
            return Finding("it does not answer", passing=True)
        return Finding("nothing is there")
    if status == _UNAUTHORIZED and hung:
        return Finding("it asks for a token (IMDSv2), and the token's answer does not come", _HOPS)
    if status == _UNAUTHORIZED:
        return Finding("it asks for a token (IMDSv2), and gives none", _HOPS)
    return Finding(f"it has no role for us: it answers {_quoted(status, role)}", _ANNOTATE, True)


def _request(
    session: URLLib3Session, method: str, url: str, headers: dict[str, str]
) -> tuple[int, str]:
    request = AWSRequest(method=method, url=url, headers=headers)
    try:
        answer = session.send(request.prepare())
        return answer.status_code, answer.text.strip()
    except BotoCoreError as error:
        raise _SilentError(error) from error


def _quoted(status: int, text: str) -> str:
    try:
        told = json.loads(text)
        # Credentials are none of a message's business.
        text = str(told.get("Message") or told.get("Code") or "")
    except (ValueError, AttributeError):
        pass
    return f"{status} ({' '.join(text.split())[:_QUOTED]})" if text else str(status)
