"""Evaluation by the workers of a cluster: what they count of shards, added up.

Counts are exact in any order, and so are the sums of confidences up to about a million
images, whose digits all find room in a float64.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slimnets.data.corruptions import STRENGTHS, Corruption
from slimnets.sharding import ManifestOptions, cut, in_order
from slimnets.trained import Trained
from slimnets.training.evaluation import Evaluation, evaluator_of
from slimnets.training.measures import Sums


def evaluate_shards(
    trained: Trained,
    options: ManifestOptions,
    *,
    manifest: str = "evaluate.manifest",
    corruptions: Sequence[str] = (),
    **settings: Any,
) -> Evaluation:
    """As `evaluate_trained`, by an engine.

    Args:
        trained: what `open_trained` gave.
        options: who works.
        manifest: where finished shards are noted, if the options do not say.
        corruptions: as of `evaluate_trained`.
        **settings: see `evaluator_of`.

    Raises:
        FileNotFoundError, ValueError: as `evaluate_trained`.
        ShardsFailed, ImportError, ConnectionError: as `sharding.finished`.
    """
    started = time.monotonic()
    limit = settings.get("max_bad_records", 0)
    evaluator, scope = evaluator_of(trained, **settings)
    kinds = [(), *((name, s) for name in corruptions for s in STRENGTHS)]
    numbers, batch_size = range(evaluator.number), evaluator.batch_size
    shards = [
        dataclasses.replace(part, items=(kind, part.items))
        for kind in kinds
        for part in cut(numbers, options.shard_size, batch_size=batch_size)
    ]
    results = in_order(
        "evaluate",
        shards,
        functools.partial(_Work, trained.opening, settings),
        options,
        {
            "weights_sha256": trained.digest,
            "images": evaluator.number,
            "corruptions": list(corruptions),
            **settings,
            "max_bad_records": None,  # It may be raised, and the run goes on.
        },
        manifest,
        limit,
    )
    sums: dict[tuple, Sums] = {kind: Sums() for kind in kinds}
    for shard, result in zip(shards, results, strict=True):
        sums[shard.items[0]].add(Sums(**result["sums"]))
    seconds = time.monotonic() - started
    measured = {kind: evaluator.evaluation(sums[kind], seconds) for kind in kinds}
    return dataclasses.replace(
        measured[()],
        scope=scope,
        corrupted={
            name: [measured[name, strength].accuracy for strength in STRENGTHS]
            for name in corruptions
        },
    )


class _Work:
    """Counts shards: of images as they are, or as something has made them."""

    def __init__(self, opening: Callable[[], Trained], settings: Mapping[str, Any]):
        # How many may be bad is for who has all shards to say.
        every = {**settings, "max_bad_records": sys.maxsize}
        self._evaluator, _ = evaluator_of(opening(), **every)

    def __call__(self, items: tuple[tuple, range]) -> dict[str, Any]:
        kind, indices = items
        sums = self._evaluator.sums(Corruption(*kind) if kind else None, indices)
        # Every kind meets the same bad images.
        bad = [] if kind else [f"{name}: {why}" for name, why in sums.bad.items()]
        return {"sums": dataclasses.asdict(sums), "bad": bad}
