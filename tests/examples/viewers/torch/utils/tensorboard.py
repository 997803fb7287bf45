# SPDX-License-Identifier: MIT
"""Takes down what examples/serve/log_to_viewer.py says to TensorBoard."""


class SummaryWriter:
    def __init__(self, folder):
        self.folder = folder

    def add_scalar(self, name, value, i):
        print("tensorboard", self.folder, name, float(value), int(i))
