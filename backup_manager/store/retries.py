"""How long a call to the store is tried again, and on what."""

import math
import time

from backup_manager.store.credentials import Renewing
from backup_manager.store.faults import code_of, passing

# Another set of credentials may be had, or is on its way to the file that holds it.
_ENDED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
# The same, if there is another set already.
_UNKNOWN = {"InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
# Tried again, but not for long: a process or machine that was frozen sends what it signed before,
# and each attempt is signed anew; an ETag that is wrong time and again is no MD5 at all.
_A_FEW_TIMES = {"RequestTimeTooSkewed", "ETagMismatch"}
_FEW = 3


class Patience:
    """How long what may pass is tried again: ``seconds``, counted from its first failure.

    While it is ``held`` nothing counts: as long as Dumpling writes, a store that is away costs
    nothing but room on the volume, and giving up would cost the whole dump.
    """

    def __init__(self, seconds: float, *, held: bool = False) -> None:
        self.seconds = seconds
        self.ended = False
        self._since = math.inf if held else -math.inf

    def count(self) -> None:
        """Let it count from now on."""
        if self._since == math.inf:
            self._since = time.monotonic()

    def end(self) -> None:
        """Nothing is tried again from now on, nor begun."""
        self.ended = True

    def over(self, since: float) -> bool:
        """Tell whether what has failed ``since`` then (time.monotonic) has had its time."""
        return self.ended or time.monotonic() - max(since, self._since) >= self.seconds


class Judge:
    """Tells for each error of one call whether another attempt may go better."""

    def __init__(self, credentials: Renewing | None) -> None:
        self._credentials = credentials
        self._few = 0

    def __call__(self, error: BaseException) -> bool:
        if passing(error):
            return True
        code, credentials = code_of(error), self._credentials
        if code in _A_FEW_TIMES:
            self._few += 1
            return self._few <= _FEW
        if credentials is None:
            return False
        if code in _ENDED:
            return credentials.renew() or credentials.can_change
        return code in _UNKNOWN and credentials.renew()
