"""How two networks are trained: objectives, penalties, randomness, one step, the loop, and checkpoints."""
