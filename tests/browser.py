"""A headless Chromium that a test steers, by the DevTools protocol on loopback."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_QUIET = ("sync", "background-networking", "component-update", "quic", "gpu")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(address):
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read()


def wait_for(condition, what, seconds=120):
    """Returns the condition's first value that is true."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if found := condition():
                return found
        assert time.monotonic() < end, f"{what} did not come in {seconds} s"
        time.sleep(0.5)


class Page:
    """The one page of a browser; what it says by itself is in `events`."""

    def __init__(self, socket):
        self.socket = socket
        self.count = 0
        self.events = []

    def call(self, method, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.count:
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, expression):
        """Returns the value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def screenshot(self):
        """Returns a PNG file's content."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])


@contextlib.contextmanager
def browser(profile, address, size=(1400, 1000)):
    """Gives the page at an address; needs the package websocket-client."""
    import websocket

    port = free_port()
    command = [CHROMIUM, "--headless", "--no-sandbox", "--no-first-run"]
    command += [f"--disable-{name}" for name in _QUIET]
    command += [f"--user-data-dir={profile}", "--window-size={},{}".format(*size)]
    command += [f"--remote-debugging-port={port}", "--remote-allow-origins=*", address]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            pages = wait_for(
                lambda: [
                    page
                    for page in json.loads(fetch(f"http://127.0.0.1:{port}/json"))
                    if page["type"] == "page"
                ],
                "the browser",
            )
            found = websocket.create_connection(
                pages[0]["webSocketDebuggerUrl"], timeout=60
            )
            with contextlib.closing(found):
                yield Page(found)
        finally:
            process.terminate()
