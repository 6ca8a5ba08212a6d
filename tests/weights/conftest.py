"""Public weights of tests come from loopback; nothing else is asked."""

import http.server
import threading

import pytest

from slimnets.weights import cache, fetching, table
from tests.weights.loopback import CONTENT, HOST, SHA256, Handler


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server that is the mirror of all addresses; its waits take no time."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.content, made.etag, made.manners, made.requests = CONTENT, '"1"', [], []
    made.go_on = threading.Event()
    threading.Thread(target=made.serve_forever, args=[0.02], daemon=True).start()
    monkeypatch.setenv(cache.MIRROR, f"http://127.0.0.1:{made.server_port}")
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(cache.OFFLINE, raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetching, "SECONDS_BETWEEN", (0, 0))
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def publish(monkeypatch):
    """Puts a row into the table in the place of all others."""

    def put(checksum=f"sha256:{SHA256}", mebibytes=None):
        row = table.PublicWeights(
            source="timm",
            network="resnet18",
            tag="test",
            address=f"https://{HOST}/folder/model.safetensors",
            mebibytes=mebibytes,
            checksum=checksum,
            classes=1000,
            labels_offset=0,
            preprocessing="timm",
            image_size=224,
            crop_fraction=0.9,
            top1=70.0,
            top5=90.0,
            licence="mit",
        )
        monkeypatch.setattr(table, "table", lambda: (row,))
        return row

    return put
