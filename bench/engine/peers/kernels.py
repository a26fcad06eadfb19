"""PyTorch's single kernels by the names of ../kernels.ts."""
import torch
import torch.nn.functional as F


def indices(count, below):
    return torch.tensor([((i * 2654435761) % 2**32 >> 8) % below for i in range(count)])


def with_gradients(norm, rows, columns):
    x, scale, shift = torch.rand(rows, columns), torch.rand(columns), torch.rand(columns)
    for each in (x, scale, shift):
        each.requires_grad_()
    weights = torch.rand(rows, columns)

    def work():
        x.grad = scale.grad = shift.grad = None
        norm(x, scale, shift).backward(weights)

    return work


def layer_norm(x, scale, shift):
    return F.layer_norm(x, scale.shape, scale, shift)


def batch_norm(x, scale, shift):
    return F.batch_norm(x, None, None, scale, shift, training=True)


def forward(norm, rows, columns):
    x, scale, shift = torch.rand(rows, columns), torch.rand(columns), torch.rand(columns)
    return lambda: norm(x, scale, shift)


def embedding_gradient(count, rows, inner):
    at, updates = indices(count, rows), torch.rand(count, inner)
    return lambda: torch.ops.aten.embedding_dense_backward(updates, at, rows, -1, False)


def on(f, *shapes):
    inputs = [torch.rand(*shape) for shape in shapes]
    return lambda: f(*inputs)


def take():
    x, at = torch.rand(1024, 4096), indices(4096, 4096)
    return lambda: x.index_select(1, at)


def concat():
    parts = [torch.rand(4096) for _ in range(64)]
    return lambda: torch.cat(parts)


kernels = {
    "flip 2048² axis 1": lambda: on(lambda x: x.flip(1), (2048, 2048)),
    "transpose 2048²": lambda: on(lambda x: x.t().contiguous(), (2048, 2048)),
    "permute 32×256×1024 → 1024×32×256": lambda: on(lambda x: x.permute(2, 0, 1).contiguous(), (32, 256, 1024)),
    "take 1024×4096 axis 1, 4096 indices": take,
    "concat of 64 × 4096": concat,
    "dot 1 M": lambda: on(torch.dot, (2**20,), (2**20,)),
    "matrix·vector 512²": lambda: on(torch.mv, (512, 512), (512,)),
    "matrix·vector 4096²": lambda: on(torch.mv, (4096, 4096), (4096,)),
    "vector·matrix 4096²": lambda: on(lambda a, x: x @ a, (4096, 4096), (4096,)),
    "sum 3×10⁶ axis 1": lambda: on(lambda x: x.sum(1), (3, 10**6)),
    "sum 10⁶×3 axis 0": lambda: on(lambda x: x.sum(0), (10**6, 3)),
    "max 2048² axis 1": lambda: on(lambda x: x.amax(1), (2048, 2048)),
    "prod 2048² axis 1": lambda: on(lambda x: x.prod(1), (2048, 2048)),
    "cumsum 1 M": lambda: on(lambda x: x.cumsum(0), (2**20,)),
    "cumsum 1024² axis 1": lambda: on(lambda x: x.cumsum(1), (1024, 1024)),
    "cumsum 1024² axis 0": lambda: on(lambda x: x.cumsum(0), (1024, 1024)),
    "softmax 64×50257": lambda: on(lambda x: x.softmax(1), (64, 50257)),
    "log softmax 64×50257": lambda: on(lambda x: x.log_softmax(1), (64, 50257)),
    "layer norm 1024×768": lambda: forward(layer_norm, 1024, 768),
    "layer norm 1024×768 with gradients": lambda: with_gradients(layer_norm, 1024, 768),
    "batch norm 1024×512": lambda: forward(batch_norm, 1024, 512),
    "batch norm 1024×512 with gradients": lambda: with_gradients(batch_norm, 1024, 512),
    "uniform 10⁷": lambda: lambda: torch.rand(10**7),
    "normal 10⁷": lambda: lambda: torch.randn(10**7),
    "permutation 60,000": lambda: lambda: torch.randperm(60_000),
    "embedding gradient 65536 → 50000×1": lambda: embedding_gradient(65_536, 50_000, 1),
    "embedding gradient 8192 → 30000×64": lambda: embedding_gradient(8192, 30_000, 64),
}
