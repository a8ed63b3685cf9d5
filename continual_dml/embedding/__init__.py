"""From pixels to features to unit vectors: backbones, their weights, the embedder and feature extraction."""
