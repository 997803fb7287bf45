#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What several rules are worth over all budgets: over_budgets.py FOLDER WITHIN SEEDS BUDGETS RULE..

FOLDER/SEED/RULE-BUDGET.json are evaluations of `deer-sim eval --json` from the same starts. Of each start the success within
WITHIN times the expert's time is averaged over the budgets; differences to the first rule have 95% intervals over starts.

    bench/over_budgets.py build/clock 1.25 "31000 32000" "0.20 0.40" best random
"""
import json
import math
import statistics
import sys

SHORTEST, LONGEST = 12, 60  # steps that any task may take, and none


def allowed(outcome, within):
    """Steps; all there are where the expert cannot do it."""
    return max(SHORTEST, within * outcome["expert_steps"] + 1e-9) if outcome["expert_steps"] else LONGEST


def in_time(path, within):
    """1 for each start that succeeded in time and without harm, else 0."""
    with open(path) as f:
        outcomes = json.load(f)["outcomes"]
    return [float(o["success"] and not o["harm"] and o["steps"] <= allowed(o, within)) for o in outcomes]


def main(folder, within, seeds, budgets, *rules):
    means = {}
    for rule in rules:
        settings = [[x for seed in seeds.split() for x in in_time(f"{folder}/{seed}/{rule}-{budget}.json", float(within))]
                    for budget in budgets.split()]
        means[rule] = [statistics.mean(start) for start in zip(*settings, strict=True)]
    first = means[rules[0]]
    print(f"{rules[0]}: {100 * statistics.mean(first):.1f}% of {len(first)} starts, averaged over the budgets")
    for rule in rules[1:]:
        differences = [a - b for a, b in zip(means[rule], first, strict=True)]
        middle, half = statistics.mean(differences), 1.96 * statistics.stdev(differences) / math.sqrt(len(differences))
        print(f"{rule:10} {100 * middle:+5.1f} [{100 * (middle - half):+.1f}, {100 * (middle + half):+.1f}]")


if __name__ == "__main__":
    if len(sys.argv) < 7:
        sys.exit(__doc__)
    main(*sys.argv[1:])
