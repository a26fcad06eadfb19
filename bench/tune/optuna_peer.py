"""Optuna's samplers on the benchmark's problems: one JSON line per (problem, sampler, seed) with the best regret at each
checkpoint. A duplicate is answered from memory and not charged, as in our own runs. Reads its plan (JSON) from stdin."""
import gzip, json, math, statistics, sys, time, warnings

warnings.filterwarnings("ignore")
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

optuna.logging.set_verbosity(optuna.logging.ERROR)

HARTMANN_A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
HARTMANN_P = [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991], [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]
HARTMANN_ALPHA = [1, 1.2, 3, 3.2]


def branin(x):
    a, b = x
    return (b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


def hartmann6(x):
    return -sum(
        alpha * math.exp(-sum(a * (v - p / 1e4) ** 2 for a, p, v in zip(A, P, x)))
        for alpha, A, P in zip(HARTMANN_ALPHA, HARTMANN_A, HARTMANN_P)
    )


def ackley(x):
    squares, cosines = sum(v * v for v in x) / len(x), sum(math.cos(2 * math.pi * v) for v in x) / len(x)
    return -20 * math.exp(-0.2 * math.sqrt(squares)) - math.exp(cosines) + 20 + math.e


def rosenbrock(x):
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(x, x[1:]))


def levy(x):
    w = [1 + (v - 1) / 4 for v in x]
    middle = sum((a - 1) ** 2 * (1 + 10 * math.sin(math.pi * a + 1) ** 2) for a in w[:-1])
    return math.sin(math.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


def styblinski_tang(x):
    return sum(v**4 - 16 * v**2 + 5 * v for v in x) / 2


def michalewicz(x):
    return -sum(math.sin(v) * math.sin((i + 1) * v * v / math.pi) ** 20 for i, v in enumerate(x))


FUNCTIONS = {
    "Branin": ([(-5, 10), (0, 15)], branin, 0.39788735772973816),
    "Hartmann6": ([(0, 1)] * 6, hartmann6, -3.322368011415512),
    "Ackley10": ([(-32.768, 32.768)] * 10, ackley, 0),
    "Rosenbrock5": ([(-5, 10)] * 5, rosenbrock, 0),
    "Levy4": ([(-10, 10)] * 4, levy, 0),
    "StyblinskiTang5": ([(-5, 5)] * 5, styblinski_tang, -195.83082852),
    "Michalewicz5": ([(0, math.pi)] * 5, michalewicz, -4.687658179),
}


def conditional(trial):
    """The best branch is the one in which a random point is worst."""
    match trial.suggest_categorical("model", ["tree", "net", "svm"]):
        case "tree":
            n, w = trial.suggest_int("tree.n", 1, 50), trial.suggest_float("tree.w", 0, 1)
            return 0.1 + ((n - 30) / 25) ** 2 + (w - 0.5) ** 2
        case "net":
            rate, x = trial.suggest_float("net.rate", 1e-3, 1e3, log=True), trial.suggest_float("net.x", -5, 5)
            return (math.log10(rate) - 1) ** 2 / 4 + (x - 1) ** 2 / 10
        case _:
            return 0.2 + 0.02 * (trial.suggest_float("svm.x", -5, 5) ** 2 + trial.suggest_float("svm.y", -5, 5) ** 2)


def diverging(trial):
    """Better and better with the rate, until it is NaN."""
    rate, x = trial.suggest_float("rate", 1e-5, 1, log=True), trial.suggest_float("x", -5, 5)
    return math.nan if rate > 0.02 else math.log10(0.02 / rate) + (x - 1) ** 2 / 10


def crashing(trial):
    """Throws in 40 % of the space, right beside the best point."""
    x, y, z = (trial.suggest_float(name, 0, 1) for name in "xyz")
    if x > 0.6:
        raise ValueError("out of memory")
    return 2 * (0.6 - x) + (y - 0.3) ** 2 + (z - 0.8) ** 2


DEFINED_BY_RUN = {"conditional": conditional, "diverging": diverging, "crashing": crashing}


def dtlz2(x):
    radius = 1 + sum((v - 0.5) ** 2 for v in x[2:])
    p, q = math.pi / 2 * x[0], math.pi / 2 * x[1]
    return [radius * math.cos(p) * math.cos(q), radius * math.cos(p) * math.sin(q), radius * math.sin(p)]


def function_problem(name):
    bounds, f, best = FUNCTIONS[name]
    distributions = {f"x{i}": FloatDistribution(low, high) for i, (low, high) in enumerate(bounds)}
    return distributions, lambda params: f([params[k] for k in distributions]) - best


def table_problem(path):
    with gzip.open(path) as file:
        table = json.load(file)
    sign = -1 if table["direction"] == "maximize" else 1
    means = [sum(scores) / len(scores) for scores in table["scores"]]
    space = table["space"]
    distributions = {
        name: CategoricalDistribution(values) if isinstance(values[0], str) else IntDistribution(0, len(values) - 1)
        for name, values in space.items()
    }

    def regret(params):
        index = 0
        for name, values in space.items():
            v = params[name]
            index = index * len(values) + (values.index(v) if isinstance(v, str) else v)
        return sign * (means[index] - table["bestMean"])

    return distributions, regret


SAMPLERS = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
}


def curve(problem, sampler, checkpoints):
    """The best regret after so many evaluations."""
    distributions, regret = problem
    study = optuna.create_study(sampler=sampler)
    memory, best, result = {}, math.inf, []
    for _ in range(20 * checkpoints[-1]):
        trial = study.ask(distributions)
        key = tuple(trial.params[k] for k in distributions)
        new = key not in memory
        if new:
            memory[key] = regret(trial.params)
        study.tell(trial, memory[key])
        best = min(best, memory[key])
        if new and len(memory) in checkpoints:
            result.append(best)
            if len(result) == len(checkpoints):
                break
    return result + [best] * (len(checkpoints) - len(result))


def curve_by_run(objective, sampler, checkpoints):
    """The best regret after so many trials, failed ones counted, and how often the most frequent point was proposed."""
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=checkpoints[-1], catch=(ValueError,))
    best, result, points = math.inf, [], {}
    for i, trial in enumerate(study.trials):
        if trial.value is not None:
            best = min(best, trial.value)
        key = tuple(sorted(trial.params.items()))
        points[key] = points.get(key, 0) + 1
        if i + 1 in checkpoints:
            result.append(best)
    return result, max(points.values())


def front(sampler, trials):
    """The values of all trials on DTLZ2 with three objectives in six dimensions."""
    distributions = {f"x{i}": FloatDistribution(0, 1) for i in range(6)}
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * 3)
    for _ in range(trials):
        trial = study.ask(distributions)
        study.tell(trial, dtlz2([trial.params[k] for k in distributions]))
    return [trial.values for trial in study.trials]


def ask_tell(n, repeats):
    """Median milliseconds of one ask and tell of TPE on the 10-D Rosenbrock function after n random trials."""
    import random

    r = random.Random(0)
    distributions = {f"x{i}": FloatDistribution(-5, 10) for i in range(10)}
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    for _ in range(n):
        params = {k: r.uniform(-5, 10) for k in distributions}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=rosenbrock(list(params.values()))))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        trial = study.ask(distributions)
        study.tell(trial, rosenbrock([trial.params[k] for k in distributions]))
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main():
    plan = json.load(sys.stdin)
    for n in plan.get("speed", []):
        print(json.dumps({"trials": n, "ms": ask_tell(n, plan["repeats"])}), flush=True)
    problems = {name: function_problem(name) for name in plan.get("functions", [])}
    problems |= {name: table_problem(path) for name, path in plan.get("tables", {}).items()}
    for name, problem in problems.items():
        for sampler in plan.get("samplers", []):
            for seed in plan["seeds"]:
                regrets = curve(problem, SAMPLERS[sampler](seed), plan["checkpoints"])
                print(json.dumps({"problem": name, "sampler": sampler, "seed": seed, "regrets": regrets}), flush=True)
    for name in plan.get("byRun", []):
        for sampler in plan.get("samplers", []):
            for seed in plan["seeds"]:
                regrets, repeats = curve_by_run(DEFINED_BY_RUN[name], SAMPLERS[sampler](seed), plan["checkpoints"])
                print(json.dumps({"problem": name, "sampler": sampler, "seed": seed, "regrets": regrets, "repeats": repeats}), flush=True)
    if "front" in plan:
        for seed in plan["seeds"]:
            print(json.dumps({"problem": "DTLZ2", "sampler": "tpe", "seed": seed, "values": front(SAMPLERS["tpe"](seed), plan["front"])}), flush=True)


main()
