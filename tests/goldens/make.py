"""Writes the goldens of this folder with PyTorch (1.13 or later), in float32 on one thread:  python3 tests/goldens/make.py

functions.json     values and gradients of softmax, log-sum-exp, cross-entropy and dense layers
trajectories.json  50 training steps of a small network with each optimizer, schedule and clip: every loss, and the weights at the end;
                   and of one with batch normalisation: also its statistics, and its outputs in evaluation
schedules.json     the learning rate of 60 steps under each schedule
Weights are stored as nabla holds them: [inputs, outputs].
"""

import json
import pathlib

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)


def numbers(tensor):
    """Nested lists; nine digits give a float32 back exactly."""
    if tensor.dim() == 0:
        return float(f"{tensor.item():.9g}")
    return [numbers(row) for row in tensor]


def write(name, content):
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    (HERE / name).write_text(text.replace('},{"', '},\n{"').replace(',"cases"', ',\n"cases"') + "\n")


def gradient_case(name, inputs, function, **extra):
    """Value of `function`, and the gradient of its weighted sum with respect to every input."""
    leaves = {key: value.clone().requires_grad_(True) for key, value in inputs.items()}
    value = function(**leaves)
    weights = torch.linspace(-1, 1, value.numel()).reshape(value.shape) if value.dim() > 0 else torch.tensor(1.0)
    (value * weights).sum().backward()
    return {
        "name": name,
        "inputs": {key: numbers(leaf.detach()) for key, leaf in leaves.items()},
        "value": numbers(value.detach()),
        "weights": numbers(weights),
        "gradients": {key: numbers(leaf.grad) for key, leaf in leaves.items()},
        **extra,
    }


def functions():
    torch.manual_seed(1)
    plain = torch.randn(5, 7)
    # Large logits overflow exp unless the maximum is taken off first; equal ones tie for it.
    extreme = torch.tensor([[1000.0, 0.0, -1000.0], [88.0, 89.0, 90.0], [-200.0, -200.0, -200.0], [0.0, 0.0, 60.0]])
    cases = []
    for label, logits in (("plain", plain), ("extreme", extreme)):
        labels = torch.arange(logits.shape[0]) % logits.shape[1]
        cases.append(gradient_case(f"softmax {label}", {"x": logits}, lambda x: torch.softmax(x, -1)))
        cases.append(gradient_case(f"logSoftmax {label}", {"x": logits}, lambda x: torch.log_softmax(x, -1)))
        cases.append(gradient_case(f"logSumExp {label}", {"x": logits}, lambda x: torch.logsumexp(x, -1)))
        cases.append(gradient_case(f"crossEntropy {label}", {"x": logits}, lambda x: F.cross_entropy(x, labels), labels=labels.tolist()))
        soft = torch.softmax(torch.randn(logits.shape), -1)
        cases.append(gradient_case(f"crossEntropy soft {label}", {"x": logits, "targets": soft}, lambda x, targets: F.cross_entropy(x, targets)))
    cases.append(gradient_case(
        "dense", {"x": torch.randn(3, 5), "weight": torch.randn(5, 7), "bias": torch.randn(7)},
        lambda x, weight, bias: x @ weight + bias,
    ))
    cases.append(gradient_case(
        "dense on a stack, relu", {"x": torch.randn(2, 3, 5), "weight": torch.randn(5, 4), "bias": torch.randn(4)},
        lambda x, weight, bias: torch.relu(x @ weight + bias),
    ))
    cases.append(gradient_case(
        "dense, sigmoid, dense, tanh", {"x": torch.randn(4, 3), "a": torch.randn(3, 6), "b": torch.randn(6, 2)},
        lambda x, a, b: torch.tanh(torch.sigmoid(x @ a) @ b),
    ))
    # PyTorch divides alpha by the size, and has the channels second.
    cases.append(gradient_case(
        "localResponseNorm", {"x": 3 * torch.randn(2, 3, 9)},
        lambda x: F.local_response_norm(x.movedim(-1, 1), 5, alpha=5 * 0.02, beta=0.75, k=2.0).movedim(1, -1),
    ))
    cases.append(gradient_case("amax with ties", {"x": torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [5.0, 1.0, 0.0]])}, lambda x: torch.amax(x, -1)))
    cases.append(gradient_case("maximum with ties", {"x": torch.tensor([1.0, 2.0, 3.0]), "y": torch.tensor([2.0, 2.0, 2.0])}, lambda x, y: torch.maximum(x, y)))
    cases.append(gradient_case("pow", {"x": torch.tensor([0.5, 2.0, 3.0, 1.5]), "y": torch.tensor([2.0, -1.0, 0.0, 0.5])}, lambda x, y: torch.pow(x, y)))
    return {"torch": torch.__version__, "cases": cases}


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "decay": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=2.0),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.005, alpha=0.9),
    "rmsprop, centred, momentum": lambda p: torch.optim.RMSprop(p, lr=0.001, eps=1e-3, momentum=0.8, centered=True),
    "momentum, cosine": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam, warm-up, steps": lambda p: torch.optim.Adam(p, lr=0.02),
    "clipped by norm": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "clipped by value": lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9),
}

SCHEDULES = {
    "step": lambda o: lr_scheduler.StepLR(o, step_size=20, gamma=0.3),
    "milestones": lambda o: lr_scheduler.MultiStepLR(o, milestones=[10, 35], gamma=0.2),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, gamma=0.95),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=59, eta_min=0.001),
    "warm-up": lambda o: lr_scheduler.LinearLR(o, start_factor=0.25, total_iters=20),
    "warm-up, cosine": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=10), lr_scheduler.CosineAnnealingLR(o, T_max=50)], milestones=[10]),
}

TRAINING_SCHEDULES = {
    "momentum, cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=50),
    "adam, warm-up, steps": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=10), lr_scheduler.StepLR(o, step_size=15, gamma=0.3)], milestones=[10]),
}

CLIPS = {
    "clipped by norm": lambda p: nn.utils.clip_grad_norm_(p, 0.2),
    "clipped by value": lambda p: nn.utils.clip_grad_value_(p, 0.01),
}


def schedules():
    cases = []
    for name, make in SCHEDULES.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        schedule = make(optimizer)
        rates = []
        for _ in range(60):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        cases.append({"name": name, "rates": rates})
    return {"torch": torch.__version__, "cases": cases}


def network():
    return nn.Sequential(nn.Linear(6, 17), nn.ReLU(), nn.Linear(17, 9), nn.Tanh(), nn.Linear(9, 4))


def weights_of(model):
    return [numbers(p.detach().T if p.dim() == 2 else p.detach()) for p in model.parameters()]


def train(model, x, labels, optimizer, schedule=None, clip=None):
    """The losses of 50 steps."""
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        if clip is not None:
            clip(model.parameters())
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(numbers(loss.detach()))
    return losses


def trajectories():
    torch.manual_seed(2)
    x = torch.randn(32, 6)
    labels = (x[:, 0] > 0).long() * 2 + (x[:, 1] * x[:, 2] > 0).long()
    initial = network()
    cases = []
    for name, make in OPTIMIZERS.items():
        model = network()
        model.load_state_dict(initial.state_dict())
        optimizer = make(model.parameters())
        schedule = TRAINING_SCHEDULES[name](optimizer) if name in TRAINING_SCHEDULES else None
        losses = train(model, x, labels, optimizer, schedule, CLIPS.get(name))
        cases.append({"name": name, "losses": losses, "weights": weights_of(model)})
    return {
        "torch": torch.__version__, "x": numbers(x), "labels": labels.tolist(), "initial": weights_of(initial), "cases": cases,
        "normalised": normalised(x, labels),
    }


def normalised(x, labels):
    model = nn.Sequential(nn.Linear(6, 17), nn.BatchNorm1d(17), nn.ReLU(), nn.Linear(17, 4))
    initial = weights_of(model)
    losses = train(model, x, labels, OPTIMIZERS["momentum"](model.parameters()))
    norm = model.eval()[1]
    return {
        "initial": initial, "losses": losses, "weights": weights_of(model),
        "mean": numbers(norm.running_mean), "variance": numbers(norm.running_var), "outputs": numbers(model(x).detach()),
    }


write("functions.json", functions())
write("trajectories.json", trajectories())
write("schedules.json", schedules())
