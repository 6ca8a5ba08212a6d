"""What stands on a backbone: detection, segmentation, and embeddings of images."""
