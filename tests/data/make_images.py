#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes tests/data/images.h5: what PIL and torchvision's Resize and CenterCrop make of odd image sizes.

    python3 make_images.py images.h5

Groups with `image` [H,W,3] and `resized` [S,S,3], both u8. Development only: needs python3-h5py and -pil.
"""
import sys

import h5py
import numpy as np
from PIL import Image

CASES = [  # height, width, side
    (40, 40, 17), (13, 13, 28), (20, 20, 20),  # smaller, larger, the same
    (30, 47, 24), (61, 20, 33),                # not square
    (24, 40, 24), (40, 24, 24),                # only cropped
    (10, 12, 7), (15, 10, 7), (10, 19, 8),     # crops that lie at half a pixel: rounded to even
    (1, 9, 4), (9, 1, 3), (70, 30, 1),        # extremes
    (75, 101, 32), (50, 51, 67), (24, 17, 24), # more than one block of rows and columns
]


def main():
    random = np.random.default_rng(3)
    with h5py.File(sys.argv[1], "w") as f:
        for height, width, side in CASES:
            # sharp edges overshoot under a bicubic filter: 0 and 255 must clip, not wrap
            pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
            pixels[random.random((height, width)) < 0.5] = 0
            pixels[random.random((height, width)) < 0.3] = 255
            image, short = Image.fromarray(pixels), min(width, height)
            image = image.resize((int(side * width / short), int(side * height / short)), Image.BICUBIC)
            left, top = int(round((image.width - side) / 2.0)), int(round((image.height - side) / 2.0))
            group = f.create_group(f"{height}x{width}_to_{side}")
            group["image"] = pixels
            group["resized"] = np.asarray(image.crop((left, top, left + side, top + side)))


if __name__ == "__main__":
    main()
