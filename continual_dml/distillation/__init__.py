"""Terms that hold one network's embeddings to another's: by their relations, or point by point."""
