"""What an error of an AWS call means while a training job is started and followed."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

AwsError = (BotoCoreError, ClientError)


def passing(error: Exception) -> bool:
    """Tell whether the same call may work later: no connection, throttled, or a fault of AWS's own."""
    if not isinstance(error, ClientError):
        return isinstance(error, (ConnectionError, HTTPClientError))
    code = error.response["Error"]["Code"]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or "Throttl" in code or code in ("RequestLimitExceeded", "TooManyRequestsException")


def missing(error: Exception) -> bool:
    """Tell whether the error says that there is no such thing; for a job, AWS says it in two ways."""
    if not isinstance(error, ClientError):
        return False
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    if code == "ValidationException":
        return "not found" in message
    return code in ("ResourceNotFound", "ResourceNotFoundException")


def reason(error: Exception) -> str:
    """Return what AWS said, in one line."""
    if isinstance(error, ClientError):
        said = error.response["Error"]
        return one_line(f"{said['Code']}: {said['Message']}")
    return one_line(str(error))


def one_line(text: str) -> str:
    """Return the text with every run of white space as one space."""
    return " ".join(text.split())
