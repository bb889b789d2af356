"""How two networks play: objectives, penalties, randomness, one step, the loop, and what survives a crash."""
