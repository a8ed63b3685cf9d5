"""Commands that produce every figure in the documentation."""
