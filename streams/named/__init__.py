"""Streams by name: the data sets and protocols of the field, read from folders that are on disk already.

``catalogue`` names them and opens them; each data set has a file of its own that knows its layout. Nothing is
downloaded. ``validation`` makes a stream for tuning out of the training images of another.
"""
