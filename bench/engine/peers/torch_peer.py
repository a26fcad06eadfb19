"""PyTorch side of the bench: reads one JSON request a line, answers with seconds per call."""
import json
import sys
import time

import torch
import torch.nn.functional as F

from kernels import kernels
from elementwise import functions


def timed(work, seconds):
    work()
    work()
    times = []
    stop = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < stop and len(times) < 2000):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def matmul(m, n, k, transpose_a=False, transpose_b=False):
    a = torch.rand(k, m).t() if transpose_a else torch.rand(m, k)
    b = torch.rand(n, k).t() if transpose_b else torch.rand(k, n)
    out = torch.empty(m, n)
    return lambda: torch.matmul(a, b, out=out)


def trainer(sizes, batch, loss_of):
    layers = []
    for i in range(len(sizes) - 1):
        layers += [torch.nn.Linear(sizes[i], sizes[i + 1]), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x = torch.rand(batch, sizes[0])

    def step():
        optimizer.zero_grad()
        loss_of(model(x)).backward()
        optimizer.step()

    return step


def mlp(batch):
    labels = torch.randint(0, 10, (batch,))
    return trainer([784, 512, 256, 10], batch, lambda y: F.cross_entropy(y, labels))


def tiny():
    targets = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    return trainer([2, 8, 1], 4, lambda y: F.binary_cross_entropy_with_logits(y, targets))


def elementwise(size):
    x = torch.rand(size)
    out = torch.empty(size)

    def work():
        torch.mul(x, 1.5, out=out)
        out.add_(0.25).relu_()

    return work


def adam(size):
    p = torch.nn.Parameter(torch.rand(size))
    p.grad = torch.rand(size)
    return torch.optim.Adam([p], lr=1e-3).step


works = {
    "matmul": lambda r: matmul(r["m"], r["n"], r["k"], r.get("transposeA", False), r.get("transposeB", False)),
    "mlp": lambda r: mlp(r["batch"]),
    "tiny": lambda r: tiny(),
    "elementwise": lambda r: elementwise(r["size"]),
    "adam": lambda r: adam(r["size"]),
    "kernel": lambda r: kernels[r["name"]](),
    "function": lambda r: functions()[r["name"]],
}

for line in sys.stdin:
    request = json.loads(line)
    torch.set_num_threads(request["threads"])
    torch.manual_seed(0)
    times = timed(works[request["work"]](request), request["seconds"]) if request["work"] in works else None
    print(json.dumps({"times": times}), flush=True)
