"""Learn image embeddings one task at a time, remember classes by statistics, and measure retrieval honestly.

This package is the learner core. It knows nothing of folders, databases or terminals: the adapters in
``streams`` and ``storage`` and the command line in ``cli`` are built on top of it. Importing it is cheap;
torch is only imported by the modules that compute with it.
"""

__version__ = "0.1.0"
