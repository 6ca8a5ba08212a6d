"""`flowers` of research/slim's datasets."""

from slimnets.slim.research.datasets import record_datasets

get_split = record_datasets.flowers.get_split
