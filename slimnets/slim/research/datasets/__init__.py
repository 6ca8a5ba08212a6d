"""`datasets` of research/slim: its record files as `slim.dataset.Dataset`."""
