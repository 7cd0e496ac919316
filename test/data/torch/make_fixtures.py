#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the checkpoints beside it with PyTorch (Debian's python3-torch 1.13). Tests read the files; they need no Python.

All tiny.*.pth hold one network, in Once-for-All's names, of the space in tiny.space.json. Every value is a multiple of 1/64, so
that half precision holds it too, and follows from the tensor's name in dsn and its index: see value().
"""
import collections
import json
import pathlib
import zipfile

import torch

HERE = pathlib.Path(__file__).parent
SEEDS = HERE.parent.parent / "fuzz/corpus/torch_file"


def value(name, count):
    start = 13 * sum(name.encode())
    low = [((7 * i + start) % 64) / 64 for i in range(count)]
    return [v if name.endswith("running_var") else v - 0.5 for v in low]


def tensor(name, shape):
    count = 1
    for d in shape:
        count *= d
    return torch.tensor(value(name, count)).reshape(shape)


def network():
    """[(name in dsn, name in Once-for-All without wrappers, shape)], by hand from the space: stem 8, first 8, stages 8 and 16."""
    out = []

    def conv_bn(ours, theirs, shape):
        out.append((ours + ".conv.weight", theirs + ".conv.weight", shape))
        for part in ("weight", "bias", "running_mean", "running_var"):
            out.append((f"{ours}.bn.{part}", f"{theirs}.bn.{part}", (shape[0],)))

    conv_bn("stem", "first_conv", (8, 3, 3, 3))
    conv_bn("first.depth", "blocks.0.conv.depth_conv", (8, 1, 3, 3))
    conv_bn("first.project", "blocks.0.conv.point_linear", (8, 8, 1, 1))
    # in, expanded, out, squeezed
    for n, (i, mid, o, se) in enumerate([(8, 24, 8, 0), (8, 24, 8, 0), (8, 32, 16, 8), (16, 64, 16, 16)]):
        ours, theirs = f"blocks.{n}", f"blocks.{n + 1}.conv"
        conv_bn(ours + ".expand", theirs + ".inverted_bottleneck", (mid, i, 1, 1))
        conv_bn(ours + ".depth", theirs + ".depth_conv", (mid, 1, 7, 7))
        for a, b in ((7, 5), (5, 3)):
            out.append((f"{ours}.depth.transform_{a}to{b}", f"{theirs}.depth_conv.conv.{a}to{b}_matrix", (b * b, b * b)))
        if se:
            for half, (x, y) in (("reduce", (se, mid)), ("expand", (mid, se))):
                out.append((f"{ours}.se.{half}.weight", f"{theirs}.depth_conv.se.fc.{half}.weight", (x, y, 1, 1)))
                out.append((f"{ours}.se.{half}.bias", f"{theirs}.depth_conv.se.fc.{half}.bias", (x,)))
        conv_bn(ours + ".project", theirs + ".point_linear", (o, mid, 1, 1))
    conv_bn("final_expand", "final_expand_layer", (32, 16, 1, 1))
    out.append(("feature_mix.weight", "feature_mix_layer.conv.weight", (24, 32, 1, 1)))
    out.append(("classifier.weight", "classifier.linear.weight", (4, 24)))
    out.append(("classifier.bias", "classifier.linear.bias", (4,)))
    return out


def wrapped(theirs):
    """Elastic layers wrap plain ones."""
    if theirs.startswith("blocks.") and not theirs.startswith("blocks.0."):
        theirs = theirs.replace(".bn.", ".bn.bn.")
        for layer in ("inverted_bottleneck", "depth_conv", "point_linear"):
            theirs = theirs.replace(layer + ".conv.weight", layer + ".conv.conv.weight")
    return theirs


def counters(state):
    for name in list(state):
        if name.endswith("running_var"):
            state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
    return state


def main():
    space = {
        "schema": "dsn.space", "schema_version": 1, "name": "tiny-ofa", "source": "test", "in_channels": 3, "classes": 4,
        "width_mult": 1.0, "bn_eps": 1e-5, "resolutions": [32, 64], "stem": {"channels": 8, "stride": 2, "act": "hswish"},
        "first": {"channels": 8, "stride": 1, "act": "relu"},
        "stages": [
            {"channels": 8, "stride": 2, "act": "relu", "se": False, "depth": [1, 2], "expand": [2, 3], "kernel": [3, 5, 7]},
            {"channels": 16, "stride": 2, "act": "hswish", "se": True, "depth": [1, 2], "expand": [2, 4], "kernel": [3, 5, 7]}],
        "head": {"final_expand_channels": 32, "feature_channels": 24, "act": "hswish"}}
    (HERE / "tiny.space.json").write_text(json.dumps(space, indent=2) + "\n")
    parts = network()

    # A state_dict alone, newer names, legacy format.
    plain = counters(collections.OrderedDict((wrapped(theirs), tensor(ours, shape)) for ours, theirs, shape in parts))
    torch.save(plain, HERE / "tiny.legacy.pth", _use_new_zipfile_serialization=False)

    # As a training script saves it: data-parallel names of the older generation, an optimizer beside.
    old = collections.OrderedDict(
        ("module." + wrapped(theirs).replace(".conv.", ".mobile_inverted_conv.", 1 if theirs.startswith("blocks.") else 0), tensor(ours, shape))
        for ours, theirs, shape in parts)
    beside = {"epoch": 12, "best_acc": 76.5, "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}},
                                                            "param_groups": [{"lr": 0.1, "params": [0]}]}}
    torch.save({"state_dict": counters(old), **beside}, HERE / "tiny.training.legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": old, **beside}, HERE / "tiny.training.zip.pth")

    # One storage for all vectors; half, bfloat16 and double; convolutions in channels-last, matrices transposed; parameters.
    odd, flat, at = collections.OrderedDict(), torch.zeros(20000), 3
    for n, (ours, theirs, shape) in enumerate(parts):
        t = tensor(ours, shape)
        if len(shape) == 1:
            view = flat[at:at + 2 * shape[0]:2]
            at += 2 * shape[0] + 1
            view.copy_(t)
            t = view
        elif len(shape) == 4:
            t = t.contiguous(memory_format=torch.channels_last)
            t = (t, t.half(), t.bfloat16(), t.double())[n % 4]
        else:
            t = t.t().contiguous().t()
        odd[theirs] = torch.nn.Parameter(t) if n % 3 == 0 else t
    torch.save(odd, HERE / "tiny.odd.zip.pth")
    # The same archive with its entries compressed, by another tool.
    with zipfile.ZipFile(HERE / "tiny.odd.zip.pth") as source, \
            zipfile.ZipFile(HERE / "tiny.deflated.zip.pth", "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            target.writestr(zipfile.ZipInfo(item.filename), source.read(item), zipfile.ZIP_DEFLATED)
    (HERE / "tiny.odd.zip.pth").unlink()

    # What must be refused: 2 MiB of zeros in 2 KiB; an archive of a big-endian machine.
    for name, order, values in (("bomb.zip.pth", b"little", torch.zeros(1 << 19)), ("big-endian.zip.pth", b"big", torch.zeros(2))):
        torch.save({"w": values}, HERE / "plain.pth")
        with zipfile.ZipFile(HERE / "plain.pth") as source, zipfile.ZipFile(HERE / name, "w") as target:
            for item in source.infolist():
                target.writestr(zipfile.ZipInfo(item.filename), source.read(item), zipfile.ZIP_DEFLATED)
            target.writestr(zipfile.ZipInfo("plain/byteorder"), order)
        (HERE / "plain.pth").unlink()

    # Seeds for the fuzzer: as small as they come.
    SEEDS.mkdir(parents=True, exist_ok=True)
    pair = torch.arange(6.0)
    small = {"a": pair.reshape(2, 3), "b": pair[1::2].half(), "n": torch.tensor(3)}
    torch.save(small, SEEDS / "small.legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(small, SEEDS / "small.zip.pth")
    nested = {"state_dict": collections.OrderedDict(x=torch.nn.Parameter(pair.reshape(3, 2).t())), "epoch": 3, "f": 0.5}
    torch.save(nested, SEEDS / "nested.legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(nested, SEEDS / "nested.p4.zip.pth", pickle_protocol=4)
    torch.save(nested, SEEDS / "nested.p4.legacy.pth", pickle_protocol=4, _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(SEEDS / "small.zip.pth") as source, zipfile.ZipFile(SEEDS / "deflated.zip.pth", "w") as target:
        for item in source.infolist():
            target.writestr(zipfile.ZipInfo(item.filename), source.read(item), zipfile.ZIP_DEFLATED)

    def safetensors(name, header, data):
        text = json.dumps(header).encode()
        text += b" " * (-(8 + len(text)) % 8)
        folder = SEEDS.parent / "safetensors"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(len(text).to_bytes(8, "little") + text + data)

    safetensors("three.safetensors",
                {"__metadata__": {"k": "v"}, "n": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]},
                 "w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [8, 24]},
                 "m": {"dtype": "U8", "shape": [3], "data_offsets": [24, 27]}}, bytes(range(27)))
    safetensors("empty.safetensors", {}, b"")
    safetensors("unaligned.safetensors", {"m": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
                                          "w": {"dtype": "F32", "shape": [], "data_offsets": [1, 5]}}, bytes(5))


main()
