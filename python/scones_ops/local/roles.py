"""Whether a service may act as a role, and what roles and resource policies allow it.

Only the checks that AWS makes on behalf of its own services; conditions and denials are not looked at.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from moto.iam.models import iam_backends


def can_be_assumed_by(account: str, role_arn: str, service: str) -> bool:
    """Return whether the role exists and its trust policy lets `service` assume it."""
    role = _find(account, role_arn)
    return role is not None and policy_lets_in(role.assume_role_policy_document, service, "sts:AssumeRole")


def allows(account: str, role_arn: str, action: str, resource: str) -> bool:
    """Return whether a policy of the role allows the action on the resource."""
    role = _find(account, role_arn)
    if role is None:
        return False
    documents = [*role.policies.values(), *(policy.document for policy in role.managed_policies.values())]
    return any(
        statement.get("Effect") == "Allow"
        and _matches(action, statement.get("Action", []))
        and _matches(resource, statement.get("Resource", []))
        for document in documents
        for statement in _statements(document)
    )


def policy_lets_in(policy: Any, service: str, action: str) -> bool:
    """Return whether a resource's or role's policy (JSON text or parsed) lets `service` do the action."""
    return any(
        statement.get("Effect") == "Allow"
        and service in _services(statement)
        and _matches(action, statement.get("Action", []))
        for statement in _statements(policy)
    )


def _find(account: str, role_arn: str) -> Any | None:
    for role in list(iam_backends[account]["aws"].roles.values()):
        if role.arn == role_arn:
            return role
    return None


def _statements(policy: Any) -> list[dict[str, Any]]:
    if not policy:
        return []
    if isinstance(policy, str):
        policy = json.loads(policy if policy.lstrip().startswith("{") else unquote(policy))
    return _as_list(policy.get("Statement", []))


def _services(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal", {})
    return _as_list(principal.get("Service", [])) if isinstance(principal, dict) else []


def _matches(value: str, patterns: Any) -> bool:
    return any(fnmatchcase(value.lower(), str(pattern).lower()) for pattern in _as_list(patterns))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
