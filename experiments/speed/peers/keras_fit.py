"""DCGAN-32 in stock Keras, as Keras' guides train a GAN: a Model with its own train_step, and Model.fit. No ganlab.

    python peers/keras_fit.py                 as it comes: TensorFlow decides whether oneDNN is on
    python peers/keras_fit.py --onednn        with TF_ENABLE_ONEDNN_OPTS=1, as ganlab sets it

The layers are Keras' own, the images come from tf.data (shuffle, batch, prefetch), losses go into keras.metrics.Mean,
and whatever can be left at its default is, `jit_compile="auto"` too. As in the guides, each update draws fresh
latents; with --share one batch of fakes serves both, as in ganlab's dcgan_32. The last line of the output is JSON.
"""

import argparse
import itertools
import json
import os
import time

LATENTS, BATCH = 100, 64
WARM = 10  # batches before the clock starts; the first of them traces


def networks(upsampling: str):
    """Latents [B,100] -> images [B,32,32,1] in [-1, 1], and images -> scores [B,1]."""
    import keras
    from keras import layers

    def normal(name: str):
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)

    generator = keras.Sequential(name="generator")
    generator.add(keras.Input((LATENTS,)))
    generator.add(layers.Dense(4 * 4 * 256, use_bias=False))
    generator.add(layers.Reshape((4, 4, 256)))
    for number, filters in enumerate((128, 64, 1)):
        generator.add(normal(f"norm{number}"))
        generator.add(layers.ReLU())
        bias = filters == 1
        if upsampling == "transpose":
            generator.add(layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=bias))
        else:
            generator.add(layers.UpSampling2D(2))
            generator.add(layers.Conv2D(filters, 3, padding="same", use_bias=bias))
    generator.add(layers.Activation("tanh"))

    discriminator = keras.Sequential(name="discriminator")
    discriminator.add(keras.Input((32, 32, 1)))
    for number, filters in enumerate((64, 128, 256)):
        discriminator.add(layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=number == 0))
        if number:
            discriminator.add(normal(f"norm{number}"))
        discriminator.add(layers.LeakyReLU(0.2))
    discriminator.add(layers.Flatten())
    discriminator.add(layers.Dense(1))
    return generator, discriminator


def make_gan(upsampling: str, share: bool):
    """A compiled keras.Model whose train_step is one update of each network."""
    import keras
    import tensorflow as tf

    class Gan(keras.Model):
        def __init__(self, generator, discriminator):
            super().__init__()
            self.generator, self.discriminator = generator, discriminator
            self.d_mean = keras.metrics.Mean(name="d_loss")
            self.g_mean = keras.metrics.Mean(name="g_loss")

        @property
        def metrics(self):
            return [self.d_mean, self.g_mean]

        def compile(self, d_optimizer, g_optimizer):
            super().compile()
            self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer

        def sample(self, count):
            return self.generator(tf.random.normal((count, LATENTS)), training=True)

        def judge(self, images):
            return self.discriminator(images, training=True)

        def train_step(self, real):
            count = tf.shape(real)[0]
            with tf.GradientTape() as making:
                fake = self.sample(count) if share else None
            shown = self.sample(count) if fake is None else fake
            with tf.GradientTape() as tape:
                ours, theirs = self.judge(real), self.judge(tf.stop_gradient(shown))
                d_loss = tf.reduce_mean(tf.nn.softplus(-ours)) + tf.reduce_mean(tf.nn.softplus(theirs))
            weights = self.discriminator.trainable_weights
            self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))

            weights = self.generator.trainable_weights
            with tf.GradientTape() as tape:
                if fake is None:
                    judged = self.sample(count)
                else:
                    judged = fake
                    tape.watch(judged)
                g_loss = tf.reduce_mean(tf.nn.softplus(-self.judge(judged)))
            if fake is None:
                slopes = tape.gradient(g_loss, weights)
            else:  # back through the forward pass that was made before
                slopes = making.gradient(fake, weights, output_gradients=tape.gradient(g_loss, fake))
            self.g_optimizer.apply_gradients(zip(slopes, weights, strict=True))
            self.d_mean.update_state(d_loss)
            self.g_mean.update_state(g_loss)
            return {"d_loss": self.d_mean.result(), "g_loss": self.g_mean.result()}

    gan = Gan(*networks(upsampling))
    gan.compile(*(keras.optimizers.Adam(2e-4, beta_1=0.5, beta_2=0.999) for _ in range(2)))
    return gan


def images_per_second(gan, steps: int, repeats: int) -> list[float]:
    """The rate over each span of `steps` batches, all within one epoch, so that no end of an epoch is timed."""
    import keras
    import numpy as np
    import tensorflow as tf

    marks: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch + 1 >= WARM and (batch + 1 - WARM) % steps == 0:
                marks.append(time.perf_counter())

    count = (WARM + steps * repeats) * BATCH
    images = np.random.default_rng(0).uniform(-1, 1, (count, 32, 32, 1)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices(images).shuffle(1024).batch(BATCH).prefetch(tf.data.AUTOTUNE)
    gan.fit(data, callbacks=[Clock()])
    return [steps * BATCH / (after - before) for before, after in itertools.pairwise(marks)]


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--upsampling", choices=("transpose", "upsample"), default="transpose")
    parser.add_argument("--onednn", action="store_true", help="set TF_ENABLE_ONEDNN_OPTS=1; otherwise it is not set")
    parser.add_argument("--share", action="store_true", help="one batch of fakes for both updates")
    parser.add_argument("--steps", type=int, default=20, help="steps of one repeat (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="default: %(default)s")
    chosen = parser.parse_args()
    os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
    if chosen.onednn:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    gan = make_gan(chosen.upsampling, chosen.share)
    facts = {
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "upsampling": chosen.upsampling,
        "onednn": chosen.onednn,
        "share": chosen.share,
        "jit_compile": gan.jit_compile,
        "images_per_second": images_per_second(gan, chosen.steps, chosen.repeats),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
