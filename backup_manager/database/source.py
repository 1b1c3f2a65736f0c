"""Where the data come from, and the TLS that guards the way there."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from backup_manager.errors import UsageError


@dataclass(frozen=True)
class Source:
    """A database server and the account to log in with; TLS is on where any file of it is given.

    ``tls_checked``: whether the server's certificate is.
    """

    host: str
    port: int
    user: str
    password: str = field(default="", repr=False)
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_checked: bool = True

    @property
    def address(self) -> str:
        """``host:port``, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def tls(self) -> bool:
        return bool(self.tls_ca or self.tls_cert or self.tls_key)


def tls_context(source: Source) -> ssl.SSLContext | None:
    """Return the TLS settings of a source, None where it has none.

    The certificate's chain and its names are verified as Go's driver does it. Raises UsageError
    for a file that is missing, not readable or not PEM, and for a key that does not fit.
    """
    if not source.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As Go: names count only as subjectAltName, and any certificate of the CA file is an anchor.
    context.hostname_checks_common_name = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if not source.tls_checked:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif source.tls_ca:
        _load_ca(context, source.tls_ca)
    else:
        context.load_default_certs()
    if source.tls_cert and source.tls_key:
        _load_pair(context, source.tls_cert, source.tls_key)
    elif source.tls_cert or source.tls_key:
        given, absent = ("--tls-cert", "--tls-key")[:: 1 if source.tls_cert else -1]
        raise UsageError(f"{given} is given without {absent}", fix="give both, or neither")
    return context


def _load_ca(context: ssl.SSLContext, path: Path) -> None:
    _readable("--tls-ca", path)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise UsageError(
            f"--tls-ca {path} holds no certificate",
            why=error.reason or str(error),
            fix="give the CA's certificate as a PEM file",
        ) from error


def _load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    _readable("--tls-cert", cert)
    _readable("--tls-key", key)
    try:
        # A passphrase, even an empty one, keeps OpenSSL from asking for it on the terminal.
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(
                f"--tls-key {key} does not belong to --tls-cert {cert}",
                fix="give the certificate and the key that were made together",
            ) from error
        raise UsageError(
            f"--tls-cert {cert} and --tls-key {key} cannot be used",
            why=error.reason or str(error),
            fix="give both as PEM files, the key without a passphrase",
        ) from error


def _readable(flag: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{flag} {path} cannot be read",
            why=error.strerror or str(error),
            fix=f"give {flag} a PEM file that this process may read",
        ) from error
