"""What it means that no credentials are to be had, and what to do."""

from collections.abc import Mapping

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    InvalidConfigError,
    ParamValidationError,
    PartialCredentialsError,
)

from backup_manager.errors import BackupError, StoreError, UsageError
from backup_manager.store import metadata
from backup_manager.store.faults import FAULTS, CredentialsError, code_of, passing, short_fault
from backup_manager.store.identity import CONTAINER, KEY, ROLE, TOKEN_FILE, Identity, Way

# Also what botocore raises where an answer is no JSON, or has not the fields that it should have.
LOOKUP_FAULTS = (*FAULTS, ValueError, LookupError, RuntimeError)

_SET_KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_GIVE = f"{_SET_KEYS}, or give the Pod a role (by ServiceAccount or by annotation)"
_REACH_STS = (
    "check that STS can be reached from this Pod, the region (AWS_REGION) and AWS_ENDPOINT_URL_STS"
)
_BOTH_SIDES = (
    "allow sts:AssumeRole on both sides: in the policy of who asks, and in the role's trust policy"
)
_ASSOCIATE = (
    "check the Pod Identity association of the ServiceAccount (aws eks "
    "list-pod-identity-associations) and that the agent runs on the node"
)
_UNKNOWN_KEYS = {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"}


def nothing_found(what: str, identity: Identity, finding: metadata.Finding | None) -> BackupError:
    """Say that no source has credentials, and what was tried in which order.

    ``finding`` is of the metadata service, None where that is switched off.
    """
    told = finding.text if finding else "switched off by AWS_EC2_METADATA_DISABLED"
    role = f", though {ROLE} is" if identity.environ.get(ROLE) else ""
    tried = (
        f"{KEY} (not set), {TOKEN_FILE} (not set{role}), the profile {identity.profile_name} in "
        f"{identity.files} (no keys and no role), {CONTAINER[1]} (not set), the metadata service"
        f"{f' {identity.metadata_url}' if finding else ''} ({told})"
    )
    return StoreError(
        what,
        why=f"no credentials were found; tried in this order: {tried}",
        fix=f"{_SET_KEYS}, or {finding.fix}" if finding and finding.fix else _GIVE,
    )


def too_slow(what: str, identity: Identity, seconds: float) -> BackupError:
    """Say that who was asked for credentials did not answer in time."""
    place = {
        Way.CONTAINER: f" {identity.container_url}",
        Way.METADATA: f" {identity.metadata_url}",
    }.get(identity.way, "")
    return StoreError(
        what,
        why=f"{identity.way}{place} gave no credentials within {seconds:.0f} s",
        fix="check that it can be reached from this Pod",
    )


def explain_lookup(what: str, identity: Identity, error: BaseException) -> CredentialsError:
    """Explain what a source of credentials raised."""
    if isinstance(error, BackupError):
        return CredentialsError(error, passing=False)
    wrong = _wrong_setting(what, error)
    if wrong:
        return CredentialsError(wrong, passing=False)
    if identity.way in {Way.WEB_IDENTITY, Way.PROFILE_ROLE}:
        why, fix = _of_sts(identity, error)
    elif identity.way is Way.CONTAINER:
        why, fix = _of_container(identity, error)
    else:
        why, fix = f"{identity.way} failed: {_text(error)}", _GIVE
    explained = StoreError(what, why=why, fix=fix)
    # What a service refuses it may allow soon, but not sooner than botocore has asked again.
    refused = isinstance(error, ClientError) or " response 4" in str(error)
    return CredentialsError(explained, passing=passing(error) or not refused)


def _wrong_setting(what: str, error: BaseException) -> BackupError | None:
    if isinstance(error, PartialCredentialsError | InvalidConfigError | ParamValidationError):
        return UsageError(what, why=_text(error), fix="correct the profile or the variables")
    if isinstance(error, ValueError) and "Unsupported host" in str(error):
        fix = f"correct {CONTAINER[1]}, or use https"
        return UsageError(what, why=_text(error), fix=fix)
    return None


def _of_sts(identity: Identity, error: BaseException) -> tuple[str, str]:
    if isinstance(error, OSError) and error.filename:
        return f"the token file {error.filename}: {error.strerror}", "mount it again"
    if not code_of(error):
        url = getattr(error, "kwargs", {}).get("endpoint_url")
        sts = f"STS at {url}" if url else "STS"
        why = f"{sts}, which gives the credentials of {identity.role}, fails: {_text(error)}"
        return why, _REACH_STS
    claims = identity.claims() if identity.way is Way.WEB_IDENTITY else {}
    who = claims.get("sub") or _source(identity)
    return (
        f"the role {identity.role} may not be assumed by {who}: STS answered {_sts_words(error)}",
        _sts_fix(code_of(error), identity, claims),
    )


def _sts_fix(code: str, identity: Identity, claims: Mapping[str, object]) -> str:
    web = identity.way is Way.WEB_IDENTITY
    if code == "AccessDenied":
        return _trust(claims) if web else _BOTH_SIDES
    if code in {"ExpiredTokenException", "ExpiredToken"}:
        return (
            f"renew {identity.token_file or 'the session token'}; kubelet renews what it projects"
        )
    if code == "InvalidIdentityToken":
        return (
            f"make an IAM OIDC provider for the cluster's issuer {claims.get('iss') or ''}, with "
            f"the token's audience {_audience(claims)}"
        )
    if code in _UNKNOWN_KEYS:
        return f"correct the keys of {_source(identity)}"
    return "check the role, its trust policy and the region"


def _trust(claims: Mapping[str, object]) -> str:
    return (
        "in the role's trust policy, allow sts:AssumeRoleWithWebIdentity to the OIDC provider "
        f"{claims.get('iss') or 'of the cluster'} with sub {claims.get('sub') or 'of the token'} "
        f"and aud {_audience(claims)}"
    )


def _audience(claims: Mapping[str, object]) -> str:
    told = claims.get("aud")
    return ", ".join(map(str, told)) if isinstance(told, list) else str(told or "sts.amazonaws.com")


def _source(identity: Identity) -> str:
    if identity.way is Way.WEB_IDENTITY:
        return "the token"
    named = identity.profile.get("source_profile")
    return f"the profile {named}" if named else str(identity.profile.get("credential_source"))


def _of_container(identity: Identity, error: BaseException) -> tuple[str, str]:
    if isinstance(error, LookupError):
        text = f"its answer has no {error}"
    elif isinstance(error, OSError) and error.filename:
        text = f"the token file {error.filename}: {error.strerror}"
    else:
        text = _text(error)
    return (
        f"the container's endpoint {identity.container_url} gave no credentials: {text}",
        _ASSOCIATE,
    )


def _sts_words(error: BaseException) -> str:
    """Quote STS, not a store."""
    told = error.response.get("Error", {}) if isinstance(error, ClientError) else {}
    message = str(told.get("Message") or "").rstrip(".")
    return f"{code_of(error)}: {message}" if message else code_of(error)


def _text(error: BaseException) -> str:
    if isinstance(error, CredentialRetrievalError):
        return str(error.kwargs.get("error_msg") or error).rstrip(".")
    if isinstance(error, BotoCoreError | ClientError):
        return short_fault(error)
    return f"{type(error).__name__}: {error}".rstrip(".")
