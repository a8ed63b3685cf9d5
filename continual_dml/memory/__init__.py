"""What is remembered instead of images: class statistics and drift maps, and what is computed from them."""
