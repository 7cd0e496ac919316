# The loop of dsn search --predictor beside the same in Python with numpy and torch: sub-networks a second.
#
#   search_rate.py SEARCH_BENCH LUT_TABLES.json PREDICTOR.safetensors      (Debian's python3-numpy, python3-torch)
#
# All three compute latency (sum of table rows) and accuracy (the predictor's network) of drawn sub-networks, on
# one thread; first Python's numbers are checked against dsn's. Then rounds alternate; medians are printed.
# "one by one" is how the public finder asks.
import json, os, statistics, struct, subprocess, sys, tempfile, time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
import numpy as np
import torch

torch.set_num_threads(1)
BATCH, BATCHES, ROUNDS, SINGLES = 4096, 4, 7, 200
RESOLUTIONS = [160, 176, 192, 208, 224]
WIDTHS = [24, 32, 48, 96, 136, 192]
STRIDES, SE, HSWISH = [2, 2, 2, 1, 2], [0, 1, 0, 1, 1], [0, 0, 1, 1, 1]
KERNELS, EXPANDS = [3, 5, 7], [3, 4, 6]
FIRST_BLOCK_GENE, BLOCKS = 6, 20


def read_tables(path):
    tables = json.load(open(path))["tables"]
    fixed, cost = np.zeros(len(RESOLUTIONS)), np.zeros((len(RESOLUTIONS), BLOCKS, 3, 3))
    for r, resolution in enumerate(RESOLUTIONS):
        rows = tables[str(resolution)]
        fixed[r] = sum(v["mean"] for k, v in rows.items() if not k.startswith("expanded") or "expand:24-" in k)
        size = resolution // 2
        for s in range(5):
            out = -(-size // STRIDES[s])
            for i in range(4):
                width, before, stride = (WIDTHS[s], size, STRIDES[s]) if i == 0 else (WIDTHS[s + 1], out, 1)
                for e, expand in enumerate(EXPANDS):
                    for k, kernel in enumerate(KERNELS):
                        key = (f"expanded_conv-input:{before}x{before}x{width}-output:{out}x{out}x{WIDTHS[s + 1]}"
                               f"-expand:{width * expand}-kernel:{kernel}-stride:{stride}-idskip:{int(i > 0)}"
                               f"-se:{SE[s]}-hs:{HSWISH[s]}")
                        cost[r, 4 * s + i, e, k] = rows[key]["mean"]
            size = out
    return fixed * 1e-3, cost * 1e-3


def read_layers(path):
    raw = open(path, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])

    def tensor(name):
        begin, end = header[name]["data_offsets"]
        return np.frombuffer(raw[8 + size + begin:8 + size + end], np.float32).reshape(header[name]["shape"])

    return [(tensor(f"{n}.weight").T.copy(), tensor(f"{n}.bias").copy()) for n in (0, 2, 4, 6)]


FIXED, COST = read_tables(sys.argv[2])
LAYERS = read_layers(sys.argv[3])
TORCH_LAYERS = [(torch.from_numpy(w), torch.from_numpy(b)) for w, b in LAYERS]
PLACE = np.arange(BLOCKS)


# rows: [count][46] genes as dsn has them: resolution, depths, then ratio and kernel of each block.
def features(rows):
    count = len(rows)
    r, e, k = rows[:, 0], rows[:, FIRST_BLOCK_GENE::2], rows[:, FIRST_BLOCK_GENE + 1::2]
    active = (PLACE % 4)[None] < np.repeat(rows[:, 1:6] + 2, 4, axis=1)
    latency = FIXED[r] + (COST[r[:, None], PLACE[None], e, k] * active).sum(1)
    x = np.zeros((count, 128), np.float32)
    row, block = np.nonzero(active)
    x[row, 3 * block + k[row, block]] = 1
    x[row, 60 + 3 * block + e[row, block]] = 1
    x[np.arange(count), 123 + r] = 1
    return latency, x


def look_numpy(rows):
    latency, x = features(rows)
    for i, (w, b) in enumerate(LAYERS):
        x = x @ w + b
        if i < 3:
            np.maximum(x, 0, out=x)
    return latency, x[:, 0]


@torch.no_grad()
def look_torch(rows):
    latency, x = features(rows)
    x = torch.from_numpy(x)
    for i, (w, b) in enumerate(TORCH_LAYERS):
        x = torch.addmm(b, x, w)
        if i < 3:
            x.relu_()
    return latency, x[:, 0].numpy()


def check():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows")
        subprocess.run([*sys.argv[1:4], "rows", path], check=True)
        table = np.loadtxt(path)
    for look in (look_numpy, look_torch):
        latency, accuracy = look(table[:, :-2].astype(int))
        error = max(np.abs(latency / table[:, -2] - 1).max(), np.abs(accuracy - table[:, -1]).max())
        assert error < 1e-5, f"{look.__name__} differs from dsn by {error}"


def rate(look, batches):
    start = time.perf_counter()
    for rows in batches:
        look(rows)
    return sum(len(rows) for rows in batches) / (time.perf_counter() - start)


def rate_of_dsn():
    return float(subprocess.run([*sys.argv[1:4], "rate"], check=True, capture_output=True, text=True).stdout)


check()
random = np.random.default_rng(1)


def draw(count):
    return np.concatenate([random.integers(0, 5, (count, 1)), random.integers(0, 3, (count, 45))], axis=1)


batches, singles = [draw(BATCH) for _ in range(BATCHES)], [draw(1) for _ in range(SINGLES)]
contenders = {
    "dsn": rate_of_dsn,
    f"numpy, batches of {BATCH}": lambda: rate(look_numpy, batches),
    f"torch, batches of {BATCH}": lambda: rate(look_torch, batches),
    "numpy, one by one": lambda: rate(look_numpy, singles),
    "torch, one by one": lambda: rate(look_torch, singles),
}
rates = {name: [] for name in contenders}
for _ in range(ROUNDS):
    for name, run in contenders.items():
        rates[name].append(run())
ours = statistics.median(rates["dsn"])
print(f"one thread, medians of {ROUNDS} alternating rounds; numpy {np.__version__}, torch {torch.__version__}")
for name, values in rates.items():
    middle = statistics.median(values)
    print(f"{name}: {middle:.0f} sub-networks/s ({min(values):.0f} to {max(values):.0f}), dsn {ours / middle:.2f} times")
