"""Learning one task after another: the objective, the loop, the methods, and the learner's memory."""
