"""A server on loopback, which serves one file in all manners of servers."""

import contextlib
import hashlib
import http.server

import numpy as np

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
HOST = "weights.example"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file under the path of its address, as `server.manners` say."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append(dict(self.headers) | {"path": self.path})
        manner = server.manners.pop(0) if server.manners else "whole"
        getattr(self, f"do_{manner}")()

    def do_whole(self, cut=None, headers=(), ranges=True):
        content, start = self.server.content, 0
        wanted = self.headers.get("Range")
        same = self.headers.get("If-Range") == self.server.etag
        if ranges and wanted and same:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.do_status(416)
                return
            self.send_response(206)
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content[start:cut])
        if cut:
            self.close_connection = True

    def do_cut(self):
        self.do_whole(cut=1_000_000)

    def do_no_ranges(self):
        self.do_whole(ranges=False)

    def do_linked(self):
        digest = hashlib.sha256(self.server.content).hexdigest()
        self.do_redirect("/blob", [("X-Linked-Etag", f'"{digest}"')])

    def do_wrongly_linked(self):
        self.do_redirect("/blob", [("X-Linked-Etag", f'"{"0" * 64}"')])

    def do_loop(self):
        self.server.manners.insert(0, "loop")
        self.do_redirect(self.path)

    def do_to_https(self):
        self.do_redirect(f"https://{HOST}/file")

    def do_to_file(self):
        self.do_redirect("file:///etc/hostname")

    def do_redirect(self, location, headers=()):
        self.send_response(302)
        for name, value in (("Location", location), ("Content-Length", "0"), *headers):
            self.send_header(name, value)
        self.end_headers()

    def do_status(self, code):
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_404(self):
        self.do_status(404)

    def do_503(self):
        self.do_status(503)

    def do_416(self):
        self.do_status(416)

    def do_slow(self):
        self.server.go_on.wait(20)
        self.do_whole()
