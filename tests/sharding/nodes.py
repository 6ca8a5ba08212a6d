"""A Ray cluster of three nodes on this machine, each with processes of its own."""

import os
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
_OPTIONS = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


class Cluster:
    """A context; workers have the environment that this process has in it.

    Attributes:
        address: as --engine_address takes it.
    """

    def __enter__(self):
        from ray.cluster_utils import Cluster as Nodes

        os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path[1:]])
        head = {**_OPTIONS, "include_dashboard": False}
        self.nodes = Nodes(initialize_head=True, head_node_args=head)
        self.address = self.nodes.address
        for _ in range(2):
            self.add_node()
        return self

    def __exit__(self, *_):
        self.nodes.shutdown()

    def add_node(self):
        self.nodes.add_node(**_OPTIONS)


def kill_node(cluster):
    """Ends all processes of a node at once, as a power cut does."""
    node = min(cluster.nodes.worker_nodes, key=id)
    raylet = node.all_processes["raylet"][0].process.pid
    for pid in [raylet, *_children_of(raylet)]:
        os.kill(pid, signal.SIGKILL)
    cluster.nodes.worker_nodes.remove(node)
    node.kill_all_processes(check_alive=False, allow_graceful=False)


def _children_of(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    children = list(map(int, found.stdout.split()))
    return [*children, *(other for child in children for other in _children_of(child))]
