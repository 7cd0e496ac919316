#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a few PNG images of noise as an image folder: what dsn export verifies files on where no data set is at hand.

usage: noise_images.py DIR
"""
import os
import random
import struct
import sys
import zlib

SIDE = 64


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def write_png(path):
    rows = b''.join(b'\0' + bytes(random.randrange(256) for _ in range(SIDE * 3)) for _ in range(SIDE))
    header = struct.pack('>IIBBBBB', SIDE, SIDE, 8, 2, 0, 0, 0)
    with open(path, 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


random.seed(1)
for part in ('train', 'val', 'test'):
    for name in range(10):
        folder = os.path.join(sys.argv[1], part, f'{name:03}')
        os.makedirs(folder, exist_ok=True)
        write_png(os.path.join(folder, 'noise.png'))
