"""Times ways to do the same thing side by side, and says what may be concluded from it.

Each way ("arm") runs in a process of its own, of which one works at a time. A round asks all arms in order
and then in reverse, so that a machine that becomes steadily slower favours none. One more arm is ours a
second time: where the two differ, the machine was not quiet and the run is void. What the arms computed is
compared before anything is timed.

The files here that a peer's process imports (``rows``, ``worker``, ``answers``) need the standard library and
numpy alone, because peers have an environment of their own.
"""
