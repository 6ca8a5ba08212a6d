"""`deployment` of research/slim: clones of a model on several devices."""
