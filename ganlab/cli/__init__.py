"""How a command line becomes settings, what help says, and how every command ends. Hydra is used here alone."""
