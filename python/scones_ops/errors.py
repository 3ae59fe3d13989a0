"""The errors a user can mend. Each message is one line: what was wrong, then what to do.

The command line prints the message without a traceback and exits with `exit_status`.
Anything that is not a `SconesError` is a fault of ours and keeps its traceback.
"""


class SconesError(Exception):
    """Base of all errors whose message is meant for the user."""

    exit_status = 1


class SettingsInvalid(SconesError):
    """A setting (environment variable, option or settings file) has a value that cannot be used."""


class ArchiveUnreachable(SconesError):
    """The data archive could not be downloaded or opened."""


class ArchiveInvalid(SconesError):
    """The data archive is truncated, of the wrong kind, altered or hostile."""


class DiskFull(SconesError):
    """The disk has too little free space for the next step."""


class DatasetInvalid(SconesError):
    """The prepared data set on disk or in S3 is missing or inconsistent."""


class CredentialsMissing(SconesError):
    """No usable AWS credentials were found for the target."""


class ToolMissing(SconesError):
    """A program the command needs (Terraform, its provider) is missing or too old."""


class PackagingFailed(SconesError):
    """A Lambda zip could not be built: a package it needs is missing."""


class InfrastructureFailed(SconesError):
    """Terraform failed, or what it reports differs from what really runs."""


class NothingDeployed(InfrastructureFailed):
    """The workspace holds no finished apply."""


class TrainingFailed(SconesError):
    """The training job failed, was stopped or was refused."""


class GateNotPassed(SconesError):
    """A trained model is not good enough to be handed over; the old one stays."""


class HandoffInvalid(SconesError):
    """The handoff file between training and Terraform is missing or not valid."""


class ModelNotFound(SconesError):
    """A named model or its artifact is not in the bucket."""


class WorkflowFailed(SconesError):
    """An execution of the state machine did not end as it should."""


class LocalAwsUnavailable(SconesError):
    """The local AWS is not running, did not start or its port is taken."""


class EvaluationMissing(SconesError):
    """There is no evaluation to report on, or its files are damaged."""
