#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replays a grid of scenarios and writes how energy and latency change. See reproduce-thesis.sh."""
import argparse
import concurrent.futures
import csv
import html
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

DURATION_S = 30
TARGETS_S = [0.060, 0.080, 0.100, 0.150]
RATES_HZ = [5, 10, 15]
LOADS = [0.0, 0.165, 0.33]  # of the GPU at its highest clock, in the middle third of the trace
MODES = ["MODE_15W_6CORE", "MODE_10W_4CORE", "MODE_10W_DESKTOP"]
BASELINES = [1, 3, 5]  # levels that a user deploys
CLAIMS = {"single": (0.19, 0.09), "two": (0.89, 0.23)}  # up to, of the thesis: energy, latency
SLACK = 0.001  # of deadlines met, for "equal"

DEFINITIONS = [
    "Baseline: each model is one fixed level (the one in the column), as a user deploys it, under the board's own governors: schedutil for the CPU, "
    "nvhost_podgov for the GPU.",
    "dsn: the same traces under dsn:min-energy, with the accuracy of the baseline's level as its floor. It may take any level at least as accurate "
    "and sets the GPU's clock.",
    "Energy: of the module's input (VDD_IN) over the whole trace, idle time and the contender included. Energy change: 1 - dsn / baseline. "
    "Active energy change: the same of what inferences draw above idle.",
    "Latency: mean over completed inferences, from the scheduled arrival. Latency change: 1 - dsn / baseline. A manager that saves energy may "
    "use all of the target: deadlines met say whether that matters.",
    "Equal: dsn meets at least as large a share of deadlines as the baseline (within 0.1 points) and is at least as accurate.",
    "Oracle gap: energy over the least that the same service can cost at all, less 1 (a bound, not a policy).",
    "Levels, latencies at the highest clock and GPU powers are published; other clocks and everything of the CPU are modelled (profiles/README.md).",
]


def scenario(root, apps, target_s, rate_hz, load, mode, floor):
    profiles = root / "profiles"
    tasks = {}
    for i in range(apps):
        tasks[f"model{i + 1}"] = {
            "family": str(profiles / "dynamic-ofa-xavier-nx.family.json"),
            "lut": str(profiles / "dynamic-ofa-xavier-nx.lut.json"),
            "target_s": target_s,
            "probability": 0.95,
            "min_accuracy": floor,
            "placement": {"cluster": "gpu"},
            "phases": [{"arrivals": {"process": "periodic", "rate_hz": rate_hz / (1 if i == 0 else 2), "jitter_s": 0.002}}],
        }
    if load > 0:
        tasks["contender"] = {
            "kind": "contender",
            "phases": [{"start_s": DURATION_S / 3, "duration_s": DURATION_S / 3, "cluster": "gpu", "run_s": 0.02 * load, "period_s": 0.02}],
        }
    return {
        "schema": "dsn.trace",
        "schema_version": 1,
        "global": {"duration_s": DURATION_S, "seed": 1},
        "platform": str(profiles / "jetson-xavier-nx.platform.json"),
        "tasks": tasks,
        "events": [{"at_s": 0, "mode": mode}],
    }


def replay(job):
    dsn, folder, key, trace = job
    path = pathlib.Path(folder) / ("-".join(map(str, key)).replace(".", "_") + ".trace.json")
    path.write_text(json.dumps(trace))
    baseline = f"schedutil:{key[-1]}"
    command = [dsn, "replay", str(path), "--policy", f"dsn:min-energy,{baseline},oracle", "--threads", "1", "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return key, None, done.stderr.strip()
    policies = {p["policy"]: p["figures"] for p in json.loads(done.stdout)["policies"]}
    return key, (policies["dsn:min-energy"], policies[baseline]), ""


def mean(figures, name):
    return figures[name]["mean"]


def row_of(key, dsn, base):
    energy, latency = 1 - mean(dsn, "energy_j") / mean(base, "energy_j"), None
    if mean(dsn, "latency_mean_s") and mean(base, "latency_mean_s"):
        latency = 1 - mean(dsn, "latency_mean_s") / mean(base, "latency_mean_s")
    active = 1 - mean(dsn, "active_j") / mean(base, "active_j")
    equal = mean(dsn, "deadline_met") >= mean(base, "deadline_met") - SLACK and mean(dsn, "accuracy") >= mean(base, "accuracy") - 1e-9
    names = ["study", "target_s", "rate_hz", "load", "mode", "baseline_level"]
    return dict(zip(names, key)) | {
        "energy_change": energy,
        "active_change": active,
        "latency_change": latency,
        "dsn_met": mean(dsn, "deadline_met"),
        "baseline_met": mean(base, "deadline_met"),
        "dsn_accuracy": mean(dsn, "accuracy"),
        "baseline_accuracy": mean(base, "accuracy"),
        "oracle_gap": mean(dsn, "gap_to_oracle"),
        "equal": equal,
    }


def quantile(values, q):
    values = sorted(values)
    at = q * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def spread(values):
    return {name: quantile(values, q) for name, q in [("lowest", 0), ("q25", 0.25), ("median", 0.5), ("q75", 0.75), ("highest", 1)]}


def summary_of(study, rows):
    energy_claim, latency_claim = CLAIMS[study]
    out = {"study": study, "scenarios": len(rows)}
    for name, chosen in [("all", rows), ("equal", [r for r in rows if r["equal"]])]:
        if not chosen:
            out[name] = {"scenarios": 0}
            continue
        latencies = [r["latency_change"] for r in chosen if r["latency_change"] is not None]
        out[name] = {
            "scenarios": len(chosen),
            "energy_change": spread([r["energy_change"] for r in chosen]),
            "active_change": spread([r["active_change"] for r in chosen]),
            "latency_change": spread(latencies),
            "oracle_gap": spread([r["oracle_gap"] for r in chosen]),
            "energy_claim_reached": sum(r["energy_change"] >= energy_claim for r in chosen),
            "latency_claim_reached": sum(v >= latency_claim for v in latencies),
            "both_reached": sum(
                r["energy_change"] >= energy_claim and (r["latency_change"] or 0) >= latency_claim for r in chosen
            ),
            "more_energy_than_baseline": sum(r["energy_change"] < 0 for r in chosen),
        }
    out["met_better"] = sum(r["dsn_met"] > r["baseline_met"] + SLACK for r in rows)
    out["met_worse"] = sum(r["dsn_met"] < r["baseline_met"] - SLACK for r in rows)
    return out


def histogram(values, claim, title):
    low, high, bins = min(-0.2, min(values)), 1.0, 40
    counts = [0] * bins
    for v in values:
        counts[max(0, min(bins - 1, int((v - low) / (high - low) * bins)))] += 1
    width, height, top = 640, 160, max(counts)
    x = lambda v: 20 + (v - low) / (high - low) * (width - 40)
    bars = "".join(
        f'<rect x="{20 + i * (width - 40) / bins:.1f}" y="{130 - 110 * c / top:.1f}" width="{(width - 40) / bins - 1:.1f}" height="{110 * c / top:.1f}" fill="#0072b2"/>'
        for i, c in enumerate(counts)
        if c
    )
    ticks = "".join(f'<text x="{x(t):.1f}" y="146" text-anchor="middle">{t:.0%}</text>' for t in [-0.2, 0, 0.2, 0.4, 0.6, 0.8, 1.0] if t >= low)
    mark = f'<line x1="{x(claim):.1f}" x2="{x(claim):.1f}" y1="15" y2="132" stroke="#d55e00" stroke-width="2"/><text x="{x(claim):.1f}" y="12" text-anchor="middle" fill="#d55e00">claim {claim:.0%}</text>'
    return f'<h3>{html.escape(title)}</h3><svg width="{width}" height="{height}" font-family="sans-serif" font-size="11">{bars}{ticks}{mark}</svg>'


def page_of(rows, summaries):
    out = ["<!DOCTYPE html><html lang=en><meta charset=utf-8><title>The thesis' study, replayed</title>"]
    out.append("<style>body{font:14px sans-serif;max-width:900px;margin:2em auto;padding:0 1em}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}</style>")
    out.append("<h1>The thesis' study, replayed</h1><h2>Definitions</h2><ul>" + "".join(f"<li>{html.escape(d)}</li>" for d in DEFINITIONS) + "</ul>")
    for s in summaries:
        mine = [r for r in rows if r["study"] == s["study"]]
        energy_claim, latency_claim = CLAIMS[s["study"]]
        out.append(f"<h2>{'One model' if s['study'] == 'single' else 'Two models'}: {s['scenarios']} scenarios</h2>")
        out.append(f"<p>dsn meets more deadlines in {s['met_better']}, fewer in {s['met_worse']}.</p>")
        out.append("<table><tr><th>share saved<th>lowest<th>25 %<th>median<th>75 %<th>highest<th>claim<th>reached in</tr>")
        for which in ["all", "equal"]:
            part = s[which]
            if part["scenarios"] == 0:
                continue
            for name, claim, reached in [
                ("energy_change", energy_claim, part["energy_claim_reached"]),
                ("active_change", None, None),
                ("latency_change", latency_claim, part["latency_claim_reached"]),
                ("oracle_gap", None, None),
            ]:
                cells = "".join(f"<td>{part[name][q]:.1%}" for q in ["lowest", "q25", "median", "q75", "highest"])
                marks = f"<td>{claim:.0%}<td>{reached} of {part['scenarios']}" if claim is not None else "<td>-<td>-"
                out.append(f"<tr><td>{name.replace('_', ' ')}, {which} ({part['scenarios']}){cells}{marks}</tr>")
        out.append("</table>")
        out.append(histogram([r["energy_change"] for r in mine], energy_claim, "energy change"))
        out.append(histogram([r["latency_change"] for r in mine if r["latency_change"] is not None], latency_claim, "latency change"))
    return "\n".join(out) + "</html>\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--dsn", default=None, help="the tool; default: build/tools/dsn/dsn")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("thesis-study"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a corner of the grid, to see that it works")
    options = parser.parse_args()
    options.root = options.root.resolve()
    dsn = options.dsn or str(options.root / "build/tools/dsn/dsn")
    family = json.loads((options.root / "profiles/dynamic-ofa-xavier-nx.family.json").read_text())
    accuracy = [level["accuracy"] for level in family["levels"]]
    grid = list(itertools.product(["single", "two"], TARGETS_S, RATES_HZ, LOADS, MODES, BASELINES))
    if options.quick:
        grid = [key for key in grid if key[1] == 0.1 and key[2] == 10 and key[4] == MODES[0]]
    rows, failures = [], []
    with tempfile.TemporaryDirectory() as folder:
        jobs = [(dsn, folder, key, scenario(options.root, 1 if key[0] == "single" else 2, *key[1:5], accuracy[key[5]])) for key in grid]
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for key, result, error in pool.map(replay, jobs):
                if result is None:
                    failures.append(f"{key}: {error}")
                else:
                    rows.append(row_of(key, *result))
    if failures:
        sys.exit(f"{len(failures)} of {len(grid)} replays failed, the first: {failures[0]}")
    summaries = [summary_of(study, [r for r in rows if r["study"] == study]) for study in CLAIMS]
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    (options.out / "results.json").write_text(json.dumps({"definitions": DEFINITIONS, "summaries": summaries}, indent=2) + "\n")
    (options.out / "study.html").write_text(page_of(rows, summaries))
    for definition in DEFINITIONS:
        print(definition)
    for s in summaries:
        for which in ["all", "equal"]:
            part = s[which]
            if part["scenarios"] == 0:
                continue
            print(f"\n{s['study']}, {which} ({part['scenarios']} scenarios): share saved")
            for name in ["energy_change", "active_change", "latency_change", "oracle_gap"]:
                print(f"  {name:15}" + "  ".join(f"{q} {v:.1%}" for q, v in part[name].items()))
            print(
                f"  claims of energy and latency reached in {part['energy_claim_reached']} and {part['latency_claim_reached']}, both in "
                f"{part['both_reached']}; more energy than the baseline in {part['more_energy_than_baseline']}"
            )
        print(f"{s['study']}: deadlines met better in {s['met_better']}, worse in {s['met_worse']}")
    print(f"\nwrote {options.out}/results.csv, results.json, study.html")


if __name__ == "__main__":
    main()
