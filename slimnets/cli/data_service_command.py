"""Makes batches for training on other machines: the two parts of a tf.data service.

    slimnets data-service dispatcher --port=5050 --work_dir=DIRECTORY
    slimnets data-service worker --dispatcher=HOST:5050
    slimnets train --data_service=grpc://HOST:5050 ...

One dispatcher tells workers, as many as there are, which steps' batches to make of what
a run asks for; they read the dataset at the same path as the run. Workers may come and
go. What the dispatcher knows it keeps in --work_dir: one that is started again there
goes on where it was.
"""

import signal
import socket
import sys
import threading
from collections.abc import Sequence

from absl import flags

from slimnets.cli.command import Flag, UsageError, refuse, require
from slimnets.quiet import quiet_tensorflow

ARGUMENTS = ("PART",)
# Part -> its flags, the needed one first, and what they are.
_PARTS = {
    "dispatcher": {"work_dir": "Directory of what it knows."},
    "worker": {
        "dispatcher": "host:port where that listens.",
        "worker_address": "host:port, or host, by which runs reach it; by default this "
        "machine's name, or localhost if the dispatcher is there.",
    },
}
_HERE = ("localhost", "127.0.0.1")

FLAGS = (
    *(
        Flag("string", name, None, f"Of a {part}: {text}")
        for part, texts in _PARTS.items()
        for name, text in texts.items()
    ),
    Flag("integer", "port", 0, "Where it listens; a free one by default, which is "
         "printed.", lower_bound=0, upper_bound=65535),
)  # fmt: skip


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    part = arguments[0] if arguments else ""
    if part not in _PARTS:
        raise UsageError(
            f"data-service {part}: give {' or '.join(_PARTS)} (slimnets data-service "
            "--help)"
        )
    for other in _PARTS.keys() - {part}:
        refuse(flag_values, _PARTS[other], f"for a {part}")
    require(flag_values, f"data-service {part}", next(iter(_PARTS[part])))
    # Nobody but a signal ends it, which Python sees between two waits.
    ended = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: ended.set())
    with quiet_tensorflow(flag_values.debug):
        server, where = _START[part](flag_values)
    print(f"{part} listens at {where}", file=sys.stderr, flush=True)
    while not ended.wait(1.0):
        pass
    del server


def _start_dispatcher(flag_values: flags.FlagValues):
    import tensorflow as tf

    service = tf.data.experimental.service
    config = service.DispatcherConfig(
        port=flag_values.port,
        protocol="grpc",
        work_dir=flag_values.work_dir,
        fault_tolerant_mode=True,
    )
    server = service.DispatchServer(config)
    return server, server.target


def _start_worker(flag_values: flags.FlagValues):
    import tensorflow as tf

    service = tf.data.experimental.service
    dispatcher = flag_values.dispatcher.removeprefix("grpc://")
    here = dispatcher.rpartition(":")[0] in _HERE
    address = flag_values.worker_address or (_HERE[0] if here else socket.gethostname())
    if ":" not in address:
        address += ":%port%"
    config = service.WorkerConfig(
        dispatcher, address, port=flag_values.port, protocol="grpc"
    )
    return service.WorkerServer(config), f"{address}, for {dispatcher}"


_START = {"dispatcher": _start_dispatcher, "worker": _start_worker}
