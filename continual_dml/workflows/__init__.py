"""Use cases over ports, one verb per file. They know no folder layout, no database and no terminal."""
