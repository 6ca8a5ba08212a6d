"""`preprocessing` of research/slim: images made ready in graph code."""
