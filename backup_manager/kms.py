"""The password as TiDB Operator gives it with ``useKMS``: encrypted by a key of AWS KMS."""

import os
from collections.abc import Callable
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from backup_manager.bounded import bounded
from backup_manager.errors import BackupError, DatabaseError, UsageError
from backup_manager.settings import ENCRYPTED_PASSWORD_VARIABLE
from backup_manager.signals import Stop
from backup_manager.store.credentials import Lookup, Renewing, install, new_session
from backup_manager.store.faults import FAULTS, CredentialsError, code_of, short_fault

_WHAT = f"the password in {ENCRYPTED_PASSWORD_VARIABLE} cannot be decrypted"
_SECONDS = 60.0
_CONFIG = Config(
    connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
)
# Of keys that KMS does not know: perhaps they are the store's own (AWS's list of common errors).
_STRANGERS = {
    "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException",
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthFailure",
}  # fmt: skip
_ENCRYPT = (
    "encrypt it anew in this region: aws kms encrypt --key-id KEY --plaintext fileb://password "
    "--query CiphertextBlob --output text"
)
_FIXES = {
    "AccessDeniedException": "allow kms:Decrypt with the key, in the policy of the role and in the "
    "key's own",
    "DisabledException": "enable the key: aws kms enable-key --key-id KEY",
    "KMSInvalidStateException": "make the key usable again: aws kms cancel-key-deletion, then "
    "enable-key",
    "InvalidCiphertextException": f"it was cut, or made by another key or for another region: "
    f"{_ENCRYPT}",
    "IncorrectKeyException": _ENCRYPT,
    "NotFoundException": f"the key is gone, or in another region: {_ENCRYPT}",
    "ExpiredTokenException": "renew the session token of the credentials",
}
_OTHER_KEYS = (
    "let KMS be asked with others than the store's keys: give the Pod a role, or put the keys for "
    "KMS into a profile (AWS_SHARED_CREDENTIALS_FILE)"
)


def decrypt(ciphertext: bytes, *, stop: Stop, keep_secret: Callable[[str | None], None]) -> str:
    """Have KMS decrypt the password; one trailing newline is dropped.

    Where KMS does not know the keys of the variables, it is asked with what the rest of the chain
    has. Raises DatabaseError, within about two minutes.
    """
    region = new_session().get_config_variable("region") or os.environ.get("AWS_REGION")
    if not region:
        raise DatabaseError(
            _WHAT, why="nobody says in which region KMS is", fix="set AWS_DEFAULT_REGION"
        )

    def ask(variables: bool) -> bytes:
        lookup = Lookup(keep_secret, what=_WHAT, region=region, variables=variables)
        found = lookup.first(stop)
        try:
            return bounded(stop, lambda: _ask(found, region, ciphertext), seconds=_SECONDS)
        except ClientError as error:
            if not (variables and found.method == "env" and code_of(error) in _STRANGERS):
                raise
            try:
                return ask(variables=False)
            except (CredentialsError, UsageError):
                raise error from None

    try:
        plain = ask(variables=True)
    except CredentialsError as error:
        raise _failed(error.explained) from error
    except FAULTS as error:
        raise _explain(error, region) from error
    try:
        password = plain.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise DatabaseError(_WHAT, why="what KMS gave back is no UTF-8", fix=_ENCRYPT) from error
    keep_secret(password)
    return password


def _ask(credentials: Renewing, region: str, ciphertext: bytes) -> bytes:
    session = new_session()
    install(session, credentials)
    client: Any = session.create_client("kms", region_name=region, config=_CONFIG)
    return bytes(client.decrypt(CiphertextBlob=ciphertext)["Plaintext"])


def _failed(explained: BackupError) -> BackupError:
    if isinstance(explained, UsageError):
        return explained
    return DatabaseError(explained.what, why=explained.why, fix=explained.fix)


def _explain(error: BaseException, region: str) -> DatabaseError:
    code = code_of(error)
    if isinstance(error, ClientError) and code:
        message = str(error.response.get("Error", {}).get("Message") or "").rstrip(".")
        why = f"KMS in {region} answered {code}{f': {message}' if message else ''}"
        fix = _FIXES.get(code, "look the code up in the documentation of AWS KMS")
        return DatabaseError(_WHAT, why=why, fix=_OTHER_KEYS if code in _STRANGERS else fix)
    return DatabaseError(
        _WHAT,
        why=f"KMS in {region} fails: {short_fault(error)}",
        fix="check the region (AWS_DEFAULT_REGION), AWS_ENDPOINT_URL_KMS, and that KMS can be "
        "reached from this Pod",
    )
