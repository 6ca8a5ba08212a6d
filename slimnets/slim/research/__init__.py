"""preprocessing, datasets and deployment, for programs that import research/slim's."""
