"""How many cores this process may use. Only here is asked what not every system can answer. No TensorFlow."""

import os


def usable_cores() -> int:
    """Cores that the system lets this process run on, at least 1; all of them where it does not say (macOS)."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
