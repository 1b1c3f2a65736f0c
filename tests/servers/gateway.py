"""A gateway before an S3 server that demands what Amazon demands: whose key, whose signature.

    with Gateway(ceph, Account("AK", "secret", token="T")) as gateway:
        Export.of(…, access_key="AK", …).but(endpoint=gateway.url)

It stands in three places at once:

- at an address of its own, `gateway.url` (`host="::1"`, and TLS with `authority`);
- as `HTTP_PROXY` and `HTTPS_PROXY` = `gateway.proxy_url`: then a client may use true names, such as
  bucket.s3.eu-central-1.amazonaws.com, and no DNS is asked. For HTTPS it makes a certificate of
  `authority` for the name (`AWS_CA_BUNDLE`: its certificate);
- before other servers: what a proxy's client wants of a host in `beside` goes to the URL that is
  given for it there, unchanged.

Quirks are how a provider differs, in order; each sees a `Received` (bucket and key resolved from
path or host, `virtual`, `query`, `body`, headers in lower case). See `Quirk`. Requests, `accepted`,
`count`, `hold` and all the other troubles are S3Proxy's; `target` is always in path style.
"""

import http.client
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

import trustme
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.s3_proxy import Answer, Handler, Request, S3Proxy, exchange

from .s3 import REGION, S3Server
from .signatures import Account, refusal

# Of the client's way to us, not of what it wants; Ceph gets its own signature.
_OURS = {
    "authorization", "host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token",
    "connection", "expect", "content-length", "date", "user-agent", "amz-sdk-invocation-id",
    "amz-sdk-request", "proxy-connection", "proxy-authorization", "accept-encoding",
}  # fmt: skip


@dataclass(frozen=True)
class Received(Request):
    """A request, with what its address says; make another of it with `dataclasses.replace`.

    `target` is in path style, whatever it came as; `url` as it came.
    """

    url: str = ""
    bucket: str = ""
    key: str = ""
    virtual: bool = False  # the bucket was in the host's name
    query: Mapping[str, str] = field(default_factory=dict, compare=False)
    body: bytes = field(default=b"", compare=False, repr=False)

    @property
    def secure(self) -> bool:
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        """Without the port."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True)
class Quirk:
    """What one kind of store does otherwise.

    `before` may answer in place of the store, once the signature is proved; or return another
    request, which is what the store gets (and the quirks after it see); or None. `after` makes an
    answer of the store's; the first quirk has the last word.
    """

    before: Callable[[Received], "Answer | Received | None"] = lambda _: None
    after: Callable[[Received, Answer], Answer] = lambda _, answer: answer


class Gateway(S3Proxy):
    """Serves `store` to those who have an account; more may be put into `accounts` at any time.

    `region`: what a signature must be made for, where it matters. `suffixes`: names of stores, of
    which what stands before is a bucket (virtual-host style).
    """

    def __init__(
        self,
        store: S3Server,
        *accounts: Account,
        quirks: tuple[Quirk, ...] = (),
        host: str = "127.0.0.1",
        authority: trustme.CA | None = None,
        secure: bool = False,
        region: str | None = None,
        suffixes: tuple[str, ...] = (),
        beside: Mapping[str, str] | None = None,
    ) -> None:
        """`secure`: TLS at its own address, with a certificate of `authority`."""
        super().__init__(store.http, host=host)
        self.accounts = {account.access_key: account for account in accounts}
        self.quirks = quirks
        self.region = region
        self.beside = dict(beside or {})
        self.proxy_url = self.url
        self.tls: ssl.SSLContext | None = None
        self._suffixes = suffixes
        self._authority = authority
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._store = store
        if secure:
            self.url = self.url.replace("http:", "https:")
            self.tls = self.context_for(host)

    def add(self, account: Account) -> Account:
        self.accounts[account.access_key] = account
        return account

    def handler(self) -> type[Handler]:
        return _Handler

    def context_for(self, host: str) -> ssl.SSLContext:
        """What a server of that name shows."""
        assert self._authority, "TLS needs an authority"
        if host not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._authority.issue_cert(host).configure_cert(context)
            self._contexts[host] = context
        return self._contexts[host]

    # One request ---------------------------------------------------------------------------

    def take(self, method: str, target: str, headers: Mapping[str, str]) -> Request:
        """`target` is a whole URL here."""
        parts = urlsplit(target)
        bucket = self._bucket_in(parts.hostname or "")
        path = f"/{bucket}{parts.path or '/'}" if bucket else parts.path
        query = f"?{parts.query}" if parts.query else ""
        plain = super().take(method, path + query, headers)
        named, _, key = path.removeprefix("/").partition("/")
        return Received(
            **vars(plain),
            url=target,
            bucket=unquote(named),
            key=unquote(key),
            virtual=bool(bucket),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        )

    def _bucket_in(self, host: str) -> str:
        """The bucket that a virtual host names, or nothing."""
        for suffix in self._suffixes:
            if host.endswith(f".{suffix}"):
                return host.removesuffix(f".{suffix}")
        bucket, found, rest = host.partition(".s3.")
        return bucket if found and rest.endswith("amazonaws.com") else ""

    def serve(self, request: Request, body: bytes) -> Answer:
        """Prove who asks; then what the quirks and the store say."""
        asked = replace(cast(Received, request), body=body)
        if asked.host in self.beside:
            return exchange(urlsplit(self.beside[asked.host]).netloc, asked, body)
        refused = refusal(asked.method, asked.url, asked.headers, body, self.accounts, self.region)
        answer = refused or self._answer(asked, self.quirks)
        if answer.status == http.client.OK:
            self.accepted.append(request)
        return answer

    def _answer(self, request: Received, quirks: Sequence[Quirk]) -> Answer:
        if not quirks:
            signed = self._signed(request)
            return exchange(urlsplit(self._store.http).netloc, signed, signed.body)
        made = quirks[0].before(request)
        if isinstance(made, Answer):
            return made
        asked = made or request
        return quirks[0].after(asked, self._answer(asked, quirks[1:]))

    def _signed(self, request: Received) -> Received:
        """The same, signed by the store's owner."""
        headers = {name: text for name, text in request.headers.items() if name not in _OURS}
        url = f"{self._store.http}{request.target}"
        ours = AWSRequest(method=request.method, url=url, headers=headers, data=request.body)
        owner = Credentials(self._store.access_key, self._store.secret_key)
        S3SigV4Auth(owner, "s3", REGION).add_auth(ours)
        return replace(request, headers={name: str(text) for name, text in ours.headers.items()})


class _Handler(Handler):
    """As an HTTP server of its own, and as a proxy."""

    owner: Gateway
    _tunnel = ""  # host and port that a proxy's client asked for

    def setup(self) -> None:
        if self.owner.tls:
            self.request = self.owner.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            self.request.close()  # the server knows only the socket that was wrapped

    def do_CONNECT(self) -> None:  # noqa: N802 - the base class's way
        self.send_response_only(200)
        self.end_headers()
        self._tunnel = self.path.removesuffix(":443")
        host = self.path.rpartition(":")[0].strip("[]")
        self.request = self.owner.context_for(host).wrap_socket(self.request, server_side=True)
        super().setup()
        self.close_connection = False

    def parse_request(self) -> bool:
        """Make the whole URL of what stands in the request's line."""
        good = super().parse_request()
        if good and self.command != "CONNECT" and "://" not in self.path:
            scheme = "https" if isinstance(self.request, ssl.SSLSocket) else "http"
            host = self._tunnel or self.headers.get("Host", "")
            self.path = f"{scheme}://{host}{self.path}"
        return good
