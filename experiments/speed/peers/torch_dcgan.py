"""DCGAN-32 in eager PyTorch, as a careful user writes it: needs torch, and nothing else.

    PYTHON peers/torch_dcgan.py --upsampling upsample --layout channels_last
    PYTHON peers/torch_dcgan.py --gemm 4096           torch's own rate of multiplying matrices

Images stand in memory, a batch is drawn by index, gradients are set to None, Adam is the fused one, the
discriminator's weights take no gradient while the generator moves, losses are read every 100 steps. One batch of fakes
serves both updates, so the generator makes three passes and the discriminator eight. With --plain as guides have it:
Adam as it comes, and the discriminator's weights take a gradient then as well, which nobody uses. No average of the
weights is kept, and nothing is written. The last line of the output is JSON.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn.functional import softplus

LATENTS, BATCH, IMAGES = 100, 64, 1438  # so many images does ganlab train on
WARM = 5  # steps before the clock starts
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def enlarge(upsampling: str, channels: int, filters: int, *, bias: bool) -> list[nn.Module]:
    """Double height and width: a transposed 4x4, or repeated pixels and a 3x3 convolution."""
    if upsampling == "transpose":
        return [nn.ConvTranspose2d(channels, filters, 4, stride=2, padding=1, bias=bias)]
    return [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, filters, 3, padding=1, bias=bias)]


def make_generator(upsampling: str) -> nn.Module:
    """Latents [B,100] -> images [B,1,32,32] in [-1, 1]."""
    layers = [nn.Linear(LATENTS, 4 * 4 * 256, bias=False), nn.Unflatten(1, (256, 4, 4))]
    for channels, filters in ((256, 128), (128, 64), (64, 1)):
        layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        layers += enlarge(upsampling, channels, filters, bias=filters == 1)
    return nn.Sequential(*layers, nn.Tanh())


def make_discriminator() -> nn.Module:
    """Images [B,1,32,32] -> scores [B,1]."""
    layers = []
    for channels, filters in ((1, 64), (64, 128), (128, 256)):
        layers.append(nn.Conv2d(channels, filters, 4, stride=2, padding=1, bias=channels == 1))
        layers += [nn.BatchNorm2d(filters)] if channels > 1 else []
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 4 * 256, 1))


def images_per_second(chosen: argparse.Namespace) -> list[float]:
    """The rate of each repeat."""
    layout = torch.channels_last if chosen.layout == "channels_last" else torch.contiguous_format
    generator = make_generator(chosen.upsampling).to(memory_format=layout)
    discriminator = make_discriminator().to(memory_format=layout)
    images = (torch.rand(IMAGES, 1, 32, 32) * 2 - 1).contiguous(memory_format=layout)
    adams = [
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=not chosen.plain or None)
        for network in (discriminator, generator)
    ]

    def mixed() -> torch.autocast:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=chosen.precision == "bfloat16")

    def move(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def step() -> tuple[torch.Tensor, torch.Tensor]:
        real = images[torch.randint(IMAGES, (BATCH,))]
        with mixed():
            fake = generator(torch.randn(BATCH, LATENTS))
            real_scores, fake_scores = discriminator(real), discriminator(fake.detach())
        d_loss = softplus(-real_scores.float()).mean() + softplus(fake_scores.float()).mean()
        move(adams[0], d_loss)
        discriminator.requires_grad_(chosen.plain)
        with mixed():
            scores = discriminator(fake)
        g_loss = softplus(-scores.float()).mean()
        move(adams[1], g_loss)
        discriminator.requires_grad_(True)
        return d_loss, g_loss

    taken, rates = 0, []
    for count in [WARM] + [chosen.steps] * chosen.repeats:
        start = time.perf_counter()
        for _ in range(count):
            losses = step()
            taken += 1
            if taken % 100 == 0:
                print(*(f"{loss.item():.3f}" for loss in losses), flush=True)
        rates.append(count * BATCH / (time.perf_counter() - start))
    return rates[1:]


def gflop_per_second(size: int, dtype: torch.dtype, repeats: int) -> list[float]:
    """How fast two square matrices are multiplied, each repeat."""
    one, other = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    product = one @ other
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        torch.matmul(one, other, out=product)
        rates.append(2 * size**3 / (time.perf_counter() - start) / 1e9)
    return rates


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--upsampling", choices=("transpose", "upsample"), default="transpose")
    parser.add_argument("--layout", choices=("default", "channels_last"), default="default")
    parser.add_argument("--precision", choices=tuple(TYPES), default="float32", help="bfloat16: autocast")
    parser.add_argument("--plain", action="store_true", help="as guides have it, not as a careful user would")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: as torch has them")
    parser.add_argument("--steps", type=int, default=20, help="steps of one repeat (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--gemm", type=int, default=0, metavar="N", help="multiply NxN matrices instead")
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    facts = {"torch": torch.__version__, "threads": torch.get_num_threads(), "precision": chosen.precision}
    if chosen.gemm:
        rates = gflop_per_second(chosen.gemm, TYPES[chosen.precision], chosen.repeats)
        facts |= {"gemm": chosen.gemm, "gflop_per_second": rates}
    else:
        facts |= {"upsampling": chosen.upsampling, "layout": chosen.layout}
        facts |= {"images_per_second": images_per_second(chosen)}
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
