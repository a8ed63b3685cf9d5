"""Where images come from: task folders, splits of one folder into tasks, and the embedded glyph stream.

The package turns files on disk into the records and pixel squares of ``continual_dml.records``. What it
reads is untrusted: links are not followed, sizes are bounded before anything is decoded, and one bad file
never stops a task. It knows nothing of databases, models or terminals; only the bridge to Avalanche and
``tensor_pixels`` import torch.
"""
