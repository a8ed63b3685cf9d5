"""How results look: tables and pictures for people, one JSON document for programs, progress on stderr."""
