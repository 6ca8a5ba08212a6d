"""Shards among workers that fail and are lost, on a cluster that is only played.

What Ray itself does is in test_ray.py, which needs it.
"""

import collections
import types

import pytest

from slimnets.sharding import ShardsFailed, cut
from slimnets.sharding.ray_workers import _Pool

SHARDS = cut(range(40), 4)


class RayError(Exception):
    actor_init_failed = False


class RayTaskError(RayError):
    def __init__(self, cause):
        self.cause = cause


class PlayedRay:
    """Nodes by name, with their processors; `happens` may end them at each shard."""

    exceptions = types.SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
    util = types.SimpleNamespace(
        scheduling_strategies=types.SimpleNamespace(
            NodeAffinitySchedulingStrategy=lambda node, soft: node
        )
    )

    def __init__(self, nodes, happens=lambda ray, node, items: None):
        self.alive, self._happens = dict(nodes), happens
        self.opened = collections.Counter()
        self.done = collections.Counter()

    def nodes(self):
        return [
            {"NodeID": name, "NodeManagerHostname": name, "Alive": True,
             "Resources": {"CPU": cpus}}
            for name, cpus in self.alive.items()
        ]  # fmt: skip

    def remote(self, cls):
        return types.SimpleNamespace(options=self._options)

    def _options(self, *, scheduling_strategy, **_):
        node = scheduling_strategy
        self.opened[node] += 1

        def asked(work):
            return types.SimpleNamespace(remote=lambda *a: (object(), node, work, a))

        actor = types.SimpleNamespace(begun=asked(None), do=asked(sum))
        return types.SimpleNamespace(remote=lambda *_: actor)

    def wait(self, references, num_returns, timeout):
        return references[-1:], references[:-1]

    def get(self, reference):
        _, node, work, given = reference
        if work is not None:
            self._happens(self, node, *given)
        if node not in self.alive:
            raise RayError("the node is gone")
        if work is None:
            return None
        self.done[given[0]] += 1
        return work(*given)


def pool_of(ray, said, cpus=2, at_a_time=1):
    begin = (None, "", [])
    numbers = range(len(SHARDS))
    return _Pool(ray, SHARDS, numbers, begin, said.append, cpus, at_a_time)


def results_of(ray, said=None, **given):
    return list(pool_of(ray, [] if said is None else said, **given).results())


def check_whole(results):
    """Each shard once, with what it comes to."""
    assert sorted(results) == [(n, sum(s.items)) for n, s in enumerate(SHARDS)]


@pytest.mark.parametrize("at_a_time", [1, 2, None])
def test_workers_begin_once_and_share_all(at_a_time):
    ray = PlayedRay({"a": 2, "b": 1, "head": 0})
    check_whole(results_of(ray, at_a_time=at_a_time))
    assert ray.opened == {"a": 1, "b": 1}
    assert set(ray.done.values()) == {1}


@pytest.mark.parametrize(("cpus", "workers"), [(1, 7), (2, 3), (4, 1), (9, 1)])
def test_a_machine_has_as_many_workers_as_fit(cpus, workers):
    ray = PlayedRay({"a": 7})
    check_whole(results_of(ray, cpus=cpus))
    assert ray.opened == {"a": workers}


@pytest.mark.parametrize("shard", [0, 5, len(SHARDS) - 1])
@pytest.mark.parametrize("at_a_time", [1, None])
def test_what_a_lost_node_had_is_done_by_the_others(shard, at_a_time):
    def happens(ray, node, items):
        if items == SHARDS[shard].items and len(ray.alive) > 1:
            ray.alive.pop(node, None)

    said = []
    ray = PlayedRay({"a": 2, "b": 2}, happens)
    check_whole(results_of(ray, said, at_a_time=at_a_time))
    assert set(ray.done.values()) == {1}
    assert [line for line in said if "is lost, what it had is done again" in line]


def test_a_late_result_of_a_lost_worker_gives_the_next_one_no_more_work():
    lost, at_once = [], []

    def happens(ray, node, items):
        if items == SHARDS[1].items and not lost:
            lost.append(node)
            raise RayError("the worker is gone")

    class Late(PlayedRay):
        def wait(self, references, num_returns, timeout):
            shards = [reference for reference in references if reference[2]]
            late = [r for r in shards if r[3] == (SHARDS[0].items,)]
            if lost and not late:
                at_once.append(len(shards))
            return late if lost and len(shards) == 3 and late else references[-1:], []

    check_whole(results_of(Late({"a": 2}, happens), at_a_time=2))
    assert max(at_once) == 2


def test_a_node_that_comes_later_works_too():
    def happens(ray, node, items):
        ray.alive.setdefault("later", 1)

    ray = PlayedRay({"a": 1}, happens)
    check_whole(results_of(ray))
    assert ray.opened == {"a": 1, "later": 1}


def test_a_shard_that_fails_is_tried_again_and_then_named():
    tries = collections.Counter()

    def happens(ray, node, items):
        if items in (SHARDS[3].items, SHARDS[6].items):
            tries[items[0]] += 1
            if items == SHARDS[6].items or tries[items[0]] < 3:
                raise RayTaskError(OSError("no such bucket"))

    said, found = [], []
    pool = pool_of(PlayedRay({"a": 1, "b": 1}, happens), said)
    with pytest.raises(ShardsFailed, match=r"1 of 10 shards failed 3 times.*24 to 27"):
        found.extend(pool.results())
    assert sorted(number for number, _ in found) == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert tries == {12: 3, 24: 3}
    assert [line.split("  ")[0] for line in said] == ["failed: images 24 to 27"]
    assert "no such bucket" in said[0]
