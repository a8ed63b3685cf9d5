"""Which of the stored arrays of class statistics belong to single classes. Imports nothing.

Arrays that are not named here belong to all classes together. Who only wants to know what is kept, and how
large it is, reads the file's header and a few columns, without the packages that compute.
"""

PER_CLASS = (
    "class_ids",
    "counts",
    "tasks",
    "measured",
    "moves",
    "means",
    "output_means",
    "birth_outputs",
    "factor_ranks",
    "factor_rests",
)
"""One row for each class."""

PER_DIRECTION = ("factor_directions", "factor_lengths")
"""One row for each direction of a class's own covariance; ``factor_ranks`` says how many are whose."""
