"""Where public weights lie on this machine, and how they get there.

Settings of the environment:

    SLIMNETS_CACHE           the directory; ~/.cache/slimnets by default
    SLIMNETS_OFFLINE         anything but 0 or nothing: nothing is fetched
    SLIMNETS_WEIGHTS_MIRROR  an address, below which each file lies under the host and
                             the path of its own address, as `wget -x` puts it
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import posixpath
import re
import time
import urllib.parse
from collections.abc import Iterator

import absl.logging

from slimnets.files import move_into_place, try_lock, write_text
from slimnets.weights.fetching import fetch, remove_part
from slimnets.weights.table import PublicWeights, find_weights, is_name

CACHE, OFFLINE = "SLIMNETS_CACHE", "SLIMNETS_OFFLINE"
MIRROR = "SLIMNETS_WEIGHTS_MIRROR"
# Files have at most this many times the size that is published, which is rounded; and
# at most so many bytes where none is.
_LARGEST_RATIO, _LARGEST = 2, 4 * 2**30
_SMALL = 2**20
_SECONDS_BETWEEN_LOOKS = 0.2
_CHUNK = 2**20
_OF_HUB = "etag"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def cache_directory() -> str:
    """The directory of all that is kept of public files."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.expanduser(os.environ.get(CACHE) or f"{home}/slimnets")


def cached_path(row: PublicWeights) -> str:
    """Where the file of public weights lies, or will lie."""
    path = urllib.parse.urlsplit(row.address).path
    folder = os.path.join(*row.name.split("/"))
    return os.path.join(cache_directory(), "weights", folder, posixpath.basename(path))


def fetch_weights(name: str, network: str | None = None, *, show: bool = True) -> str:
    """Returns the path of public weights, which are fetched if they are not there.

    Beside the file lies what is known of it as JSON, so that whatever opens it knows
    its network, classes and preprocessing. A file that somebody has put there is
    checked and taken.

    Args:
        name: as of `find_weights`.
        network: as of `find_weights`.
        show: whether progress is shown on standard error.

    Raises:
        ValueError: for an unknown name; for a file that is not the one that its source
            published, or too large; for what `fetching.fetch` refuses.
        FileNotFoundError: if it is not there and must not, or cannot, be fetched.
        ConnectionError: if the connection fails, and each try after it.
        OSError: if the disk is full, or fails. What has come so far is kept.
    """
    row = find_weights(name, network)
    path = cached_path(row)
    if os.path.exists(path) and os.path.exists(f"{path}.json"):
        return path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with _locked(f"{path}.lock", row.name):
        if not os.path.exists(path):
            _bring(row, path, show)
        elif not os.path.exists(f"{path}.json"):
            _check(row, path, None)
            _write_metadata(row, path)
    return path


def located(path: str) -> str:
    """Returns `path`, or of public weights' whole name the path of their file.

    What is there under that name, a file or the prefix of a checkpoint, wins.

    Raises:
        Whatever `fetch_weights` does.
    """
    if not is_name(path) or os.path.exists(path) or glob.glob(f"{glob.escape(path)}.*"):
        return path
    try:
        find_weights(path)
    except ValueError as error:
        raise FileNotFoundError(f"There is no {path}. {error}") from None
    return fetch_weights(path)


def _bring(row: PublicWeights, path: str, show: bool) -> None:
    address = _mirrored(row.address.partition("#")[0])
    if os.environ.get(OFFLINE, "0") not in ("", "0"):
        raise FileNotFoundError(
            f"{row.name} is not in the cache, and {OFFLINE} is set: put the file of "
            f"{address} at {path}."
        )
    limit = _LARGEST
    if row.mebibytes is not None:
        limit = _SMALL + int(row.mebibytes * _LARGEST_RATIO * 2**20)
    part = f"{path}.part"
    etag = fetch(address, part, title=row.name, limit=limit, show=show)
    try:
        _check(row, part, etag)
    except ValueError:
        remove_part(part)  # Nothing could go on from it.
        raise
    _write_metadata(row, path)
    move_into_place(part, path)
    remove_part(part)


def _mirrored(address: str) -> str:
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return address
    parts = urllib.parse.urlsplit(address)
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}"


def _check(row: PublicWeights, path: str, etag: str | None) -> None:
    """Raises ValueError unless the file has its checksum; warns where there is none."""
    wanted = row.checksum
    if wanted == _OF_HUB:
        wanted = f"sha256:{etag}" if _SHA256.fullmatch(etag or "") else ""
    kind, _, digits = wanted.partition(":")
    if not digits:
        absl.logging.warning(
            "%s: its source publishes no checksum that came along, so that %s could not"
            " be checked.",
            row.name,
            os.path.basename(path.removesuffix(".part")),
        )
        return
    found = _digest(path, kind)
    if not found.startswith(digits.lower()):
        raise ValueError(
            f"{path} is not what {row.name} should be: its {kind} is {found}, and the "
            f"published one {'begins with ' * (len(digits) < len(found))}{digits}."
        )


def _digest(path: str, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _write_metadata(row: PublicWeights, path: str) -> None:
    write_text(f"{path}.json", json.dumps(row.metadata, indent=2, sort_keys=True))


@contextlib.contextmanager
def _locked(path: str, name: str) -> Iterator[None]:
    """Waits until no other process fetches the same."""
    with open(path, "a", encoding="utf-8") as file:
        if not try_lock(file):
            absl.logging.warning("%s: waits for another process that fetches it.", name)
            while not try_lock(file):
                time.sleep(_SECONDS_BETWEEN_LOOKS)
        yield
