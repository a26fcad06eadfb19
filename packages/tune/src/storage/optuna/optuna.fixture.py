# Optuna's side of the round trip. Each line of input is a JSON list [command, url, study, arguments…]; each line of
# output is what Optuna then sees in that study, or {"error": …}.
import json
import sys
import warnings

import optuna

warnings.simplefilter("ignore")

optuna.logging.set_verbosity(optuna.logging.ERROR)
NAN, INF = float("nan"), float("inf")
CHOICES = ["adam", None, True, 3, 2.5, NAN, "ünï \"q\" 'q'"]


def single(trial):
    """Every kind of parameter, attribute, report and end a trial can have; which end follows from its number."""
    kind = trial.suggest_categorical("kind", CHOICES)
    trial.suggest_categorical("mixed", [0, 1, False, True, 0.5, "1"])
    x = trial.suggest_float("x", -1, 1)
    trial.suggest_float("log", 1e-5, 1e-1, log=True)
    trial.suggest_float("grid", 0, 1, step=0.1)
    n = trial.suggest_int("n", 1, 64, log=True)
    trial.suggest_int("even", 2, 10, step=2)
    if kind == "adam":
        trial.suggest_float("beta", 0.5, 0.999)
    elif n > 8:
        trial.suggest_categorical("big", [False, True])
    trial.set_user_attr("deep", {"list": [1, NAN, INF, "ü ' \""], "none": None})
    trial.storage.set_trial_system_attr(trial._trial_id, "theirs", [1.5, -INF])
    trial.set_constraint("memory", x - 0.5)
    for step, value in enumerate([x, NAN, INF, -INF]):
        trial.report(value, 2 * step)
    match trial.number % 6:
        case 1: raise optuna.TrialPruned()
        case 2: raise ValueError("broken")
        case 3: return NAN
        case 4: return INF
        case _: return x * x + n


def double(trial):
    x = trial.suggest_float("x", 0, 1)
    y = trial.suggest_int("y", 0, 5)
    trial.set_constraint("sum", x + y - 5)
    return x + y, -INF if trial.number == 2 else x - y


def milliseconds(time):
    return time and round(time.timestamp() * 1e6) // 1000


def facts(study):
    return {
        "name": study.study_name,
        "directions": [d.name.lower() for d in study.directions],
        "attributes": study.user_attrs,
        "trials": [{
            "number": t.number, "state": t.state.name, "params": t.params, "values": t.values, "reports": t.intermediate_values,
            # The list for optuna-dashboard repeats the constraints that have names.
            "attributes": t.user_attrs,
            "constraints": {name: c for name, c in t.constraints.items() if not name.isdigit()}, "fixed": t.system_attrs.get("fixed_params"),
            "started": milliseconds(t.datetime_start), "finished": milliseconds(t.datetime_complete),
            "distributions": {name: json.loads(optuna.distributions.distribution_to_json(d)) for name, d in t.distributions.items()},
        } for t in study.trials],
    }


def analyse(study):
    frame = study.trials_dataframe()
    several = len(study.directions) > 1
    if several:
        importances = optuna.importance.get_param_importances(study, target=lambda t: t.values[0])
    else:
        importances = optuna.importance.get_param_importances(study, target=lambda t: min(t.value, 100.0))
    return {
        "best": sorted(t.number for t in (study.best_trials if several else [study.best_trial])),
        "columns": list(frame.columns), "rows": len(frame), "importances": importances,
    }


def answer(command, url, name, *rest):
    sampler = optuna.samplers.TPESampler(seed=1, n_startup_trials=3)
    if command == "create":
        study = optuna.create_study(storage=url, study_name=name, sampler=sampler, directions=rest)
        study.set_user_attr("team", {"n": NAN, "who": "Grüße"})
    else:
        study = optuna.load_study(storage=url, study_name=name, sampler=sampler)
    if command == "enqueue":
        study.enqueue_trial(rest[0], user_attrs={"by": "optuna"})
    if command == "optimize":
        study.optimize(double if len(study.directions) > 1 else single, n_trials=rest[0], catch=(ValueError,))
    return analyse(study) if command == "analyse" else facts(study)


for line in sys.stdin:
    try:
        result = answer(*json.loads(line))
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(result), flush=True)
