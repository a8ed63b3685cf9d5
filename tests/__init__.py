"""Tests, and the programs that the long ones are run with."""
