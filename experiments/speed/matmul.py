"""How fast TensorFlow multiplies two square matrices here, with the threads and the oneDNN that ganlab starts it with.

    python experiments/speed/matmul.py --precision bfloat16

The last line of the output is JSON.
"""

import argparse
import json
import time

from ganlab import device

WARM = 2


def gflop_per_second(size: int, precision: str, repeats: int) -> list[float]:
    """The rate of each repeat."""
    import tensorflow as tf

    one, other = (tf.cast(tf.random.stateless_normal((size, size), (0, place)), precision) for place in (0, 1))
    multiply = tf.function(tf.matmul)
    rates = []
    for _ in range(WARM + repeats):
        start = time.perf_counter()
        multiply(one, other)
        tf.test.experimental.sync_devices()
        rates.append(2 * size**3 / (time.perf_counter() - start) / 1e9)
    return rates[WARM:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--size", type=int, default=4096, help="rows and columns (default: %(default)s)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all cores")
    parser.add_argument("--repeats", type=int, default=5, help="default: %(default)s")
    chosen = parser.parse_args()
    device.start("float32", threads=chosen.threads)
    rates = gflop_per_second(chosen.size, chosen.precision, chosen.repeats)
    print(json.dumps({"size": chosen.size, "precision": chosen.precision, "gflop_per_second": rates}))


if __name__ == "__main__":
    main()
