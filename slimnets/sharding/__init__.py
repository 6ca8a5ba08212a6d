"""Work on more items than one process should do: in shards, by one engine or another.

A command that works on many items says three things: what its shards are (`Shard`, of a
number of items), what a worker does with one (a function of the shard, which gives a
small result that JSON or an array can hold), and how results are joined. `finished`
has the shards worked on, in this process or by the workers of a Ray cluster, and
`Manifest` keeps the results until all are there, so that a run that was stopped goes
on where it was.

What holds for every command follows from that alone. A shard's batches are of its own
items, so one machine computes what a cluster does. A shard that was lost with its
worker is worked on again, and of each one result is taken. What a worker writes gets
its name when it is whole, and is a function of the shard: to write it again is to
write the same.
"""

from slimnets.sharding.engines import finished
from slimnets.sharding.manifest import Manifest, check_same, in_order
from slimnets.sharding.options import ONE, RAY, EngineOptions, ManifestOptions
from slimnets.sharding.shards import Shard, ShardsFailed, cut

__all__ = [
    "ONE",
    "RAY",
    "EngineOptions",
    "Manifest",
    "ManifestOptions",
    "Shard",
    "ShardsFailed",
    "check_same",
    "cut",
    "finished",
    "in_order",
]
