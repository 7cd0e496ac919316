#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of engine_vs_peers.sh: per sub-network the median over rounds, and each peer's time over the engine's.

usage: engine_table.py FIGURES.jsonl [median_ms | p99_ms]

"spread": how far the rounds' ratios to ONNX Runtime were apart, smallest to largest.
"""
import collections
import json
import os
import statistics
import sys

ORT = 'ONNX Runtime'


def main():
    value = sys.argv[2] if len(sys.argv) > 2 else 'median_ms'
    found = collections.defaultdict(list)  # in the order of rounds
    mmacs, engines = {}, []
    for line in open(sys.argv[1]):
        figure = json.loads(line)
        model = os.path.splitext(os.path.basename(figure['model']))[0]
        engine = figure.get('engine', ORT)
        if engine not in engines:
            engines.append(engine)
        found[model, figure['threads'], engine].append(figure[value])
        if 'mmacs' in figure:
            mmacs[model] = figure['mmacs']
    peers = [engine for engine in engines if engine != 'elastic']
    print(f'{value}, median of rounds; in brackets: over the elastic engine')
    print('| sub-network | MMACs | threads | elastic | ' + ' | '.join(peers) + ' | spread |')
    print('| --- |' + ' --- |' * (len(peers) + 4))
    for (model, threads) in sorted({(m, t) for m, t, _ in found}, key=lambda k: (k[1], k[0].rsplit('-', 1)[0], mmacs[k[0]])):
        ours = statistics.median(found[model, threads, 'elastic'])
        cells = []
        for peer in peers:
            theirs = statistics.median(found[model, threads, peer])
            cells.append(f'{theirs:.3f} ({theirs / ours:.2f})')
        ratios = [t / o for t, o in zip(found[model, threads, ORT], found[model, threads, 'elastic'])]
        print(f'| {model} | {mmacs[model]:.1f} | {threads} | {ours:.3f} | ' + ' | '.join(cells) + f' | {min(ratios):.2f} to {max(ratios):.2f} |')


main()
