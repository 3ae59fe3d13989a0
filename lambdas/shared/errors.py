"""The errors the state machine tells apart. It sees the class name, so the names are part of the contract."""


class EventInvalid(Exception):
    """The event lacks a field, or a field is of the wrong kind."""


class ImageNotFound(Exception):
    """S3 has no such picture."""


class FolderMarker(Exception):
    """The object is empty and its key ends in a slash, as the console makes one for a folder."""


class ImageInvalid(Exception):
    """What S3 has is no picture, or one that is truncated, too large or of an unknown format."""


class EndpointUnavailable(Exception):
    """The endpoint does not exist or is not in service."""


class EndpointThrottled(Exception):
    """The endpoint is too busy or not reachable just now; the state machine tries again."""


class InferenceFailed(Exception):
    """The model failed, or answered something that is not one score a class."""


class ThresholdConfidenceNotMet(Exception):
    """No class reaches the threshold: a person has to look."""
