#!/usr/bin/python3
"""Writes two tables into tests/data/parquet, by hand after the format's description (parquet.thrift).

again.parquet: 100 bytes that two row groups name, each as five million times the number 7: what a
reader must not believe of so few bytes. levels.parquet: three rows of the column `x`, 1, 2, 3, as
Spark writes them, with BIT_PACKED named as the encoding of levels that are not there; and of `y`,
none at all, in a page of version 2 whose values, of which there are none, are not compressed.
Run: /usr/bin/python3 tests/data/make_odd_parquet.py
"""
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__)) + "/parquet/"
MANY = 5_000_000


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def fields(*items):
    """Thrift's compact protocol: (number, kind, data) each."""
    out, last = b"", 0
    for number, kind, data in items:
        out += bytes([(number - last) << 4 | kind]) + data
        last = number
    return out + b"\0"


def i32(number, n):
    return (number, 5, varint(2 * n))


def i64(number, n):
    return (number, 6, varint(2 * n))


def text(number, s):
    return (number, 8, varint(len(s)) + s.encode())


def structs(number, items):
    return (number, 9, bytes([len(items) << 4 | 12]) + b"".join(items))


def page(kind, inner, data):
    """kind 0: data, 2: dictionary, 3: data of version 2; with its header's own struct."""
    number = {0: 5, 2: 7, 3: 8}[kind]
    return fields(i32(1, kind), i32(2, len(data)), i32(3, len(data)), (number, 12, inner)) + data


def chunk(codec, values, at, size, dictionary):
    meta = [i32(1, 2), (2, 9, b"\x15\0"), (3, 9, b"\x18\1x"), i32(4, codec), i64(5, values), i64(6, size),
            i64(7, size), i64(9, at)]
    return fields(i64(2, at), (3, 12, fields(*meta, *([i64(11, dictionary)] if dictionary else []))))


def table(name, body, columns, rows, groups):
    """columns: (name, repetition); groups: their chunks and rows."""
    schema = [fields(text(4, "schema"), i32(5, len(columns)))]
    schema += [fields(i32(1, 2), i32(3, repetition), text(4, column)) for column, repetition in columns]
    footer = fields(i32(1, 1), structs(2, schema), i64(3, rows),
                    structs(4, [fields(structs(1, chunks), i64(2, 1), i64(3, n)) for chunks, n in groups]))
    with open(HERE + name + ".parquet", "wb") as f:
        f.write(b"PAR1" + body + footer + struct.pack("<I", len(footer)) + b"PAR1")


def again():
    words = page(2, fields(i32(1, 1), i32(2, 0)), struct.pack("<q", 7))
    # indices of no bits: all are the first word
    data = page(0, fields(i32(1, MANY), i32(2, 8), i32(3, 3), i32(4, 3)), b"\0")
    part = chunk(0, MANY, 4 + len(words), len(words + data), 4)
    table("again", words + data, [("x", 0)], 2 * MANY, [([part], MANY), ([part], MANY)])


def levels():
    x = page(0, fields(i32(1, 3), i32(2, 0), i32(3, 4), i32(4, 4)), struct.pack("<3q", 1, 2, 3))
    inner = fields(i32(1, 3), i32(2, 3), i32(3, 3), i32(4, 0), i32(5, 2), i32(6, 0))
    y = page(3, inner, b"\x06\0")  # a run of three zeros: no value is there; Snappy
    table("levels", x + y, [("x", 0), ("y", 1)], 3,
          [([chunk(0, 3, 4, len(x), 0), chunk(1, 3, 4 + len(x), len(y), 0)], 3)])


again()
levels()
