"""What a refusal may be about beside the key's rights: all that goes with an object."""

from typing import Protocol

from backup_manager.errors import BackupError, Reason, StoreError
from backup_manager.store.faults import explain, status_of
from backup_manager.store.settings import StoreOptions, StoreSettings

_REFUSALS = {400, 403, 501}


class Spoken(Protocol):
    """A store, as far as it matters here."""

    settings: StoreSettings
    options: StoreOptions


def explain_writing(
    error: BaseException, doing: str, key: str, reason: Reason, store: Spoken
) -> BackupError:
    """Explain what came of writing an object, as ``faults.explain`` does, and what was asked for.

    Stores seldom say: Ceph 16 answers InvalidArgument or InvalidRequest to a class or an encryption
    that it has not, and InvalidAccessKeyId to a key of KMS.
    """
    settings, options = store.settings, store.options
    explained = explain(error, doing, settings.url(key), reason)
    asked = _asked_for(options)
    if not asked or status_of(error) not in _REFUSALS:
        return explained
    fix = f"see whether this store supports {', '.join(asked)}"
    if _wants_tls(options) and str(settings.endpoint or "").startswith("http://"):
        fix += " (many want https for encryption, and this endpoint is http)"
    fix = f"{explained.fix}; or {fix}" if explained.fix else fix
    return StoreError(explained.what, why=explained.why, fix=fix, reason=explained.reason)


def _wants_tls(options: StoreOptions) -> bool:
    return bool(options.encryption.algorithm or options.encryption.customer_key)


def _asked_for(options: StoreOptions) -> list[str]:
    """Name what of the settings may be more than a store has."""
    encryption = options.encryption
    said = {
        f"storage class {options.storage_class}": options.storage_class,
        f"ACL {options.acl} (s3:PutObjectAcl)": options.acl,
        f"encryption {encryption.algorithm}": encryption.algorithm,
        f"KMS key {encryption.kms_key_id}": encryption.kms_key_id,
        "an SSE-C key": encryption.customer_key,
        "Object Lock (s3:PutObjectRetention)": options.retention,
        "requester pays": options.requester_pays,
        **{f"the header {name}": name for name, _ in options.headers},
    }
    return [text for text, given in said.items() if given]
