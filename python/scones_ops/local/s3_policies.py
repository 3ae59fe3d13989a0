"""Bucket policies: conditions count, and every request to this server counts as sent over TLS.

Moto denies what any statement with a condition names, whether the condition holds or not. So a policy that
denies plain HTTP, as AWS recommends, would close the bucket.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket


def install(home: Path) -> None:
    """Make buckets heed the conditions of their policies."""
    FakeBucket.get_permission = _get_permission


def _get_permission(self: FakeBucket, action: str, resource: str) -> Any:
    if self.policy is None:
        return PermissionResult.NEUTRAL
    text = self.policy.decode() if isinstance(self.policy, bytes) else self.policy
    statements = applying_statements(json.loads(text))
    if not statements:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps({"Statement": statements})).is_action_permitted(action, resource)


def applying_statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the statements whose condition holds for a request over TLS, without the condition.

    Statements with any other condition are left out: what it asks for is not known here.
    """
    given = policy.get("Statement", [])
    applying = []
    for statement in given if isinstance(given, list) else [given]:
        condition = statement.get("Condition")
        if not condition or _is_only("true", condition):
            applying.append({name: value for name, value in statement.items() if name != "Condition"})
    return applying


def _is_only(value: str, condition: dict[str, Any]) -> bool:
    """Return whether all that the condition asks is that aws:SecureTransport is `value`."""
    asked = condition.get("Bool", {})
    lowered = {name.lower(): str(wanted).lower() for name, wanted in asked.items()}
    return list(condition) == ["Bool"] and lowered == {"aws:securetransport": value}
