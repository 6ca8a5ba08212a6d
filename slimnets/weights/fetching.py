"""Fetches a file over HTTP: bounded, resumed where it was cut, never redirected to
another scheme.

Proxies are those of the environment (http_proxy, https_proxy, no_proxy), as urllib
takes them.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import absl.logging

from slimnets.progress import show_progress
from slimnets.version import __version__

# How long is waited before each further try.
SECONDS_BETWEEN = (1, 2, 4, 8)
# Without a byte.
TIMEOUT = 30
SCHEMES = ("http", "https")
_CHUNK = 2**20
# What may be gone at another try.
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_NO_SUCH_PART = 416
# Tells which version of a file a part is of.
_VALIDATOR = ".validator"
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _Cut(Exception):
    """The connection failed: another try may succeed."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects within a scheme.

    Attributes:
        linked_etag: what a hub tells of the file that it redirects to.
    """

    def __init__(self):
        self.linked_etag: str | None = None

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        self.linked_etag = headers.get("X-Linked-Etag", self.linked_etag)
        old, new = (urllib.parse.urlsplit(u).scheme for u in (req.full_url, newurl))
        if new != old:
            raise ValueError(
                f"{req.full_url} redirects to another scheme, {newurl}; refused."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    address: str, part: str, *, title: str, limit: int, show: bool = True
) -> str | None:
    """Fetches a file, or the rest of it.

    Args:
        address: an HTTP or HTTPS URL.
        part: the file; what an earlier fetch left there is gone on with, if the server
            has the same version still.
        title: of the progress.
        limit: the most bytes that it may have.
        show: whether progress is shown on standard error.

    Returns:
        The X-Linked-Etag, without quotation marks, if a server told one.

    Raises:
        ConnectionError: if the last try failed too.
        FileNotFoundError: if the server does not give the file.
        ValueError: for another scheme, here or in a redirect, redirects without end,
            or a file above the limit.
        OSError: if the disk is full, or fails.
    """
    if urllib.parse.urlsplit(address).scheme not in SCHEMES:
        raise ValueError(f"{address} is no address of {' or '.join(SCHEMES)}.")
    redirects = _Redirects()
    opener = urllib.request.build_opener(redirects)
    with contextlib.ExitStack() as stack:
        # Made when the size is known, and kept over all tries.
        progress = functools.lru_cache(1)(
            lambda total: stack.enter_context(
                show_progress(title, 0, max(1, total >> 20), unit="MiB", show=show)
            )
        )
        for seconds in (*SECONDS_BETWEEN, None):
            try:
                linked = _receive(opener, address, part, limit, progress)
                return (redirects.linked_etag or linked or "").strip('"') or None
            except _Cut as cut:
                if seconds is None:
                    raise ConnectionError(
                        f"Cannot fetch {address}: {cut}. The same call goes on where "
                        "this one ended."
                    ) from None
                absl.logging.warning("%s: %s; another try in %d s", title, cut, seconds)
                time.sleep(seconds)
    return None


def _receive(
    opener: urllib.request.OpenerDirector,
    address: str,
    part: str,
    limit: int,
    progress: Callable[[int], Any],
) -> str | None:
    """One try. Returns the X-Linked-Etag of the response itself."""
    start, validator = _so_far(part)
    with _opened(opener, address, start, validator) as response:
        if start and response.status != http.client.PARTIAL_CONTENT:
            start = 0
        total = _total(response, start)
        _check_size(address, total or 0, limit)
        _check_room(part, (total or 0) - start)
        bar, began, first = progress(total or 0), time.monotonic(), start
        headers = response.headers
        _keep_validator(part, headers.get("ETag") or headers.get("Last-Modified"))
        with open(part, "r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in _chunks(response):
                start += len(chunk)
                _check_size(address, start, limit)
                file.write(chunk)
                seconds = time.monotonic() - began
                rate = (start - first) / 2**20 / max(seconds, 1e-3)
                bar.update(start >> 20, {"MiB/s": rate})
    if total is not None and start != total:
        raise _Cut(f"the connection was cut after {start} of {total} bytes")
    return headers.get("X-Linked-Etag")


def _so_far(part: str) -> tuple[int, str | None]:
    """The bytes that are there already, and what tells their version."""
    try:
        with open(part + _VALIDATOR, encoding="latin-1") as file:
            return os.path.getsize(part), file.read()
    except FileNotFoundError:
        return 0, None


def _keep_validator(part: str, validator: str | None) -> None:
    if validator is None:
        with contextlib.suppress(FileNotFoundError):
            os.remove(part + _VALIDATOR)
        return
    with open(part + _VALIDATOR, "w", encoding="latin-1") as file:
        file.write(validator)


def remove_part(part: str) -> None:
    """Removes what a fetch has left."""
    for path in (part, part + _VALIDATOR):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _opened(
    opener: urllib.request.OpenerDirector,
    address: str,
    start: int,
    validator: str | None,
) -> Any:
    headers = {"User-Agent": f"slimnets/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator or ""}
    request = urllib.request.Request(address, headers=headers)
    try:
        response = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _NO_SUCH_PART and start:
            # The file ends before the part does: it is another one.
            return _opened(opener, address, 0, None)
        raise _failure(address, error) from None
    except (OSError, http.client.HTTPException) as error:
        raise _Cut(_reason(error)) from None
    if start and response.status == http.client.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not match or int(match[1]) != start:
            response.close()
            return _opened(opener, address, 0, None)
    return response


def _failure(address: str, error: urllib.error.HTTPError) -> Exception:
    if error.code in _PASSING:
        return _Cut(f"the server says {error.code} {error.reason}")
    if 300 <= error.code < 400:
        why = " ".join(str(error.msg).split())
        return ValueError(f"Cannot fetch {address}: {why}.")
    return FileNotFoundError(
        f"Cannot fetch {address}: the server says {error.code} {error.reason}."
    )


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return " ".join(str(reason).split()) or type(reason).__name__


def _total(response: Any, start: int) -> int | None:
    """The size of the whole file, if the server tells it."""
    if start:
        match = _CONTENT_RANGE.fullmatch(response.headers["Content-Range"])
        return int(match[2]) if match and match[2] != "*" else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _chunks(response: Any) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Cut(_reason(error)) from None
        if not chunk:
            return
        yield chunk


def _check_size(address: str, number: int, limit: int) -> None:
    if number > limit:
        raise ValueError(
            f"Cannot fetch {address}: it has {number} bytes or more, above the limit "
            f"of {limit}."
        )


def _check_room(part: str, number: int) -> None:
    free = shutil.disk_usage(os.path.dirname(part)).free
    if number > free:
        raise OSError(
            errno.ENOSPC,
            f"No space left on device: {number} bytes are to come, {free} are free",
            part,
        )
