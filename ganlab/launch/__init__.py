"""Many runs: each in its own process, with its share of the machine. No TensorFlow."""
