"""Who we are to the store, as variables and profiles say it, before anybody is asked.

botocore takes the first that there is: keys in variables, a profile's role, a web identity, a
profile's keys, the container's endpoint, the metadata service (its guide on credentials).
"""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import ConfigParseError, ProfileNotFound
from botocore.utils import METADATA_BASE_URL, METADATA_BASE_URL_IPv6, resolve_imds_endpoint_mode

from backup_manager.errors import UsageError

KEY, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
_SESSION = "AWS_SESSION_TOKEN"
TOKEN_FILE, ROLE = "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"
CONTAINER = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
CONTAINER_TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 - a variable's name
_PROFILE_SECRETS = ("aws_secret_access_key", "aws_session_token", "aws_security_token")
_PROFILE_KEYS = (
    "aws_access_key_id", "sso_start_url", "sso_session", "login_session", "credential_process",
)  # fmt: skip
_MOUNTED = (
    "give the Pod a ServiceAccount that has the annotation eks.amazonaws.com/role-arn, or a "
    "projected volume with the token, and check the path"
)


class Way(StrEnum):
    """How credentials are found."""

    VARIABLES = "the variables"
    PROFILE_ROLE = "the profile's role"
    WEB_IDENTITY = "the web identity"
    PROFILE = "the profile"
    CONTAINER = "the container's endpoint"
    METADATA = "the metadata service"


class Identity:
    """What variables and profiles say; botocore's session has read the files."""

    def __init__(
        self, session: botocore.session.Session, environ: Mapping[str, str] | None = None
    ) -> None:
        """Raise UsageError where a profile that was asked for is not there, or cannot be read."""
        self.environ = os.environ if environ is None else environ
        self._session = session
        self.profile_name = str(session.get_config_variable("profile") or "default")
        try:
            self.profile: Mapping[str, Any] = session.get_scoped_config()
            self._profiles: Mapping[str, Any] = session.full_config.get("profiles", {})
        except ProfileNotFound as error:
            there = ", ".join(session.available_profiles) or "none"
            raise UsageError(
                f"the profile {self.profile_name} does not exist",
                why=f"{self.files} have these: {there}",
                fix="correct AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE or AWS_CONFIG_FILE",
            ) from error
        except ConfigParseError as error:
            raise UsageError(
                f"{error.kwargs['path']} cannot be read as profiles",
                fix="write it as the AWS CLI does: [default], then lines of name = value",
            ) from error

    @property
    def files(self) -> str:
        """The two files of profiles."""
        settings = ("credentials_file", "config_file")
        names = (str(self._session.get_config_variable(name)) for name in settings)
        return " and ".join(str(Path(name).expanduser()) for name in names)

    @property
    def way(self) -> Way:
        """Where botocore will find credentials, or look for them last."""
        if self.environ.get(KEY):
            return Way.VARIABLES
        if "role_arn" in self.profile and "web_identity_token_file" not in self.profile:
            return Way.PROFILE_ROLE
        if self.token_file:
            return Way.WEB_IDENTITY
        if any(name in self.profile for name in _PROFILE_KEYS):
            return Way.PROFILE
        if any(self.environ.get(name) for name in CONTAINER):
            return Way.CONTAINER
        return Way.METADATA

    @property
    def token_file(self) -> str | None:
        return self.environ.get(TOKEN_FILE) or self.profile.get("web_identity_token_file")

    @property
    def role(self) -> str | None:
        """The role to assume."""
        own = None if self.way is Way.PROFILE_ROLE else self.environ.get(ROLE)
        return own or self.profile.get("role_arn")

    @property
    def container_url(self) -> str:
        relative, full = (self.environ.get(name, "") for name in CONTAINER)
        return f"http://169.254.170.2{relative}" if relative else full

    @property
    def metadata_url(self) -> str | None:
        """Where the metadata service is, with a slash at its end; None: it is switched off."""
        if self.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            return None
        url = self._session.get_config_variable("ec2_metadata_service_endpoint")
        if not url:
            v6 = resolve_imds_endpoint_mode(self._session) == "ipv6"
            url = METADATA_BASE_URL_IPv6 if v6 else METADATA_BASE_URL
        return f"{str(url).rstrip('/')}/"

    def claims(self) -> Mapping[str, Any]:
        """Return what the web identity's token says of itself (RFC 7519); {} if it is no JWT."""
        try:
            body = Path(self.token_file or "").read_text(encoding="utf-8").split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (OSError, ValueError, IndexError):
            return {}
        return claims if isinstance(claims, dict) else {}

    def secrets(self) -> Iterator[str]:
        """Yield what may be sent to anybody as a proof: tokens, and the keys of all profiles."""
        for name in (self.token_file, self.environ.get(CONTAINER_TOKEN_FILE)):
            try:
                yield Path(name).read_text(encoding="utf-8").strip() if name else ""
            except (OSError, ValueError):
                continue  # whoever needs it says so
        for profile in self._profiles.values():
            yield from (str(profile[name]) for name in _PROFILE_SECRETS if name in profile)

    def check(self) -> None:
        """Raise UsageError for what no service can make good."""
        self._check_pair()
        if self.way is Way.WEB_IDENTITY:
            if not self.role:
                raise UsageError(
                    f"{TOKEN_FILE} is given without {ROLE}",
                    fix=f"name the role to assume in {ROLE}, or unset {TOKEN_FILE}",
                )
            _check_token(self._origin(TOKEN_FILE), str(self.token_file), _MOUNTED)
        if self.way in {Way.WEB_IDENTITY, Way.PROFILE_ROLE}:
            self._check_role()
        token = self.environ.get(CONTAINER_TOKEN_FILE)
        if self.way is Way.CONTAINER and token:
            fix = "check the Pod Identity association and that the volume with the token is mounted"
            _check_token(CONTAINER_TOKEN_FILE, token, fix)

    def _origin(self, variable: str) -> str:
        return variable if self.environ.get(variable) else f"the profile {self.profile_name}"

    def _check_pair(self) -> None:
        given = [name for name in (KEY, SECRET) if self.environ.get(name)]
        if len(given) == 1:
            other = SECRET if given == [KEY] else KEY
            raise UsageError(
                f"{given[0]} is given without {other}",
                fix="give both; or neither, for a profile or a role",
            )
        for name in filter(self.environ.get, (KEY, SECRET, _SESSION)):
            if self.environ[name].split() != [self.environ[name]]:
                raise UsageError(
                    f"{name} has white space in it",
                    fix="give the key alone; a newline comes from making the secret with echo: use "
                    "kubectl create secret generic --from-literal",
                )

    def _check_role(self) -> None:
        role = self.role or ""
        if not role.startswith("arn:") or role.count(":") < 5:  # noqa: PLR2004 - an ARN's parts
            raise UsageError(
                f"{self._origin(ROLE)} names a role that is no ARN",
                why=f"it is {role!r}",
                fix="give it as arn:aws:iam::123456789012:role/NAME",
            )


def _check_token(origin: str, name: str, fix: str) -> None:
    try:
        empty = not Path(name).read_bytes().strip()
    except OSError as error:
        raise UsageError(
            f"the token file {name} of {origin} cannot be read",
            why=error.strerror or str(error),
            fix=fix,
        ) from error
    if empty:
        raise UsageError(f"the token file {name} of {origin} is empty", fix=fix)
