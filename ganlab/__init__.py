"""ganlab: a config-driven lab that settles which upsampling operator makes the better GAN generator."""

__version__ = "0.1.0"
