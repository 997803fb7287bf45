#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes linear_matrix_q8.words and linear_matrix_bf16.words of linear_matrix.comp: SPIR-V for
VK_KHR_cooperative_matrix, which Debian 12's compiler does not know. It knows NVIDIA's older extension;
what that has in other words is said in Khronos' here, and bfloat16 takes the place of float16.

    python3 runtime/gpu/shaders/matrix_code.py            # makes them anew
    python3 runtime/gpu/shaders/matrix_code.py --check    # says whether they are what it would make
    python3 runtime/gpu/shaders/matrix_code.py --binary FOLDER    # as .spv, for spirv-dis and spirv-val

The compiler is glslangValidator of Debian 12 (12.0.0), or $GLSLANG; others number differently.
"""
import os
import struct
import subprocess
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
CODES = {"linear_matrix_q8": [], "linear_matrix_bf16": ["-DHALVES"]}
HEADER = 5

# Instructions (SPIR-V 1.6; SPV_NV_ and SPV_KHR_cooperative_matrix; SPV_KHR_bfloat16).
SOURCE, SOURCE_EXTENSION, NAME, MEMBER_NAME, EXTENSION = 3, 4, 5, 6, 10
CAPABILITY, TYPE_INT, TYPE_FLOAT, CONSTANT_TRUE, CONSTANT_FALSE, CONSTANT = 17, 21, 22, 41, 42, 43
NV_TYPE, NV_LOAD, NV_STORE, NV_MULTIPLY_ADD, NV_LENGTH = 5358, 5359, 5360, 5361, 5362
KHR_TYPE, KHR_LOAD, KHR_STORE, KHR_MULTIPLY_ADD = 4456, 4457, 4458, 4459
LEFT, RIGHT, ACCUMULATOR = 0, 1, 2  # uses of a matrix
ROW_MAJOR, COLUMN_MAJOR = 0, 1  # memory layouts
ALL_SIGNED = 15  # a, b, c and the result
BFLOAT16 = 0  # an encoding of floats
INSTEAD_OF = {  # capabilities: CooperativeMatrixNV, Float16
    5357: [6022],  # CooperativeMatrixKHR
    9: [5116, 5118],  # BFloat16TypeKHR, BFloat16CooperativeMatrixKHR
}
NV_EXTENSION, KHR_EXTENSION = "SPV_NV_cooperative_matrix", "SPV_KHR_cooperative_matrix"


def compiled(options):
    """Words of what the compiler makes of the shader."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "code.spv")
        subprocess.run([os.environ.get("GLSLANG", "glslangValidator"), "-V", *options, "--target-env",
                        "vulkan1.1", "-o", path, os.path.join(FOLDER, "linear_matrix.comp")],
                       check=True, stdout=subprocess.DEVNULL)
        with open(path, "rb") as file:
            data = file.read()
    return list(struct.unpack(f"<{len(data) // 4}I", data))


def instructions(words):
    """(opcode, operands) of each, behind the header."""
    at = HEADER
    while at < len(words):
        count = words[at] >> 16
        yield words[at] & 0xFFFF, words[at + 1:at + count]
        at += count


def text(operands):
    return struct.pack(f"<{len(operands)}I", *operands).split(b"\0")[0].decode()


def extension(name):
    data = name.encode() + b"\0" * (4 - len(name) % 4)
    return EXTENSION, list(struct.unpack(f"<{len(data) // 4}I", data))


class Translation:
    """One module: ids are looked up in what came before, as SPIR-V declares them."""

    def __init__(self, words):
        self.list = list(instructions(words))
        self.bound = words[3]
        self.type_of = {}  # of results that are matrices
        self.constant = {}  # value: id, of the unsigned constants that are added
        self.truth = {o[1]: op == CONSTANT_TRUE for op, o in self.list
                      if op in (CONSTANT_TRUE, CONSTANT_FALSE)}
        self.uint = next(o[0] for op, o in self.list if op == TYPE_INT and o[1:] == [32, 0])
        self.floats = {o[0]: o[1] for op, o in self.list if op == TYPE_FLOAT}
        self.component = {o[0]: o[1] for op, o in self.list if op == NV_TYPE}
        self.types = {o[1]: o[0] for _, o in self.list if len(o) > 1 and o[0] in self.component}
        self.uses = self.find_uses()

    def find_uses(self):
        """What each type of matrix is used for, by the products they are in."""
        uses = {}
        for op, o in self.list:
            if op == NV_MULTIPLY_ADD:
                kinds = [(self.types[o[2]], LEFT), (self.types[o[3]], RIGHT),
                         (self.types[o[4]], ACCUMULATOR), (o[0], ACCUMULATOR)]
                for kind, use in kinds:
                    if uses.setdefault(kind, use) != use:
                        sys.exit("a type of matrix with two uses")
        if sorted(uses.values()) != [LEFT, RIGHT, ACCUMULATOR] or set(uses) != set(self.component):
            sys.exit("more or fewer types of matrices than a product has")
        return uses

    def constants(self):
        """Uses and layouts, declared before the first type of a matrix."""
        for value in (0, 1, 2):
            self.constant[value] = self.bound
            self.bound += 1
            yield CONSTANT, [self.uint, self.constant[value], value]

    def layout(self, by_columns):
        return self.constant[COLUMN_MAJOR if self.truth[by_columns] else ROW_MAJOR]

    def one(self, op, o):
        """What stands for an instruction: any number of them."""
        if op in (SOURCE, SOURCE_EXTENSION, NAME, MEMBER_NAME):
            return []
        if op == CAPABILITY and o[0] in INSTEAD_OF:
            return [(CAPABILITY, [c]) for c in INSTEAD_OF[o[0]]]
        if op == EXTENSION and text(o) == NV_EXTENSION:
            more = [extension("SPV_KHR_bfloat16")] if 16 in self.floats.values() else []
            return [extension(KHR_EXTENSION)] + more
        if op == TYPE_FLOAT and o[1] == 16:
            return [(op, o + [BFLOAT16])]
        if op == NV_TYPE:
            added = list(self.constants()) if not self.constant else []
            return added + [(KHR_TYPE, o + [self.constant[self.uses[o[0]]]])]
        if op == NV_LOAD:  # type, result, pointer, stride, by columns, how
            return [(KHR_LOAD, o[:3] + [self.layout(o[4]), o[3]] + o[5:])]
        if op == NV_STORE:  # pointer, object, stride, by columns, how
            return [(KHR_STORE, o[:2] + [self.layout(o[3]), o[2]] + o[4:])]
        if op == NV_MULTIPLY_ADD:
            whole = self.component[o[0]] not in self.floats
            return [(KHR_MULTIPLY_ADD, o + ([ALL_SIGNED] if whole else []))]
        if op == NV_LENGTH:
            sys.exit("lengths of matrices are not translated")
        return [(op, o)]

    def words(self, version):
        code = []
        for op, o in self.list:
            for new, operands in self.one(op, o):
                code += [(len(operands) + 1) << 16 | new] + operands
        return [0x07230203, version, 0, self.bound, 0] + code


def made(options):
    words = compiled(options)
    return Translation(words).words(words[1])


def page(name, words):
    lines = [f"// SPDX-License-Identifier: MIT\n// {name}.words - SPIR-V of linear_matrix.comp, made by matrix_code.py.\n"]
    for at in range(0, len(words), 12):
        lines.append("".join(f"{w:#x}," for w in words[at:at + 12]) + "\n")
    return "".join(lines)


def main():
    different = 0
    for name, options in CODES.items():
        words = made(options)
        path, wanted = os.path.join(FOLDER, name + ".words"), page(name, words)
        if sys.argv[1:2] == ["--binary"]:
            with open(os.path.join(sys.argv[2], name + ".spv"), "wb") as file:
                file.write(struct.pack(f"<{len(words)}I", *words))
            continue
        if sys.argv[1:] == ["--check"]:
            with open(path, encoding="ascii") as file:
                if file.read() != wanted:
                    print(f"{path} is not what {os.path.basename(__file__)} makes: run that")
                    different = 1
            continue
        with open(path, "w", encoding="ascii") as file:
            file.write(wanted)
    return different


if __name__ == "__main__":
    sys.exit(main())
