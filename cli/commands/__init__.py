"""One command per file. Heavy packages are imported inside the functions, so that help stays instant."""
