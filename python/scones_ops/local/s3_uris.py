"""Addresses of the form s3://bucket/key."""

from __future__ import annotations

from urllib.parse import urlsplit


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of `s3://bucket/key`; the key may be empty."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")
