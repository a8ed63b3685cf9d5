"""Corpora of hostile input, drawn anew for each run from fixed seeds."""
