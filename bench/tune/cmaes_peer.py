"""Evaluations that cmaes needs to reach 1e-8, from the start points on stdin: one JSON line per run."""
import json
import sys

import numpy as np
from cmaes import CMA

FUNCTIONS = {
    "sphere": lambda x, w: x @ x,
    "ellipsoid": lambda x, w: w @ (x * x),
    "cigar": lambda x, w: x[0] ** 2 + 1e6 * (x[1:] @ x[1:]),
    "rosenbrock": lambda x, w: 100 * np.sum((x[1:] - x[:-1] ** 2) ** 2) + np.sum((1 - x[:-1]) ** 2),
}


def run(f, start, seed, budget):
    n = len(start)
    weights = 1e6 ** (np.arange(n) / (n - 1))
    optimizer = CMA(mean=np.array(start), sigma=2.0, seed=seed)
    evaluations = 0
    while evaluations < budget:
        solutions = []
        for _ in range(optimizer.population_size):
            x = optimizer.ask()
            value = float(f(x, weights))
            evaluations += 1
            if value < 1e-8:
                return evaluations, True
            solutions.append((x, value))
        optimizer.tell(solutions)
        if optimizer.should_stop():
            break
    return evaluations, False


task = json.load(sys.stdin)
for seed, start in enumerate(task["starts"]):
    evaluations, reached = run(FUNCTIONS[task["function"]], start, seed, task["budget"])
    print(json.dumps({"evaluations": evaluations, "reached": reached}))
