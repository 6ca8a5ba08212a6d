"""Prints the addresses on which TensorFlow's worker of one process listens.

    python -m tests.reliability.listening

Source: proc(5), /proc/net/tcp.
"""

import ipaddress
import json
import os
import pathlib
import socket

_LISTENS = "0A"


def listening() -> set[str]:
    """Addresses on which this process accepts connections."""
    sockets = set()
    for file in pathlib.Path("/proc/self/fd").iterdir():
        if file.is_symlink():
            sockets.add(os.readlink(file))
    found = set()
    for name in ("tcp", "tcp6"):
        table = pathlib.Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]
        for row in map(str.split, table):
            if row[3] == _LISTENS and f"socket:[{row[9]}]" in sockets:
                number = bytes.fromhex(row[1].partition(":")[0])
                words = [number[i : i + 4][::-1] for i in range(0, len(number), 4)]
                found.add(str(ipaddress.ip_address(b"".join(words))))
    return found


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    task = {"type": "worker", "index": 0}
    cluster = {"worker": [f"127.0.0.1:{port}"]}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    import tensorflow as tf

    before = listening()
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    print(f"{type(strategy).__name__}: {sorted(listening() - before)}")


if __name__ == "__main__":
    main()
