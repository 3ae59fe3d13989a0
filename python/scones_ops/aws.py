"""AWS clients, and what every command asks of an account before it starts."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.exceptions
from botocore.config import Config

from scones_ops.errors import CredentialsMissing, LocalAwsUnavailable
from scones_ops.settings import Settings

SIGN_IN_EXPIRED = (
    botocore.exceptions.SSOError,
    botocore.exceptions.TokenRetrievalError,
    botocore.exceptions.CredentialRetrievalError,
)


def client(settings: Settings, service: str, *, connections: int = 10) -> Any:
    """Return a boto3 client of `service` for the target, with retries and `connections` in its pool."""
    settings.apply_environment()
    config = Config(
        region_name=settings.region,
        max_pool_connections=connections,
        retries={"mode": "standard", "max_attempts": 4},
    )
    return boto3.client(service, config=config)


def account(settings: Settings) -> str:
    """Return the account id the target's credentials belong to.

    Raises CredentialsMissing or LocalAwsUnavailable, each naming the fix.
    """
    try:
        return str(client(settings, "sts").get_caller_identity()["Account"])
    except botocore.exceptions.ProfileNotFound as error:
        raise CredentialsMissing(
            f"{error}: choose a profile that `aws configure list-profiles` names"
        ) from None
    except SIGN_IN_EXPIRED as error:
        raise CredentialsMissing(f"the sign-in cannot be used ({error}): run `aws sso login` again") from None
    except botocore.exceptions.EndpointConnectionError:
        if settings.target == "local":
            raise LocalAwsUnavailable(
                f"the local AWS does not answer at {settings.local_url}: start it with `make local-up`"
            ) from None
        raise
    except (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError):
        raise CredentialsMissing(
            "no AWS credentials found: run `aws configure` or `aws sso login`, or set AWS_PROFILE; "
            "TARGET=local needs none"
        ) from None
    except botocore.exceptions.ClientError as error:
        if settings.target == "local":
            raise
        raise CredentialsMissing(
            f"AWS refused the credentials ({error.response['Error']['Code']}): sign in again, "
            "or choose another AWS_PROFILE"
        ) from None
