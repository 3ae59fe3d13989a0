"""Whether a service may act as a role: the check AWS makes when a resource with a role is created."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

from moto.iam.models import iam_backends


def can_be_assumed_by(account: str, role_arn: str, service: str) -> bool:
    """Return whether the role exists and its trust policy lets `service` assume it.

    Conditions of the trust policy are not looked at.
    """
    roles = iam_backends[account]["aws"].roles.values()
    role = next((role for role in roles if role.arn == role_arn), None)
    if role is None:
        return False
    document: dict[str, Any] = json.loads(role.assume_role_policy_document)
    return any(
        statement.get("Effect") == "Allow" and service in _services(statement) and _allows_assuming(statement)
        for statement in _as_list(document.get("Statement", []))
    )


def _services(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal", {})
    return _as_list(principal.get("Service", [])) if isinstance(principal, dict) else []


def _allows_assuming(statement: dict[str, Any]) -> bool:
    return any(
        fnmatchcase("sts:assumerole", action.lower()) for action in _as_list(statement.get("Action", []))
    )


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
