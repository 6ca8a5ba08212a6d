"""Public weights from a server on loopback that does all that servers do."""

import contextlib
import errno
import json
import os
import subprocess
import sys

import pytest

from slimnets import weights
from slimnets.weights import cache, fetching, table
from tests.weights.loopback import CONTENT, HOST, MD5, SHA256


def fetched():
    path = weights.fetch_weights("timm/resnet18")
    with open(path, "rb") as file:
        assert file.read() == CONTENT
    return path


@pytest.mark.parametrize("digits", [64, 8])
def test_comes_once_with_what_is_known_of_it(server, publish, digits):
    row = publish(f"sha256:{SHA256[:digits]}")
    path = fetched()
    assert path == weights.cached_path(row) == fetched()
    assert [r["path"] for r in server.requests] == [f"/{HOST}/folder/model.safetensors"]
    with open(f"{path}.json") as file:
        assert json.load(file) == row.metadata
    left = {name for name in os.listdir(os.path.dirname(path))}
    assert left == {os.path.basename(path) + e for e in ("", ".json", ".lock")}


@pytest.mark.parametrize("checksum", [f"md5:{MD5}", "etag"])
def test_other_checksums(server, publish, checksum, caplog):
    publish(checksum)
    server.manners = ["linked"]
    fetched()
    assert not caplog.records


@pytest.mark.parametrize("checksum", ["", "etag"])
def test_says_what_it_could_not_check(server, publish, checksum, caplog):
    publish(checksum)
    fetched()
    assert "model.safetensors could not be checked" in caplog.text


@pytest.mark.parametrize(
    "checksum, manners",
    [(f"sha256:{'0' * 64}", []), (f"md5:{'0' * 32}", []), ("sha256:00000000", []),
     ("etag", ["wrongly_linked"])],
    ids=["sha256", "md5", "prefix", "etag"],
)  # fmt: skip
def test_another_file_is_refused_and_leaves_nothing(server, publish, checksum, manners):
    row = publish(checksum)
    server.manners = manners
    with pytest.raises(ValueError, match=r"is not what timm/resnet18\.test should"):
        weights.fetch_weights("timm/resnet18")
    assert os.listdir(os.path.dirname(weights.cached_path(row))) == [
        "model.safetensors.lock"
    ]


def test_goes_on_where_a_connection_was_cut(server, publish, caplog):
    publish()
    server.manners = ["cut", "503", "whole"]
    fetched()
    assert "cut after 1000000 of 3000000 bytes; another try" in caplog.text
    assert "the server says 503" in caplog.text
    ranges = [request.get("Range") for request in server.requests]
    assert ranges == [None, "bytes=1000000-", "bytes=1000000-"]


def test_a_later_call_goes_on_where_one_gave_up(server, publish):
    publish()
    server.manners = ["cut", "503", "503"]
    with pytest.raises(ConnectionError, match=r"503 .* goes on where this one ended"):
        weights.fetch_weights("timm/resnet18")
    fetched()
    assert server.requests[-1]["Range"] == "bytes=1000000-"


@pytest.mark.parametrize("case", ["other_version", "no_ranges", "no_validator", "416"])
def test_a_part_that_fits_nothing_is_begun_anew(server, publish, case):
    row = publish()
    part = f"{weights.cached_path(row)}.part"
    os.makedirs(os.path.dirname(part))
    with open(part, "wb") as file:
        file.write(b"x" * 1_000)
    with open(part + ".validator", "w") as file:
        file.write('"0"' if case == "other_version" else '"1"')
    server.manners = [case] if case in ("no_ranges", "416") else []
    if case == "no_validator":
        os.remove(part + ".validator")
    fetched()


def test_a_server_without_validators_is_read_from_the_beginning(server, publish):
    publish()
    server.etag = None
    server.manners = ["cut"]
    fetched()
    assert [request.get("Range") for request in server.requests] == [None, None]


def test_no_such_file(server, publish):
    row = publish()
    server.manners = ["404"]
    with pytest.raises(FileNotFoundError, match="the server says 404"):
        weights.fetch_weights("timm/resnet18")
    assert not os.path.exists(weights.cached_path(row))


@pytest.mark.parametrize("manner", ["to_https", "to_file", "loop"])
def test_redirects_that_are_not_followed(server, publish, manner):
    publish()
    server.manners = [manner]
    with pytest.raises(ValueError, match=r"another scheme|not allowed|infinite loop"):
        weights.fetch_weights("timm/resnet18")


@pytest.mark.parametrize("mirror", ["file:///tmp", "ftp://127.0.0.1"])
def test_only_http(server, publish, monkeypatch, mirror):
    publish()
    monkeypatch.setenv(cache.MIRROR, mirror)
    with pytest.raises(ValueError, match="is no address of http or https"):
        weights.fetch_weights("timm/resnet18")


def test_a_file_above_the_limit(server, publish, monkeypatch):
    publish(mebibytes=0.1)
    with pytest.raises(ValueError, match="3000000 bytes or more, above the limit"):
        weights.fetch_weights("timm/resnet18")


def test_no_room_on_the_disk(server, publish, monkeypatch):
    publish()
    usage = fetching.shutil.disk_usage("/")._replace(free=1_000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="3000000 bytes are to come, 1000 are free"):
        weights.fetch_weights("timm/resnet18")


def test_a_disk_that_fills_keeps_what_came(server, publish, monkeypatch):
    publish()
    with monkeypatch.context() as patch:
        patch.setattr(fetching, "open", _filling, raising=False)
        with pytest.raises(OSError) as raised:
            weights.fetch_weights("timm/resnet18")
    assert raised.value.errno == errno.ENOSPC
    fetched()
    assert "Range" in server.requests[-1]


def _filling(path, mode="r", **options):
    file = open(path, mode, **options)  # noqa: SIM115 - the fetch closes it
    if "b" not in mode:
        return file
    write, done = file.write, []

    def failing(chunk):
        if done:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        done.append(write(chunk))

    return _Patched(file, failing)


class _Patched(contextlib.AbstractContextManager):
    def __init__(self, file, write):
        self._file, self.write, self.seek = file, write, file.seek

    def __exit__(self, *error):
        self._file.close()


def test_offline(server, publish, monkeypatch):
    row = publish()
    monkeypatch.setenv(cache.OFFLINE, "1")
    with pytest.raises(FileNotFoundError, match="SLIMNETS_OFFLINE is set: put the"):
        weights.fetch_weights("timm/resnet18")
    path = weights.cached_path(row)
    with open(path, "wb") as file:
        file.write(CONTENT)
    assert fetched() == path and os.path.exists(f"{path}.json")
    assert not server.requests


def test_a_file_put_there_by_hand_is_checked(server, publish):
    path = weights.cached_path(publish())
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as file:
        file.write(b"another")
    with pytest.raises(ValueError, match=r"is not what timm/resnet18\.test should"):
        weights.fetch_weights("timm/resnet18")


def test_two_processes_fetch_once(server, publish):
    row = publish()
    server.manners = ["slow"]
    code = (
        "import sys, json; from slimnets import weights; from slimnets.weights import "
        "table; rows = [table.PublicWeights(**json.loads(sys.argv[1]))]; "
        "table.table = lambda: rows; print(weights.fetch_weights('timm/resnet18'))"
    )
    fields = json.dumps({name: getattr(row, name) for name in table.COLUMNS})
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, fields],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    # One waits for the other, and only then the server answers that.
    for line in _first_lines(processes):
        assert "waits for another process" in line
        break
    server.go_on.set()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [out.strip() for out, _ in outputs] == [weights.cached_path(row)] * 2
    assert len(server.requests) == 1
    fetched()


def _first_lines(processes):
    """The lines of standard error, from whichever process writes first."""
    import selectors

    with selectors.DefaultSelector() as selector:
        for process in processes:
            selector.register(process.stderr, selectors.EVENT_READ)
        while ready := selector.select(timeout=60):
            for key, _ in ready:
                yield key.fileobj.readline()


def test_names_are_no_paths(server, publish, tmp_path, monkeypatch):
    publish()
    monkeypatch.chdir(tmp_path)
    for path in ("runs/resnet18", "timm", "timm/", "timm/a/b", "/timm/resnet18"):
        assert weights.located(path) == path
    os.makedirs("timm")
    open("timm/resnet18.index", "w").close()
    assert weights.located("timm/resnet18") == "timm/resnet18"
    assert not server.requests


def test_proxies_are_those_of_the_environment(server, publish, monkeypatch):
    publish()
    monkeypatch.setenv("http_proxy", os.environ[cache.MIRROR])
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv(cache.MIRROR, "http://mirror.example/files")
    fetched()
    path = f"http://mirror.example/files/{HOST}/folder/model.safetensors"
    assert server.requests[0]["path"] == path
