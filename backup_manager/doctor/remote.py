"""The store: who we are to it, whether it answers, and what kind of bucket it has."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from backup_manager.doctor.case import Case, the
from backup_manager.doctor.findings import Finding
from backup_manager.doctor.probing import Probing
from backup_manager.durations import format_duration
from backup_manager.errors import StoreError
from backup_manager.store import probe
from backup_manager.store.client import Store
from backup_manager.store.credentials import check_access, new_session
from backup_manager.store.faults import FAULTS, code_of, short_fault
from backup_manager.store.headers import moment_of
from backup_manager.store.identity import KEY, Identity, Way
from backup_manager.store.retries import Patience
from backup_manager.store.sender import Sender

# How long one call is tried again. Export waits longer, but a person does not want to.
_PATIENCE_SECONDS = 5.0
# S3 refuses what was signed by a clock that is off by more than 15 minutes.
_SKEW_SECONDS, _MOST_SKEW_SECONDS = 60.0, 900.0
_LEAST_SHORTENED = 12


def credentials(case: Case) -> Iterator[Finding]:
    """Find credentials, and tell where; the bucket is not asked yet."""
    settings, options = the(case.place)
    check_access()
    store = Store(
        settings,
        # What is locked could not be deleted.
        replace(options, retention=None),
        report=case.report,
        stop=case.stop,
    )
    store.content_md5 |= options.retention is not None
    store.patience = Patience(_PATIENCE_SECONDS)
    _watch_clock(case, store)
    sender = Sender(store, stop=case.stop, report=case.report)
    case.probing = Probing(store, sender, case.stop)
    case.closing.callback(case.probing.clear)
    frozen = store.credentials.get_frozen_credentials()
    token = " with a session token" if frozen.token else ""
    key = _shortened(frozen.access_key or "")
    yield Finding.ok(f"the key {key}{token}, of {_origin(Identity(new_session()))}")


def _shortened(key: str) -> str:
    return f"{key[:4]}…{key[-4:]}" if len(key) >= _LEAST_SHORTENED else f"{key[:2]}…"


def _origin(identity: Identity) -> str:
    profile = f"the profile {identity.profile_name} in {identity.files}"
    return {
        Way.VARIABLES: KEY,
        Way.PROFILE: profile,
        Way.PROFILE_ROLE: f"the role {identity.role} of {profile}",
        Way.WEB_IDENTITY: f"the role {identity.role}, by the token {identity.token_file}",
        Way.CONTAINER: f"the container's endpoint {identity.container_url}",
        Way.METADATA: f"the metadata service {identity.metadata_url}",
    }[identity.way]


def _watch_clock(case: Case, store: Store) -> None:
    """Have each answer of the store tell how far its clock is ahead of ours."""

    def note(http_response: Any, **_: object) -> None:
        told = moment_of(http_response.headers, "Date")
        if told:
            case.clock_ahead = told.timestamp() - time.time()

    store.client.meta.events.register("after-call.s3", note)


def bucket(case: Case) -> Iterator[Finding]:
    """List under the prefix."""
    probing = the(case.probing)
    probing.left = probing.ask(lambda: probe.others(probing.store, probing.name))
    case.listed = True
    yield Finding.ok(f"{probing.store.settings.place} can be listed")


def clock(case: Case) -> Iterator[Finding]:
    """Compare the store's clock with ours."""
    ahead = case.clock_ahead
    if ahead is None:
        yield Finding.skipped("not tried: the store has told no time")
        return
    span = format_duration(round(abs(ahead)) * 1_000_000_000)
    seen = f"the store's clock is {span} {'ahead of' if ahead > 0 else 'behind'} ours"
    fix = "set the clock right that is wrong (NTP)"
    if abs(ahead) > _MOST_SKEW_SECONDS:
        raise StoreError(seen, why="S3 refuses requests from 15 minutes on", fix=fix)
    if abs(ahead) > _SKEW_SECONDS:
        yield Finding.warning(seen, f"{fix}: from 15 minutes on S3 refuses requests")
    else:
        yield Finding.ok(f"the store's clock and ours are no minute apart ({span})")


def versioning(case: Case) -> Iterator[Finding]:
    """Tell whether what is deleted stays as an older version."""
    probing = the(case.probing)
    store = probing.store
    where = {"Bucket": store.settings.bucket}
    try:
        answer = probing.ask(
            lambda: store.attempt(lambda: store.client.get_bucket_versioning(**where))
        )
    except FAULTS as error:
        yield Finding.ok(f"not readable ({short_fault(error)})")
        return
    except StoreError as error:  # it is silent
        yield Finding.ok(f"not readable ({error.why})")
        return
    status = answer.get("Status")
    if not status:
        yield Finding.ok("off: what is deleted is gone")
        return
    probing.versioned = True
    yield Finding.ok(
        f"{status.lower()}: what is deleted stays as an older version, until a rule removes it"
    )


def object_lock(case: Case) -> Iterator[Finding]:
    """Tell whether the bucket locks objects, and whether it can where that is asked for."""
    probing = the(case.probing)
    store, retention = probing.store, the(case.place)[1].retention
    probing.ask(lambda: probe.check_lock(store, retention))
    where = {"Bucket": store.settings.bucket}
    try:
        answer = probing.ask(
            lambda: store.attempt(lambda: store.client.get_object_lock_configuration(**where))
        )
    except FAULTS as error:
        none = code_of(error) == "ObjectLockConfigurationNotFoundError"
        yield Finding.ok("none" if none else f"not readable ({short_fault(error)})")
        return
    except StoreError as error:
        yield Finding.ok(f"not readable ({error.why})")
        return
    rule = answer.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
    text = "the bucket has it, with no retention by default"
    if rule:
        span = f"{rule['Days']} days" if "Days" in rule else f"{rule.get('Years')} years"
        text = f"every object is locked for {span} ({rule.get('Mode')}), unfinished ones too"
    if retention:
        text += "; that this key may lock was not tried, as the probe could not be deleted then"
    yield Finding.ok(text)
