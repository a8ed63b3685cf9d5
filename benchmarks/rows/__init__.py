"""The rows of the table against the peers: one file for each, which makes the work of every arm.

A file is imported by the peers' processes too, whose environment has none of what our packages need: it
imports them, and the peers', in the functions that make an arm's work.
"""
