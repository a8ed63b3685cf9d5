"""What is measured: retrieval of one set of queries, and what a stream of tasks gains and forgets."""
