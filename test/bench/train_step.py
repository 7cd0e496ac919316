#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The sandwich step of train_bench.cc as one would write it in PyTorch: same space, sub-networks, batch, losses and
optimizer. Needs Debian's python3-torch.

usage: train_step.py TASKS.json [--threads N] [--contiguous]
  --contiguous  leave tensors in NCHW (the default converts to channels-last, which is faster on CPUs)

Prints one line of JSON like train_bench.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

WARM_UP = 5


def divisible(channels, divisor=8):
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class BatchNorm(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(channels))
        self.bias = torch.nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))

    def forward(self, x, update):
        c = x.size(1)
        mean, var = (self.mean[:c], self.var[:c]) if update else (None, None)
        return F.batch_norm(x, mean, var, self.weight[:c], self.bias[:c], training=True, momentum=0.1)


def weight(*shape):
    fan_out = shape[0] * (shape[2] * shape[3] if len(shape) == 4 else 1) / (shape[0] if shape[1] == 1 else 1)
    return torch.nn.Parameter(torch.randn(*shape) * (2 / fan_out) ** 0.5)


ACT = {"relu": F.relu, "hswish": F.hardswish}


class Block(torch.nn.Module):
    """MBConv whose expand ratio and kernel are chosen per call; e None: no expansion."""

    def __init__(self, cin, cout, expand, kernels, stride, act):
        super().__init__()
        mid = divisible(cin * max(expand)) if expand else cin
        if expand:
            self.expand, self.expand_bn = weight(mid, cin, 1, 1), BatchNorm(mid)
        self.kernels = kernels
        self.depth, self.depth_bn = weight(mid, 1, kernels[-1], kernels[-1]), BatchNorm(mid)
        self.transforms = torch.nn.ParameterList(torch.nn.Parameter(torch.eye(k * k)) for k in kernels[:-1])
        self.project, self.project_bn = weight(cout, mid, 1, 1), BatchNorm(cout)
        self.cin, self.stride, self.act, self.residual = cin, stride, ACT[act], stride == 1 and cin == cout

    def depthwise(self, mid, kernel):
        w = self.depth[:mid]
        for i in range(len(self.kernels) - 2, -1, -1):
            k, larger = self.kernels[i], self.kernels[i + 1]
            if larger <= kernel:
                break
            m = (larger - k) // 2
            w = F.linear(w[:, :, m:m + k, m:m + k].reshape(mid, k * k), self.transforms[i]).view(mid, 1, k, k)
        return w

    def forward(self, x, e, k, update):
        y, mid = x, self.cin
        if e is not None:
            mid = divisible(self.cin * e)
            y = self.act(self.expand_bn(F.conv2d(y, self.expand[:mid]), update))
        y = F.conv2d(y, self.depthwise(mid, k), stride=self.stride, padding=k // 2, groups=mid)
        y = self.act(self.depth_bn(y, update))
        y = self.project_bn(F.conv2d(y, self.project[:, :mid]), update)
        return x + y if self.residual else y


class Supernet(torch.nn.Module):
    def __init__(self, space):
        super().__init__()
        stem, first, head = space["stem"], space["first"], space["head"]
        self.stem, self.stem_bn = weight(stem["channels"], space["in_channels"], 3, 3), BatchNorm(stem["channels"])
        self.stem_stride, self.stem_act = stem["stride"], ACT[stem["act"]]
        self.first = Block(stem["channels"], first["channels"], None, [3], first["stride"], first["act"])
        self.stages, channels = torch.nn.ModuleList(), first["channels"]
        for s in space["stages"]:
            blocks = torch.nn.ModuleList()
            for i in range(max(s["depth"])):
                blocks.append(Block(channels, s["channels"], s["expand"], s["kernel"], s["stride"] if i == 0 else 1, s["act"]))
                channels = s["channels"]
            self.stages.append(blocks)
        out = head["final_expand_channels"]
        self.final, self.final_bn, self.head_act = weight(out, channels, 1, 1), BatchNorm(out), ACT[head["act"]]
        self.classifier = torch.nn.Linear(out, space["classes"])

    def forward(self, x, config, update=False, dropout=0.0):
        x = self.stem_act(self.stem_bn(F.conv2d(x, self.stem, stride=self.stem_stride, padding=1), update))
        x = self.first(x, None, 3, update)
        b = 0
        for blocks, d in zip(self.stages, config["d"]):
            for i in range(d):
                x = blocks[i](x, config["e"][b + i], config["k"][b + i], update)
            b += len(blocks)
        x = self.head_act(self.final_bn(F.conv2d(x, self.final), update)).mean((2, 3))
        return self.classifier(F.dropout(x, dropout) if dropout else x)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--contiguous", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    work = json.load(open(args.tasks))
    layout = torch.contiguous_format if args.contiguous else torch.channels_last
    net = Supernet(work["space"]).to(memory_format=layout)
    images = torch.randn(work["batch"], work["space"]["in_channels"], 28, 28).to(memory_format=layout)
    labels = torch.randint(0, work["space"]["classes"], (work["batch"],))
    params = list(net.parameters())
    optimizer = torch.optim.SGD([{"params": [p for p in params if p.dim() > 1], "weight_decay": 1e-4},
                                 {"params": [p for p in params if p.dim() < 2], "weight_decay": 0}],
                                lr=0.01, momentum=0.9, nesterov=True)
    average = [p.detach().clone() for p in params]
    seconds = []
    for step, task in enumerate(work["tasks"]):
        start = time.perf_counter()
        logits = net(images, task[0], update=True, dropout=0.1)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        loss.backward()
        soft = logits.detach().softmax(1)
        for config in task[1:]:
            x = images
            if config["r"] != x.size(3):
                x = F.interpolate(x, size=(config["r"], config["r"]), mode="bilinear", antialias=True)
            F.cross_entropy(net(x, config), soft).backward()
        loss.item()
        torch.nn.utils.clip_grad_norm_(params, 5.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            torch._foreach_mul_(average, 0.999)
            torch._foreach_add_(average, params, alpha=0.001)
        if step >= WARM_UP:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"images_per_s": round(work["batch"] * len(seconds) / sum(seconds), 2),
                      "step_ms_mean": round(1e3 * sum(seconds) / len(seconds), 3),
                      "step_ms_median": round(1e3 * statistics.median(seconds), 3)}))


if __name__ == "__main__":
    main()
