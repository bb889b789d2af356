"""The networks: the upsampling operators under study, a generator that takes any of them, discriminators."""
