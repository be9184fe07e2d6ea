"""Times PyTorch's steps on the same networks, in its own environment: imports nothing of ours.

Reads lines of JSON on standard input. `[PATH, TASK, COMPILED]` loads networks and draws from
PATH.npz, makes the task's step, compiled or not, and saves to PATH-peer.npz what the network says;
`[]` times one step. Each is answered by one line: seconds, 0 for the first kind.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch.nn import functional as F  # noqa: N812  # pyright: ignore[reportMissingImports]

Weights = dict[str, torch.Tensor]
BATCH, PATHS, BETA, GROUPS = 128, 10, 0.3, 8


def read(path: str) -> tuple[Weights, Weights, dict[str, np.ndarray]]:
    """Weights of the network in PyTorch's layouts, adapters, and the rest."""
    arrays = dict(np.load(f"{path}.npz"))
    own = {k.removeprefix("params/"): x for k, x in arrays.items() if k.startswith("params/")}
    sides = {k.removeprefix("side/"): x for k, x in arrays.items() if k.startswith("side/")}
    turned = {k: x.transpose((3, 2, 0, 1) if x.ndim == 4 else None) for k, x in own.items()}
    return tensors(turned), tensors(sides), arrays


def tensors(arrays: dict[str, np.ndarray]) -> Weights:
    """Copies that PyTorch may change."""
    return {k: torch.tensor(np.ascontiguousarray(x)) for k, x in arrays.items()}


class Network:
    """A forward pass by names of weights; a layer with an adapter adds B(A x)."""

    def __init__(self, weights: Weights, adapters: Weights | None = None):
        self.w, self.a = weights, adapters or {}

    def dense(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """A linear layer."""
        y = F.linear(x, self.w[f"{name}/kernel"], self.w[f"{name}/bias"])
        if (A := self.a.get(f"{name}/kernel/A")) is not None:
            y = y + F.linear(F.linear(x, A), self.a[f"{name}/kernel/B"])
        return y

    def conv(self, name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        """A convolution of three by three."""
        y = F.conv2d(x, self.w[f"{name}/kernel"], self.w[f"{name}/bias"], stride, 1)
        if (A := self.a.get(f"{name}/kernel/A")) is not None:
            kernel = A.reshape(len(A), 3, 3, -1).permute(0, 3, 1, 2)
            inner = F.conv2d(x, kernel, None, stride, 1)
            y = y + F.conv2d(inner, self.a[f"{name}/kernel/B"][:, :, None, None])
        return y

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """A group norm."""
        return F.group_norm(x, GROUPS, self.w[f"{name}/scale"], self.w[f"{name}/bias"], 1e-6)

    def told(self, s: torch.Tensor) -> torch.Tensor:
        """The condition."""
        powers = torch.arange(32, dtype=s.dtype) / 32
        angles = 1000 * s[:, None] * torch.exp(-np.log(10_000) * powers)[None]
        h = self.dense("Condition_0/Dense_0", torch.cat([torch.sin(angles), torch.cos(angles)], 1))
        return self.dense("Condition_0/Dense_1", F.silu(h))

    def block(self, name: str, x: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """A ResNet block."""
        h = self.conv(f"{name}/Conv_0", F.silu(self.norm(f"{name}/GroupNorm_0", x)))
        h = h + self.dense(f"{name}/Dense_0", F.silu(told))[:, :, None, None]
        h = self.conv(f"{name}/Conv_1", F.silu(self.norm(f"{name}/GroupNorm_1", h)))
        if f"{name}/Dense_1/kernel" in self.w:
            x = self.dense(f"{name}/Dense_1", x.movedim(1, -1)).movedim(-1, 1)
        return x + h

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        """Self-attention of one head."""
        seen = self.norm("Attention_0/GroupNorm_0", x).flatten(2).transpose(1, 2)
        q, k, v = (self.dense(f"Attention_0/{n}", seen) for n in ("q", "k", "v"))
        out = self.dense("Attention_0/out", F.scaled_dot_product_attention(q, k, v))
        return x + out.transpose(1, 2).reshape(x.shape)

    def mlp(self, s: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The perceptron of three hidden layers."""
        told, h = self.told(s), self.dense("Dense_0", x)
        for i in (1, 2, 3):
            h = h + self.dense(f"Dense_{i}", F.silu(h + told))
        return self.dense("Dense_4", F.silu(h))

    def unet(self, s: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The U-Net of two sizes."""
        told = self.told(s)
        h = self.conv("Conv_0", x.reshape(-1, 1, 8, 8))
        kept = self.block("Block_0", h, told)
        h = self.block("Block_1", self.conv("Conv_1", kept, 2), told)
        h = self.block("Block_2", self.attention(h), told)
        h = self.conv("Conv_2", F.interpolate(h, scale_factor=2, mode="nearest"))
        h = self.block("Block_3", torch.cat([h, kept], 1), told)
        return self.conv("Conv_3", F.silu(self.norm("GroupNorm_0", h))).reshape(x.shape)

    def __call__(self, s: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """What the network says, `[B, d]`."""
        return self.unet(s, x) if "Conv_0/kernel" in self.w else self.mlp(s, x)


def forward(compiled: bool) -> Callable[..., torch.Tensor]:
    """The network as a function of its weights."""

    def call(w: Weights, a: Weights, s: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return Network(w, a)(s, x)

    return torch.compile(call) if compiled else call


def pretraining(path: str, compiled: bool) -> tuple[Callable[[], Any], np.ndarray]:
    """A step of AdamW with clipping and an average, and what the network says."""
    weights, _, given = read(path)
    call = forward(compiled)
    leaves = [x.requires_grad_() for x in weights.values()]
    average = [x.detach().clone() for x in leaves]
    adam = torch.optim.AdamW(leaves, 1e-3, weight_decay=0.0)
    data, bars = torch.tensor(given["data"]), torch.tensor(given["bars"])

    def step() -> None:
        x0 = data[torch.randint(len(data), (BATCH,))]
        t, noise = torch.randint(len(bars), (BATCH,)), torch.randn(BATCH, data.shape[1])
        bar = bars[t][:, None]
        said = call(weights, {}, 1 - t / len(bars), bar.sqrt() * x0 + (1 - bar).sqrt() * noise)
        loss = torch.mean((said - noise) ** 2)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(leaves, 1.0)
        adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, leaves, 1e-3)

    with torch.no_grad():
        said = call(weights, {}, torch.tensor(given["s"]), torch.tensor(given["x"]))
    return step, said.numpy()


def tuning(path: str, compiled: bool) -> tuple[Callable[[], Any], np.ndarray]:
    """A step of PI-FT: paths, their adjoints by one backward pass, one regression."""
    weights, sides, given = read(path)
    call, leaves = forward(compiled), [x.requires_grad_() for x in sides.values()]
    adam = torch.optim.AdamW(leaves, 3e-3, weight_decay=0.0)
    alphas, bars, sigmas = (torch.tensor(given[k]) for k in ("alphas", "bars", "sigmas"))
    T, d = len(alphas), given["data"].shape[1]
    every = torch.arange(T).repeat_interleave(PATHS)

    def mean(w: Weights, a: Weights, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        score = -call(w, a, 1 - t / T, y) / (1 - bars[t])[:, None].sqrt()
        return (y + (1 - alphas[t])[:, None] * score) / alphas[t][:, None].sqrt()

    def merged() -> Weights:
        found = dict(weights)
        with torch.no_grad():
            for key in {k.rpartition("/")[0] for k in sides}:
                change = sides[f"{key}/B"] @ sides[f"{key}/A"]
                if found[key].ndim == 4:
                    change = change.reshape(len(change), 3, 3, -1).permute(0, 3, 1, 2)
                found[key] = found[key] + change
        return found

    def simulated(start: torch.Tensor, draws: torch.Tensor) -> tuple[torch.Tensor, ...]:
        policy, y = merged(), start
        offsets = torch.zeros(T, PATHS, d, requires_grad=True)
        states, found = [], []
        for t in range(T):
            states.append(y)
            found.append(mean(policy, {}, torch.full((PATHS,), t), y))
            y = found[-1] + sigmas[t] * draws[t] + offsets[t]
        base = mean(weights, {}, every, torch.cat(states)).reshape(T, PATHS, d)
        e = (torch.stack(found) - base) / sigmas[:, None, None]
        gained = torch.mean(y + 1, 1) / 2 - BETA * 0.5 * torch.sum(e**2, (0, 2))
        (adjoint,) = torch.autograd.grad(gained.sum(), offsets)
        return torch.cat(states).detach(), base.detach(), adjoint, gained.detach()

    def step() -> None:
        start, draws = torch.randn(PATHS, d), torch.randn(T, PATHS, d)
        states, base, adjoint, _ = simulated(start, draws)
        e = (mean(weights, sides, every, states).reshape(T, PATHS, d) - base) / sigmas[
            :, None, None
        ]
        wanted = sigmas[:, None, None] / BETA * adjoint
        loss = BETA * torch.sum((e - wanted) ** 2) / (2 * PATHS)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(leaves, 1.0)
        adam.step()

    gained = simulated(torch.tensor(given["start"]), torch.tensor(given["draws"]))[-1]
    return step, gained.numpy()


TASKS = {"pretraining": pretraining, "tuning": tuning}


def main() -> None:
    """Answer until the input ends."""

    def step() -> None:
        """Nothing yet."""

    for line in sys.stdin:
        given, seconds = json.loads(line), 0.0
        if given:
            path, task, compiled = given
            step, said = TASKS[task](path, compiled)
            np.savez(f"{path}-peer.npz", said=said)
            step()
        else:
            begin = time.perf_counter()
            step()
            seconds = time.perf_counter() - begin
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
