"""The command line: words in, words out, and the only place where the parts are wired together."""
