"""PyTorch's elementwise functions by the names of ../elementwise.ts."""
import torch
import torch.nn.functional as F

SIZE = 1_000_000


def draw(least, most):
    return torch.rand(SIZE) * (most - least) + least


def functions():
    x, y = draw(0.1, 4.1), draw(0, 4)
    whole, divisor = draw(1, 1000).int(), draw(1, 1000).int()
    a, b = draw(0, 255).to(torch.uint8), draw(0, 255).to(torch.uint8)
    p, q = x > 2, y > 2
    x64, y64 = x.double(), y.double()
    large = x * 3000
    return {
        "x³": lambda: x.pow(3),
        "x^2.5": lambda: x.pow(2.5),
        "x^y": lambda: x.pow(y),
        "sin": lambda: x.sin(),
        "cos": lambda: x.cos(),
        "sin of large angles": lambda: large.sin(),
        "exp": lambda: x.exp(),
        "log": lambda: x.log(),
        "tanh": lambda: x.tanh(),
        "sigmoid": lambda: x.sigmoid(),
        "silu": lambda: F.silu(x),
        "softplus": lambda: F.softplus(x),
        "x^y float64": lambda: x64.pow(y64),
        "sin float64": lambda: x64.sin(),
        "exp float64": lambda: x64.exp(),
        "log float64": lambda: x64.log(),
        "tanh float64": lambda: x64.tanh(),
        "div float64": lambda: y64 / x64,
        "mod int32": lambda: torch.remainder(whole, divisor),
        "and": lambda: p & q,
        "not": lambda: ~p,
        "add uint8": lambda: a + b,
        "max uint8": lambda: torch.maximum(a, b),
        "equal uint8": lambda: a == b,
        "float64 to float32": lambda: x64.float(),
        "float32 to int32": lambda: x.int(),
        "int32 to uint8": lambda: whole.to(torch.uint8),
        "float32 to bool": lambda: x.bool(),
        "uint8 to float32": lambda: a.float(),
    }
