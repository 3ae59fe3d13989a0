"""Downloads: gone on from where they stopped, verified, landed whole, and given up in one clear line."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections import namedtuple
from pathlib import Path

import pytest
from data_helpers import Site, serving, settings_in

from scones_ops.data import download
from scones_ops.data.archive import OFFICIAL, obtain_archive
from scones_ops.data.download import Remote, fetch
from scones_ops.errors import ArchiveInvalid, ArchiveUnreachable, DiskFull

BODY = os.urandom(300_000)
MD5 = hashlib.md5(BODY).hexdigest()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make the pauses between tries instant, and return how long they would have been."""
    pauses: list[float] = []
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    return pauses


def left_over(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir() if path != file)


def test_a_file_lands_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "downloads" / "a.tar.gz"
    with serving(Site(BODY)) as site:
        fetch(Remote(site.url, len(BODY), MD5), file)
    assert file.read_bytes() == BODY
    assert left_over(file) == []


@pytest.mark.parametrize(
    "sign", [{"etag": '"one"'}, {"etag": "", "modified": "Mon, 02 Nov 2026 10:00:00 GMT"}]
)
def test_a_broken_connection_is_gone_on_from_where_it_stopped(tmp_path: Path, sign: dict[str, str]) -> None:
    file = tmp_path / "a.tar.gz"
    with serving(Site(BODY, breaks_after=[100_000, 50_000], **sign)) as site:
        fetch(Remote(site.url), file)
    assert file.read_bytes() == BODY
    assert site.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_the_next_run_goes_on_after_one_that_was_given_up(tmp_path: Path, no_waiting: list[float]) -> None:
    file = tmp_path / "a.tar.gz"
    with serving(Site(BODY, breaks_after=[200_000], statuses=[])) as site:
        site.breaks_after += [0] * 10
        with pytest.raises(ArchiveUnreachable, match="goes on from here"):
            fetch(Remote(site.url), file)
        assert not file.exists()
        assert no_waiting == sorted(no_waiting)
        site.breaks_after.clear()
        site.asked.clear()
        fetch(Remote(site.url), file)
    assert site.asked == ["bytes=200000-"]
    assert file.read_bytes() == BODY


def test_an_interrupted_run_leaves_what_came_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.tar.gz"
    with serving(Site(BODY, breaks_after=[120_000])) as site:

        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(download.time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch(Remote(site.url), file)
        fetch(Remote(site.url), file)
    assert site.asked == [None, "bytes=120000-"]
    assert file.read_bytes() == BODY


def test_a_file_that_changed_on_the_server_is_fetched_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    other = os.urandom(250_000)
    with serving(Site(BODY, breaks_after=[100_000, *[0] * 3])) as site:
        with pytest.raises(ArchiveUnreachable):
            fetch(Remote(site.url), file)
        site.body, site.etag = other, '"two"'
        site.breaks_after.clear()
        fetch(Remote(site.url), file)
    assert file.read_bytes() == other


def test_a_shorter_file_on_the_server_is_fetched_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    with serving(Site(BODY, breaks_after=[200_000, *[0] * 3])) as site:
        with pytest.raises(ArchiveUnreachable):
            fetch(Remote(site.url), file)
        site.body = BODY[:150_000]
        site.breaks_after.clear()
        fetch(Remote(site.url), file)
    assert file.read_bytes() == BODY[:150_000]


def test_without_a_sign_of_the_version_the_beginning_is_not_trusted(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    with serving(Site(BODY, etag='W/"weak"', breaks_after=[100_000])) as site:
        fetch(Remote(site.url), file)
    assert site.asked == [None, None]
    assert file.read_bytes() == BODY


def test_a_server_without_ranges_is_asked_for_all_of_it(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    with serving(Site(BODY, ranges=False, breaks_after=[100_000])) as site:
        fetch(Remote(site.url), file)
    assert file.read_bytes() == BODY


def test_a_busy_server_is_asked_again(tmp_path: Path, no_waiting: list[float]) -> None:
    file = tmp_path / "a.tar.gz"
    with serving(Site(BODY, statuses=[503, 500, 429])) as site:
        fetch(Remote(site.url), file)
    assert file.read_bytes() == BODY
    assert len(no_waiting) == 3


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_told_at_once(tmp_path: Path, status: int, no_waiting: list[float]) -> None:
    refused = pytest.raises(ArchiveUnreachable, match=f"HTTP {status}.*ARCHIVE=path")
    with serving(Site(BODY, statuses=[status])) as site, refused as error:
        fetch(Remote(site.url), tmp_path / "a.tar.gz")
    assert "\n" not in str(error.value)
    assert no_waiting == []
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_md5_is_refused_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    with serving(Site(BODY)) as site, pytest.raises(ArchiveInvalid, match="MD5"):
        fetch(Remote(site.url, len(BODY), "0" * 32), file)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_beginning_is_fetched_again_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    with serving(Site(BODY, breaks_after=[100_000, *[0] * 3])) as site:
        with pytest.raises(ArchiveUnreachable):
            fetch(Remote(site.url, len(BODY), MD5), file)
        part = tmp_path / "a.tar.gz.part"
        part.write_bytes(bytes(part.stat().st_size))
        site.breaks_after.clear()
        fetch(Remote(site.url, len(BODY), MD5), file)
    assert file.read_bytes() == BODY


def test_a_sign_in_page_is_told_from_the_archive_by_its_length(tmp_path: Path) -> None:
    refused = pytest.raises(ArchiveUnreachable, match="sends 20 bytes and not 300000")
    with serving(Site(b"<html>sign in</html>")) as site, refused:
        fetch(Remote(site.url, len(BODY), MD5), tmp_path / "a.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage(1 << 30, 1 << 30, 1 << 20))
    with serving(Site(BODY)) as site, pytest.raises(DiskFull, match="1 MiB free and 64 MiB are needed"):
        fetch(Remote(site.url), tmp_path / "a.tar.gz")


def test_an_impatient_caller_is_told_at_once(tmp_path: Path, no_waiting: list[float]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/a.tar.gz"
        with pytest.raises(ArchiveUnreachable, match="refused"):
            fetch(Remote(url), tmp_path / "a.tar.gz", patient=False)
    assert no_waiting == []


def test_an_impatient_caller_waits_for_a_server_that_has_sent_something(
    tmp_path: Path, no_waiting: list[float]
) -> None:
    file = tmp_path / "a.tar.gz"
    with serving(Site(BODY, breaks_after=[100_000, 0, 0])) as site:
        fetch(Remote(site.url), file, patient=False)
    assert file.read_bytes() == BODY
    assert len(no_waiting) == 3


def test_a_resolver_that_hangs_does_not_keep_an_impatient_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "HASTY_TIMEOUT", 0.1)
    pause = socket.socketpair()
    monkeypatch.setattr(download.socket, "getaddrinfo", lambda *_: pause[0].recv(1))
    started = time.monotonic()
    with pytest.raises(ArchiveUnreachable, match=r"the name archive\.invalid is not found"):
        fetch(Remote("https://archive.invalid/a.tar.gz"), tmp_path / "a.tar.gz", patient=False)
    assert time.monotonic() - started < 2
    for end in pause:
        end.close()


def test_a_url_is_fetched_once_and_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    with serving(Site(BODY)) as site:
        settings = settings_in(tmp_path, archive=site.url)
        first = obtain_archive(settings)
        again = obtain_archive(settings)
    assert first == again
    assert first.file.read_bytes() == BODY
    assert first.name == "cifar-100-python.tar.gz"
    assert len(site.asked) == 1
    by_path = obtain_archive(settings_in(tmp_path, archive=str(first.file)))
    assert by_path.file == first.file
    assert not by_path.fetched
    assert obtain_archive(settings_in(tmp_path, archive=first.file.as_uri())).file == first.file


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        ("/no/such.tar.gz", "does not exist"),
        ("/tmp", "is a folder"),
        ("s3://b/a.tar.gz", "s3:// is not supported"),
    ],
)
def test_a_place_that_cannot_be_used_says_why(tmp_path: Path, place: str, hint: str) -> None:
    with pytest.raises(ArchiveUnreachable, match=hint):
        obtain_archive(settings_in(tmp_path, archive=place))


def test_the_official_archive_is_known_by_its_published_size_and_md5(tmp_path: Path) -> None:
    assert OFFICIAL.url == "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    assert (OFFICIAL.size, OFFICIAL.md5) == (169_001_437, "eb9058c3a382ffc7106e4002c42a8d85")
    with serving(Site(BODY)) as site:
        remote = Remote(site.url, len(BODY), MD5)
        archive = obtain_archive(settings_in(tmp_path), official=remote)
        archive.file.write_bytes(b"cut")
        with pytest.raises(ArchiveInvalid, match="300000 bytes"):
            obtain_archive(settings_in(tmp_path), official=remote)
