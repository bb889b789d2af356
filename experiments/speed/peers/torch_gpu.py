"""The DCGAN of `costs.network` in PyTorch on a GPU, the whole step captured as one CUDA graph; a line of JSON a case.

    python torch_gpu.py 32,64,graph,transpose,bf16 128,64,eager,upsample,tf32      # side, batch and so on of each case

channels_last, Adam fused, bfloat16 by autocast, one batch of fakes for both updates: what the fastest careful user
would write. Without a GPU it runs eagerly on the CPU.
"""

import json
import math
import sys
import time

import torch
from torch import nn
from torch.nn.functional import softplus

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LATENTS, IMAGES = 100, 1438


def networks(side: int, enlarge: str) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of RGB images."""
    widths = [64 * 2**n for n in range(int(math.log2(side // 4)))]

    def up(before: int, after: int) -> list[nn.Module]:
        bias = after == 3
        if enlarge == "transpose":
            return [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=bias)]
        return [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, 1, 1, bias=bias)]

    generator = [nn.Linear(LATENTS, 16 * widths[-1], bias=False), nn.Unflatten(1, (widths[-1], 4, 4))]
    for before, after in zip(widths[::-1], [*widths[-2::-1], 3], strict=True):
        generator += [nn.BatchNorm2d(before), nn.ReLU(inplace=True), *up(before, after)]
    discriminator = []
    for before, after in zip([3, *widths[:-1]], widths, strict=True):
        discriminator.append(nn.Conv2d(before, after, 4, 2, 1, bias=before == 3))
        discriminator += [] if before == 3 else [nn.BatchNorm2d(after)]
        discriminator.append(nn.LeakyReLU(0.2, inplace=True))
    score = nn.Linear(16 * widths[-1], 1)
    return nn.Sequential(*generator, nn.Tanh()), nn.Sequential(*discriminator, nn.Flatten(), score)


def make_step(side: int, batch: int, enlarge: str, precision: str):
    """One update of each network, and nothing for the host to wait for."""
    torch.manual_seed(0)
    layout = torch.channels_last
    generator, discriminator = (net.to(DEVICE, memory_format=layout) for net in networks(side, enlarge))
    images = (torch.rand(IMAGES, 3, side, side, device=DEVICE) * 2 - 1).contiguous(memory_format=layout)
    d_adam, g_adam = (
        torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999), fused=True, capturable=DEVICE == "cuda")
        for net in (discriminator, generator)
    )

    def half():
        return torch.autocast(DEVICE, torch.bfloat16, enabled=precision == "bf16")

    def step() -> None:
        real = images[torch.randint(IMAGES, (batch,), device=DEVICE)]
        with half():
            fake = generator(torch.randn(batch, LATENTS, device=DEVICE))
            scores = discriminator(real), discriminator(fake.detach())
        loss = softplus(-scores[0].float()).mean() + softplus(scores[1].float()).mean()
        d_adam.zero_grad(set_to_none=True)
        loss.backward()
        d_adam.step()
        discriminator.requires_grad_(False)
        with half():
            score = discriminator(fake)
        loss = softplus(-score.float()).mean()
        g_adam.zero_grad(set_to_none=True)
        loss.backward()
        g_adam.step()
        discriminator.requires_grad_(True)

    return step


def captured(step):
    """The step as a CUDA graph, after the five rounds that capturing needs."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def main() -> None:
    """Each case in turn: five rounds of a fifth of a second, their median."""
    print(torch.__version__, torch.cuda.get_device_name() if DEVICE == "cuda" else DEVICE, flush=True)
    torch.backends.cudnn.benchmark = True
    for case in sys.argv[1:]:
        side, batch, mode, enlarge, precision = case.split(",")
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        begin = time.perf_counter()
        step = make_step(int(side), int(batch), enlarge, precision)
        go = captured(step) if mode == "graph" and DEVICE == "cuda" else step

        def timed(count: int, go=go) -> float:
            start = time.perf_counter()
            for _ in range(count):
                go()
            if DEVICE == "cuda":
                torch.cuda.synchronize()
            return (time.perf_counter() - start) / count

        timed(5)
        first = time.perf_counter() - begin
        count = max(5, int(0.2 / timed(10)))
        milliseconds = sorted(timed(count) for _ in range(5))[2] * 1e3
        peak = round(torch.cuda.max_memory_allocated() / 2**20) if DEVICE == "cuda" else 0
        print(
            json.dumps(
                {"side": "torch", "size": int(side), "batch": int(batch), "mode": mode, "ups": enlarge,
                 "precision": precision, "first_s": round(first, 1), "step_ms": round(milliseconds, 3),
                 "peak_mb": peak}
            ),
            flush=True,
        )  # fmt: skip
        if DEVICE == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main()
