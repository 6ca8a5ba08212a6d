"""Public weights by name: what there is, and fetching it.

    for row in slimnets.weights.list_weights("resnet50"):
        print(row)
    model = slimnets.Model("resnet50", weights="timm")
    trained = slimnets.open_trained("timm/resnet50")

The table says of each file whose it is, which network it is loaded into, and what its
source publishes of it. Nothing is fetched but what is asked for by its name, and that
once: see `cache` for where it lies and for the environment's settings.
"""

from slimnets.weights.cache import cache_directory, cached_path, fetch_weights, located
from slimnets.weights.table import PublicWeights, find_weights, list_weights

__all__ = [
    "PublicWeights",
    "cache_directory",
    "cached_path",
    "fetch_weights",
    "find_weights",
    "list_weights",
    "located",
]
