"""Where rows, vectors and models rest: one workspace, published generation by generation, all or nothing.

``durable`` writes every file, ``catalog`` holds the SQL tables, ``index`` the search indexes. ``store`` is
the one writer, ``reader`` what searches use, ``summary`` what the command line tells without heavy imports.
"""
