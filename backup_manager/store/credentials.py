"""Credentials of every kind that botocore knows, looked up anew when the store says they ended."""

import os
import threading
import time
from collections.abc import Callable

import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, Credentials, ReadOnlyCredentials

from backup_manager.bounded import bounded
from backup_manager.errors import BackupError
from backup_manager.signals import Stop
from backup_manager.store import metadata
from backup_manager.store.access import LOOKUP_FAULTS, explain_lookup, nothing_found, too_slow
from backup_manager.store.faults import CredentialsError
from backup_manager.store.identity import KEY, SECRET, Identity, Way

# The instance metadata service of kube2iam and kiam answers slowly at first; botocore's own
# defaults are 1 s and one attempt. Where it is silent this comes to 20 s: for the token and the
# role, two attempts each.
_METADATA_SECONDS = 5
_METADATA_ATTEMPTS = 2
# As long kube2iam, kiam and EKS's agent may not know a Pod that has just started.
_NEW_POD_SECONDS = 15.0
_PAUSE_SECONDS = 1.0
# All of the first look-up, for who has set longer times for each request.
_LOOKUP_SECONDS = 45.0
# Of STS. Its callers are tried again; botocore's defaults are 60 s and five attempts.
_STS = Config(
    connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
)
_ANY_REGION = "us-east-1"  # boto3's for S3 too
# These cannot change while we run.
_FIXED = {"env", "explicit"}
_LOOK_SECONDS = 1.0
# A request that began before the change may fail so much later.
_RECENT_SECONDS = 60.0
# After a failure to renew what is still good for a while.
_AGAIN_SECONDS = 15.0
# How much longer they are good for is asked in these steps, in seconds. botocore would renew what
# has no more than the first of them for each request.
_LEFT = (900, 600, 300, 120, 60, 30, 10, 4)


class Lookup:
    """Finds credentials: by whom they are asked for, and what for."""

    def __init__(
        self,
        keep_secret: Callable[[str | None], None],
        *,
        what: str = "no credentials",
        region: str | None = None,
        variables: bool = True,
    ) -> None:
        """Messages begin with ``what`` fails without credentials.

        ``region``: of STS, where nobody says it. ``keep_secret`` is told each secret before it is
        used first. Without ``variables`` the keys in them are none of ours.
        """
        self.keep_secret = keep_secret
        self._what = what
        self._region = region
        self._hidden = set() if variables else {KEY, SECRET, "AWS_SESSION_TOKEN"}

    def first(self, stop: Stop) -> "Renewing":
        """Find them, patient with services that do not know a new Pod yet.

        Raises CredentialsError, or UsageError for wrong settings, within 45 s.
        """
        identity = self._identity()
        identity.check()
        try:
            return bounded(stop, lambda: self._patiently(stop), seconds=_LOOKUP_SECONDS)
        except TimeoutError as error:
            slow = too_slow(self._what, identity, _LOOKUP_SECONDS)
            raise CredentialsError(slow, passing=True) from error

    def _patiently(self, stop: Stop) -> "Renewing":
        began = time.monotonic()
        while True:
            try:
                return Renewing(self.once(), self)
            except CredentialsError as error:
                if not error.passing or time.monotonic() - began >= _NEW_POD_SECONDS:
                    raise
            stop.wait(_PAUSE_SECONDS)

    def once(self) -> Credentials:
        """Ask each source in turn. Raises CredentialsError."""
        identity = self.learn()
        session = self._asking()
        try:
            found = session.get_credentials()
        except LOOKUP_FAULTS as error:
            raise self.explain(error) from error
        if found is not None:
            return found
        url = identity.metadata_url
        finding = metadata.ask(url) if url and identity.way is Way.METADATA else None
        explained = nothing_found(self._what, identity, finding)
        raise CredentialsError(explained, passing=bool(finding and finding.passing))

    def learn(self) -> Identity:
        """Have all secrets kept that are about to be used as a proof. Raises UsageError."""
        identity = self._identity()
        for secret in identity.secrets():
            self.keep_secret(secret)
        return identity

    def _identity(self) -> Identity:
        environ = {name: text for name, text in os.environ.items() if name not in self._hidden}
        return Identity(_reading_session(), environ)

    def _asking(self) -> botocore.session.Session:
        """Return a session that asks for credentials; what it asks is bounded."""
        session = new_session()
        session.set_default_client_config(_STS)
        if not session.get_config_variable("region"):
            # botocore does not know AWS_REGION, which EKS sets beside a web identity's token.
            region = os.environ.get("AWS_REGION") or self._region or _ANY_REGION
            session.set_config_variable("region", region)
        if self._hidden:
            session.get_component("credential_provider").remove("env")
        return session

    def explain(self, error: BaseException) -> CredentialsError:
        """Explain what looking for them, or renewing them, raised."""
        try:
            return explain_lookup(self._what, self.learn(), error)
        except BackupError as wrong:  # the profile went away meanwhile
            return CredentialsError(wrong, passing=False)


class Renewing(Credentials):
    """The credentials in use, until others have taken their place at their source.

    botocore itself refreshes those that tell when they end. A file that was rewritten, and a
    session that ended early, is only found out by a refusal: then ``renew``.
    """

    def __init__(self, found: Credentials, lookup: Lookup) -> None:
        """Raise CredentialsError where they are still to be fetched, and cannot be."""
        self._found = found
        self._lookup = lookup
        self._told: ReadOnlyCredentials | None = None
        self._lock = threading.Lock()
        self._looked_at = self._changed_at = -_RECENT_SECONDS
        self._rest_until = 0.0
        frozen = self.get_frozen_credentials()
        method = getattr(found, "method", None)
        key, secret = frozen.access_key or "", frozen.secret_key or ""
        super().__init__(key, secret, frozen.token, method=method)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return key, secret and token that belong together, and are good for a while.

        Raises CredentialsError.
        """
        told = self._told
        if told is not None and time.monotonic() < self._rest_until:
            return told
        try:
            if self._left() < _LEFT[0]:
                self._lookup.learn()
            frozen = self._found.get_frozen_credentials()
        except (*LOOKUP_FAULTS, BackupError) as error:
            if told is None or not self._left():
                raise self._lookup.explain(error) from error
            self._rest_until = time.monotonic() + min(_AGAIN_SECONDS, self._left() / 2)
            return told
        if frozen != told:
            self._lookup.keep_secret(frozen.secret_key)
            self._lookup.keep_secret(frozen.token)
            self._told = frozen
        left = self._left()
        self._rest_until = time.monotonic() + left / 2 if left < _LEFT[0] else 0.0
        return frozen

    def _left(self) -> float:
        """How many seconds they are good for at least; botocore tells it in this way only."""
        needed = getattr(self._found, "refresh_needed", None)
        if needed is None:
            return _LEFT[0]
        return next((seconds for seconds in _LEFT if not needed(seconds)), 0)

    @property
    def can_change(self) -> bool:
        """Whether their source may have others one day."""
        return self.method not in _FIXED

    def renew(self) -> bool:
        """Look them up anew; tell whether others are, or lately were, put in place."""
        with self._lock:
            now = time.monotonic()
            if self.can_change and now - self._looked_at >= _LOOK_SECONDS:
                self._looked_at = now
                self._replace(now)
            return now - self._changed_at < _RECENT_SECONDS

    def _replace(self, now: float) -> None:
        try:
            other = Renewing(self._lookup.once(), self._lookup)
        except (CredentialsError, BackupError):
            return  # whoever uses those that are here says what is wrong with them
        if other._told != self._told:
            self._found, self._rest_until, self._changed_at = other._found, 0.0, now


class _Ours(CredentialProvider):
    METHOD = "backup-manager"

    def __init__(self, credentials: Renewing) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Renewing:
        return self._credentials


def new_session() -> botocore.session.Session:
    """Return a session of botocore that is patient with a slow metadata service."""
    session = botocore.session.get_session()
    if not os.environ.get("AWS_METADATA_SERVICE_TIMEOUT"):
        session.set_config_variable("metadata_service_timeout", _METADATA_SECONDS)
    if not os.environ.get("AWS_METADATA_SERVICE_NUM_ATTEMPTS"):
        session.set_config_variable("metadata_service_num_attempts", _METADATA_ATTEMPTS)
    return session


def _reading_session() -> botocore.session.Session:
    """Return a session that tells what variables and profiles say; it is there at once."""
    return botocore.session.Session(include_builtin_handlers=False)


def check_access() -> None:
    """Raise UsageError for variables and profiles that cannot give credentials; nobody is asked."""
    Identity(_reading_session()).check()


def install(session: botocore.session.Session, credentials: Renewing) -> None:
    """Have the session use these."""
    session.get_component("credential_provider").providers[:] = [_Ours(credentials)]
