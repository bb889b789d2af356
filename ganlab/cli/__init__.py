"""How a command line becomes settings, what --help prints, and how every command ends. Only this folder uses Hydra."""
