"""Many runs: each in a process of its own, with its share of the machine. No TensorFlow."""
