"""Short-lived credentials of a role, as the services of AWS hand them to what they run."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moto.sts.models import sts_backends

from scones_ops.local.context import CONTEXT

SESSION_SECONDS = 3600
# A session is renewed when less than this is left, so that what starts with it has time to work.
RENEW_BEFORE = timedelta(minutes=10)


@dataclass(frozen=True)
class RoleSession:
    """The keys of one assumed-role session and when they end (UTC)."""

    role_arn: str
    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: datetime

    @property
    def is_fresh(self) -> bool:
        return datetime.now(UTC) < self.expires_at - RENEW_BEFORE

    def environment(self) -> dict[str, str]:
        """The AWS_* variables of a process that runs under this session on the local AWS."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
            "AWS_REGION": CONTEXT.region,
            "AWS_DEFAULT_REGION": CONTEXT.region,
            "AWS_ENDPOINT_URL": CONTEXT.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Nothing of the user's own AWS configuration may reach what runs here.
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }


_sessions: dict[tuple[str, str], RoleSession] = {}
_lock = threading.Lock()


def role_session(role_arn: str, session_name: str) -> RoleSession:
    """Return a session of the role with at least RENEW_BEFORE left, the same one until then."""
    key = (role_arn, session_name)
    with _lock:
        session = _sessions.get(key)
        if session is None or not session.is_fresh:
            session = _sessions[key] = _assume(role_arn, session_name)
        return session


def role_environment(role_arn: str, session_name: str) -> dict[str, str]:
    """Return the AWS_* environment of a process that acts as the role: keys, region, endpoint.

    Call it again for each new process; the session behind it is renewed before it ends.
    """
    return role_session(role_arn, session_name).environment()


def _assume(role_arn: str, session_name: str) -> RoleSession:
    account = role_arn.split(":")[4] or CONTEXT.account
    assumed = sts_backends[account]["aws"].assume_role(
        region_name=CONTEXT.region,
        role_session_name=session_name[:64],
        role_arn=role_arn,
        policy=None,
        duration=SESSION_SECONDS,
        external_id=None,
    )
    return RoleSession(
        role_arn=role_arn,
        access_key_id=assumed.access_key_id,
        secret_access_key=assumed.secret_access_key,
        session_token=assumed.session_token,
        expires_at=datetime.now(UTC) + timedelta(seconds=SESSION_SECONDS),
    )
