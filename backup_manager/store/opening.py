"""boto3's client for one bucket: addressing, certificates, time-outs, checksums."""

from typing import Any

import boto3
import botocore.session
import urllib3
from botocore.config import Config
from urllib3.exceptions import InsecureRequestWarning

from backup_manager import loading
from backup_manager.store.providers import PROVIDERS
from backup_manager.store.settings import StoreOptions, StoreSettings


def open_client(
    core: botocore.session.Session, settings: StoreSettings, options: StoreOptions
) -> Any:
    """Return the client; nothing is asked of the store yet. Raises botocore's errors."""
    provider = PROVIDERS[settings.provider]
    addressing = options.addressing or provider.addressing
    if addressing == "auto" and not settings.endpoint:
        # The same at Amazon, dots and all, but in presigned URLs: those of "auto" name the host of
        # no region, which redirects what is for a new bucket.
        addressing = "virtual"
    s3: Any = {
        "addressing_style": addressing,
        "payload_signing_enabled": True,
        "use_accelerate_endpoint": options.accelerate,
        "use_dualstack_endpoint": options.dual_stack,
    }
    config = Config(
        connect_timeout=min(options.connect_seconds, options.timeout_seconds),
        read_timeout=options.timeout_seconds,
        retries={"mode": "standard", "max_attempts": 3},
        max_pool_connections=options.pace.requests_at_once + 4,
        # boto3's default trailers are refused by Ceph over HTTPS and by many others (boto3#4392);
        # the signed SHA-256 has the store check the body all the same.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4",
        s3=s3,
    )
    if options.insecure:
        # It was said once, loudly; not again with each request.
        urllib3.disable_warnings(InsecureRequestWarning)
    session = boto3.Session(botocore_session=core)
    with loading.paused():  # botocore reads megabytes of JSON
        return session.client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region or session.region_name or provider.region,
            verify=verified_by(options),
            config=config,
        )


def verified_by(options: StoreOptions) -> bool | str | None:
    """Return by what the store's certificate is checked, as botocore has it; None: its choice."""
    if options.insecure:
        return False
    return str(options.ca) if options.ca else None
