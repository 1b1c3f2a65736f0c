"""Credentials of every kind that botocore knows, looked up anew when the store says they ended."""

import os
import threading
import time
from collections.abc import Callable

import botocore.session
from botocore.credentials import CredentialProvider, Credentials, ReadOnlyCredentials

# The instance metadata service of kube2iam and kiam answers slowly at first; botocore's own
# defaults are 1 s and one attempt.
_METADATA_SECONDS = 5
_METADATA_ATTEMPTS = 4
# These cannot change while we run.
_FIXED = {"env", "explicit"}
_LOOK_SECONDS = 1.0
# A request that began before the change may fail so much later.
_RECENT_SECONDS = 60.0


class Renewing(Credentials):
    """The credentials in use, until others have taken their place at their source.

    botocore itself refreshes those that tell when they end. A file that was rewritten, and a
    session that ended early, is only found out by a refusal: then ``renew``. ``keep_secret`` is
    told each secret before it is used first.
    """

    def __init__(self, found: Credentials, keep_secret: Callable[[str | None], None]) -> None:
        super().__init__(
            found.access_key, found.secret_key, found.token, method=getattr(found, "method", None)
        )
        self._found = found
        self._keep_secret = keep_secret
        self._told: ReadOnlyCredentials | None = None
        self._lock = threading.Lock()
        self._looked_at = self._changed_at = -_RECENT_SECONDS
        self.get_frozen_credentials()

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return key, secret and token that belong together."""
        frozen = self._found.get_frozen_credentials()
        if frozen != self._told:
            self._keep_secret(frozen.secret_key)
            self._keep_secret(frozen.token)
            self._told = frozen
        return frozen

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
                found = new_session().get_credentials()
                if found and found.get_frozen_credentials() != self.get_frozen_credentials():
                    self._found, self._changed_at = found, now
            return now - self._changed_at < _RECENT_SECONDS


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


def install(
    session: botocore.session.Session, keep_secret: Callable[[str | None], None]
) -> Renewing | None:
    """Have the session use credentials that can be renewed; None where there are none at all.

    Raises botocore's errors of credentials that are there and cannot be used.
    """
    found = new_session().get_credentials()
    if found is None:
        return None
    credentials = Renewing(found, keep_secret)
    session.get_component("credential_provider").providers[:] = [_Ours(credentials)]
    return credentials
