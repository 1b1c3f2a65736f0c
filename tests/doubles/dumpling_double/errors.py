"""How a run ends other than well."""


class DumpError(Exception):
    """Ends the run; its text is what follows `dump failed: ` and its like."""


class LostConnectionError(DumpError):
    """The server went away in the middle (the driver's `invalid connection`)."""


class BadUsageError(DumpError):
    """What pflag, or a Go panic, ends with exit 2."""
