#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures and tabulates for live_study.sh, which says how it is called.

Figures of a run
  met        frames whose result was there within the target, of all that came
  accuracy   mean over all frames of the accuracy of the level that ran them (a frame that was dropped counts 0)
  recovery   after load came: inferences from the first that missed its deadline to the first of three in a row that kept it
  switches   of level

Clairvoyant, of study "step": knows when load comes and goes and, from runs of every single level in the same repetition, which is the most
accurate one that keeps 99 % of the deadlines while it is there, and while it is not; it plays those. Of study "two": of each application the
most accurate level whose inference, as it was measured in the repetition's runs, fits into target and 95 % of the period.
"""
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import threading
import time

POLICIES = ['dsn', 'static:largest', 'static:smallest', 'subnet-only', 'alert']
HALF_S = 5.0        # load is off, then on, for so long each
SECONDS = {'step': 20, 'two': 20}
ASKED = 0.99
# Beside as many busy processes as cores a fair scheduler leaves half to two thirds of a core, and makes a thread wait for some slices of
# about 3 ms however little it computes (scripts/quickstart.py): the target is above that, and the largest level needs half a core.
TARGET_S = 0.015
LARGEST_USES = 0.5
# Of study "two": what the largest level would use of a core, and the target.
APPS = {'fast': (1.15, 0.015), 'slow': (0.40, 0.030)}


def read(path):
    return json.loads(pathlib.Path(path).read_text(encoding='utf-8'))


def records(path):
    with open(path, encoding='utf-8') as file:
        return [json.loads(line) for line in file]


def costs_of(bundle):
    """Accuracy and undisturbed latency with one thread, by level."""
    manifest = read(pathlib.Path(bundle, 'manifest.json'))
    levels = manifest['family']['levels']
    lut = read(pathlib.Path(bundle, manifest['parts']['luts'][0]['file']))
    single = [i for i, point in enumerate(lut['points']) if point['threads'] == 1 and point['batch'] == 1]
    latency = []
    for level in levels:
        row = next(row for row in lut['levels'] if row['config'] == level['config'])
        latency.append(min(entry['latency_s'] for entry in row['at'] if entry['point'] in single))
    return [level['accuracy'] for level in levels], latency


class Load:
    """stress-ng that comes and goes: stopped and continued, so that a step takes no time."""

    def __init__(self):
        self.process = subprocess.Popen(['stress-ng', '--cpu', str(os.cpu_count()), '--timeout', '120s', '--quiet'], start_new_session=True)
        time.sleep(0.5)
        self.signal(signal.SIGSTOP)
        self.steps, self.ended = [], threading.Event()

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def play(self):
        on = False
        while not self.ended.wait(HALF_S):
            on = not on
            self.signal(signal.SIGCONT if on else signal.SIGSTOP)
            self.steps.append({'unix_s': time.time(), 'on': on})

    def end(self):
        self.ended.set()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        self.process.wait()


def run(command, loaded):
    load = Load() if loaded else None
    player = threading.Thread(target=load.play) if load else None
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    if player:
        player.start()
    status = process.wait()
    if load:
        load.end()
        player.join()
    return status, load.steps if load else []


def known_policies(dsn, policies):
    text = subprocess.run([dsn, 'run', '--help'], capture_output=True, text=True, check=True).stdout
    missing = [policy for policy in policies if policy not in text]
    if missing:
        print(f'this dsn has no {", ".join(missing)}: left out', file=sys.stderr)
    return [policy for policy in policies if policy not in missing]


def measure(dsn, bundle, folder, study, repetition):
    accuracy, latency = costs_of(bundle)
    policies = known_policies(dsn, POLICIES)
    if study == 'step':
        policies += [f'static:{level}' for level in range(1, len(accuracy) - 1)]
    shift = repetition % len(policies)  # not always the same first
    for policy in policies[shift:] + policies[:shift]:
        name = pathlib.Path(folder, f'{study}.{policy.replace(":", "-")}.{repetition}')
        common = ['--policy', policy, '--threads', '1', '--duration', f'{SECONDS[study]}s', '--overrun', 'queue', '--quiet', '--log', f'{name}.jsonl',
                  '--out', f'{name}.json']
        if study == 'step':
            fps = LARGEST_USES / latency[-1]
            goal = [bundle, '--input', 'fashion-mnist', '--target-latency', f'{TARGET_S * 1e3:.3f}ms', '--fps', f'{fps:.1f}']
        else:
            goal = []
            for app, (uses, target_s) in APPS.items():
                goal += ['--app', f'{app}={bundle},input=fashion-mnist,target={target_s * 1e3:.3f}ms,fps={uses / latency[-1]:.1f}']
        status, steps = run([dsn, 'run', *goal, *common], study == 'step')
        if status != 0:
            sys.exit(f'dsn run --policy {policy} ended with status {status}')
        pathlib.Path(f'{name}.steps.json').write_text(json.dumps({'policy': policy, 'steps': steps}), encoding='utf-8')
        print(f'  {study} {policy} done', file=sys.stderr)


class Run:
    """One policy in one repetition."""

    def __init__(self, name, accuracy):
        report = read(f'{name}.json')
        self.runs = {run['name']: run for run in report['runs']}
        self.frames = {app: [] for app in self.runs}
        for record in records(f'{name}.jsonl'):
            self.frames[record['app']].append(record)
        self.accuracy = accuracy
        about = read(f'{name}.steps.json')
        self.policy = about['policy']
        start = report.get('started_unix_s')
        self.steps = [(step['unix_s'] - start, step['on']) for step in about['steps']] if start else []

    def loaded(self, at_s):
        return next((on for from_s, on in reversed(self.steps) if from_s <= at_s), False)

    def accuracy_of(self, frames):
        return sum(0 if f['skipped'] else self.accuracy[f['level']] for f in frames) / max(len(frames), 1)

    def figures(self, app):
        frames = self.frames[app]
        latencies = sorted(f['latency_s'] for f in frames if not f['skipped'])
        return {'met': sum(f['met'] for f in frames) / len(frames), 'accuracy': self.accuracy_of(frames), 'switches': self.runs[app]['switches'],
                'p99_s': latencies[int(0.99 * (len(latencies) - 1))], 'recovery': self.recoveries(frames)}

    def recoveries(self, frames):
        found = []
        for i, (from_s, on) in enumerate(self.steps):
            to_s = self.steps[i + 1][0] if i + 1 < len(self.steps) else from_s + HALF_S
            phase = [f for f in frames if from_s <= f['scheduled_s'] < to_s and not f['skipped']]
            if not on or len(phase) < 3:
                continue
            first = next((k for k, f in enumerate(phase) if not f['met']), None)
            if first is None:
                found.append(0)
                continue
            kept = next((k for k in range(first + 1, len(phase) - 2) if all(f['met'] for f in phase[k:k + 3])), None)
            found.append(None if kept is None else kept - first)
        return found

    def phases(self, app):
        """Frames while load was there, and while it was not."""
        parts = {True: [], False: []}
        for frame in self.frames[app]:
            parts[self.loaded(frame['scheduled_s'])].append(frame)
        return parts


def clairvoyant_step(runs, accuracy):
    statics = [run for policy, run in runs.items() if policy.startswith('static:')]
    chosen, met, total, correct = {}, 0, 0, 0.0
    for loaded in (False, True):
        options = []
        for run in statics:
            frames = run.phases('app')[loaded]
            if not frames:
                continue
            share = sum(f['met'] for f in frames) / len(frames)
            options.append((share >= ASKED, run.accuracy_of(frames) if share >= ASKED else share, share, run, len(frames)))
        _, _, share, run, count = max(options, key=lambda o: o[:3])
        chosen[loaded] = next(f['level'] for f in run.frames['app'])
        met, total, correct = met + share * count, total + count, correct + accuracy[chosen[loaded]] * count
    steps = len(next(iter(runs.values())).steps)
    return {'met': met / total, 'accuracy': correct / total, 'switches': steps if chosen[True] != chosen[False] else 0, 'p99_s': None, 'recovery': []}


def clairvoyant_two(runs, app, accuracy, lut):
    uses, target_s = APPS[app]
    period_s = lut[-1] / uses
    best = 0
    for level, nominal_s in enumerate(lut):
        seen = [f['done_s'] - f['start_s'] for run in runs.values() for f in run.frames[app] if not f['skipped'] and f['level'] == level]
        service_s = statistics.median(seen) if len(seen) >= 20 else nominal_s
        if service_s <= min(target_s, 0.95 * period_s) and accuracy[level] >= accuracy[best]:
            best = level
    return {'met': 1.0, 'accuracy': accuracy[best], 'switches': 0, 'p99_s': None, 'recovery': []}


def middle(values, text):
    known = [v for v in values if v is not None]
    if not known:
        return '-'
    low, high = min(known), max(known)
    return text(statistics.median(known)) + (f' ({text(low)} to {text(high)})' if len(values) > 1 else '')


def print_table(title, rows, reference):
    print(f'\n{title}')
    print('| policy | deadlines met | accuracy | to clairvoyant, points | switches | p99 | recovery: median / most, inferences |')
    print('| --- |' + ' --- |' * 6)
    for policy, found in rows.items():
        recoveries = [r for figure in found for r in figure['recovery']]
        after = '-'
        if recoveries:
            whole = sorted(r for r in recoveries if r is not None)
            never = len(recoveries) - len(whole)
            after = (f'{statistics.median(whole):g} / {whole[-1]}' if whole else '') + (f', {never} of {len(recoveries)} never' if never else '')
        gaps = [100 * (figure['accuracy'] - other['accuracy']) for figure, other in zip(found, reference)]
        cells = [policy, middle([f['met'] for f in found], lambda v: f'{100 * v:.2f} %'), middle([f['accuracy'] for f in found], lambda v: f'{100 * v:.2f} %'),
                 middle(gaps, lambda v: f'{v:+.2f}'), middle([f['switches'] for f in found], lambda v: f'{v:g}'),
                 middle([f['p99_s'] for f in found], lambda v: f'{1e3 * v:.2f} ms'), after]
        print('| ' + ' | '.join(cells) + ' |')


def table(bundle, folder):
    accuracy, lut = costs_of(bundle)
    found = {}
    for path in sorted(pathlib.Path(folder).glob('*.steps.json')):
        study, _, repetition = path.name[:-len('.steps.json')].split('.')[:3]
        one = Run(str(path)[:-len('.steps.json')], accuracy)
        found.setdefault(study, {}).setdefault(repetition, {})[one.policy] = one
    for study, repetitions in sorted(found.items()):
        count = len(repetitions)
        apps = ['app'] if study == 'step' else list(APPS)
        for app in apps:
            rows, reference = {}, []
            for runs in repetitions.values():
                other = clairvoyant_step(runs, accuracy) if study == 'step' else clairvoyant_two(runs, app, accuracy, lut)
                reference.append(other)
                for policy in [p for p in POLICIES if p in runs]:
                    rows.setdefault(policy, []).append(runs[policy].figures(app))
            rows['clairvoyant'] = reference
            if study == 'step':
                title = f'stress-ng on all cores off and on every {HALF_S:g} s; target {TARGET_S * 1e3:g} ms, {LARGEST_USES / lut[-1]:.0f} frames/s'
            else:
                title = f'two applications: "{app}", target {APPS[app][1] * 1e3:g} ms, {APPS[app][0] / lut[-1]:.0f} frames/s'
            print_table(f'{title}; median of {count} repetition{"s" if count > 1 else ""} (smallest to largest)', rows, reference)


def main():
    dsn, bundle, folder, what = sys.argv[1:5]
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    if what == 'table' and len(sys.argv) == 5:
        table(bundle, folder)
    elif what in SECONDS and len(sys.argv) == 6:
        measure(dsn, bundle, folder, what, int(sys.argv[5]))
    else:
        sys.exit(2)


if __name__ == '__main__':
    main()
