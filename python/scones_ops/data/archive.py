"""Where the archive is: a path taken as it is, or a URL fetched once into the downloads folder."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scones_ops.console import say
from scones_ops.data.download import Remote, fetch
from scones_ops.errors import ArchiveInvalid, ArchiveUnreachable
from scones_ops.settings import Settings

# Size and digest as published at https://www.cs.toronto.edu/~kriz/cifar.html
OFFICIAL = Remote(
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    size=169_001_437,
    md5="eb9058c3a382ffc7106e4002c42a8d85",
)


@dataclass(frozen=True)
class Archive:
    """An archive on disk: `name` is how the manifest calls it, without the path of this machine."""

    file: Path
    name: str
    kind: str = "archive"  # or "generated"
    fetched: bool = False  # ours, to be removed where it proves useless


def obtain_archive(settings: Settings, *, patient: bool = True, official: Remote = OFFICIAL) -> Archive:
    """Return the archive that `settings.archive` names, downloaded if it is a URL; "" means the official one.

    With `patient` false an unreachable server is given up at once, for a caller that has something else.
    Raises ArchiveUnreachable, ArchiveInvalid or DiskFull.
    """
    place = settings.archive
    if not place:
        return _downloaded(settings, official, patient=patient)
    scheme = urlsplit(place).scheme.lower()
    if scheme in ("http", "https"):
        remote = official if place == official.url else Remote(place)
        return _downloaded(settings, remote, patient=patient)
    if scheme == "file":
        place = unquote(urlsplit(place).path)
    elif "://" in place:
        raise ArchiveUnreachable(
            f"ARCHIVE={place}: {scheme}:// is not supported; give a path, http:// or https://"
        )
    file = Path(place).expanduser()
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise ArchiveUnreachable(f"ARCHIVE={place} {what}: give the path or URL of cifar-100-python.tar.gz")
    return Archive(file.resolve(), file.name)


def _downloaded(settings: Settings, remote: Remote, *, patient: bool) -> Archive:
    """Return the archive behind `remote`, fetching it only where it is not there whole already."""
    stem = unquote(urlsplit(remote.url).path).rpartition("/")[2]
    name = re.sub(r"[^A-Za-z0-9._-]", "-", stem) or "archive.tar.gz"
    folder = settings.downloads_dir
    if remote.url != OFFICIAL.url:  # two URLs may end in the same name
        folder /= hashlib.sha256(remote.url.encode()).hexdigest()[:12]
    file = folder / name
    if not file.is_file():
        say(f"downloading {remote.url}")
        fetch(remote, file, patient=patient)
    elif remote.size and file.stat().st_size != remote.size:
        raise ArchiveInvalid(
            f"{file} is not {remote.size} bytes long: remove it and run the same command again"
        )
    return Archive(file, name, fetched=True)
