"""Helpers for tests of adapters: contract suites that every implementation of a port must pass."""
