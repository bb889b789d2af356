"""What a discriminator makes of its last maps before it scores them; statistics are float32 under every precision."""

from typing import Any

import keras

ops: Any = keras.ops  # what a type checker infers of it, over all backends, is wrong


@keras.saving.register_keras_serializable("ganlab")
class MinibatchStd(keras.Layer):
    """Join a channel that says how much `group` consecutive images differ: [B,H,W,C] -> [B,H,W,C+1].

    One number a group: the standard deviation over its images, mean over positions and channels. A generator that
    makes the same image again and again gives itself away. `group` divides B. Karras et al. 2018, arXiv:1710.10196.
    """

    def __init__(self, group: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.group = group

    def call(self, inputs: Any) -> Any:
        """Deviation, mean, and the same number at every place of its images."""
        height, width, channels = inputs.shape[1:]
        groups = ops.reshape(ops.cast(inputs, "float32"), (-1, self.group, height, width, channels))
        apart = groups - ops.mean(groups, axis=1, keepdims=True)
        deviation = ops.sqrt(ops.mean(ops.square(apart), axis=1, keepdims=True) + 1e-8)
        spread = ops.mean(deviation, axis=(2, 3, 4), keepdims=True)
        spread = ops.broadcast_to(spread, (*ops.shape(groups)[:4], 1))
        spread = ops.cast(ops.reshape(spread, (-1, height, width, 1)), inputs.dtype)
        return ops.concatenate([inputs, spread], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """One channel more."""
        return *input_shape[:-1], input_shape[-1] + 1

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {"group": self.group}


@keras.saving.register_keras_serializable("ganlab")
class PositionSum(keras.Layer):
    """The sum over positions: [B,H,W,C] -> [B,C]. Miyato and Koyama 2018, arXiv:1802.05637."""

    def call(self, inputs: Any) -> Any:
        """A sum over both axes."""
        return ops.sum(inputs, axis=(1, 2))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Channels are left."""
        return input_shape[0], input_shape[-1]
