// SPDX-License-Identifier: MIT
// Writes tests/data/parquet: one table of 60 rows by writers of other people, in the kinds of pages
// and compression that they make. Row i: index i, timestamp i / 10 (float), action: seven floats
// (7 i + c) / 4, state: i mod 4 doubles i + c / 8 (a list that may be empty; none where i mod 11 is 10),
// done: i mod 5 is 4, task "task N" of i mod 3 (none where i mod 7 is 6), large (i - 30) * 2^40,
// short i - 30 (int16), unsigned 250 - i (uint8), image.bytes: i bytes of value i.
// Run in a folder with them: npm install parquet-wasm apache-arrow hyparquet-writer
//   node --input-type=module - OUT <tests/data/make_parquet.mjs
import { writeFileSync } from "node:fs";
import * as arrow from "apache-arrow";
import * as wasm from "parquet-wasm";
import { parquetWriteBuffer } from "hyparquet-writer";

const out = process.argv[2];
const rows = [...Array(60).keys()];
const list = (n, of) => [...Array(n).keys()].map(of);
const columns = {
  index: rows.map((i) => BigInt(i)),
  timestamp: rows.map((i) => i / 10),
  action: rows.map((i) => list(7, (c) => (7 * i + c) / 4)),
  state: rows.map((i) => (i % 11 === 10 ? null : list(i % 4, (c) => i + c / 8))),
  done: rows.map((i) => i % 5 === 4),
  task: rows.map((i) => (i % 7 === 6 ? null : `task ${i % 3}`)),
  large: rows.map((i) => BigInt(i - 30) * 2n ** 40n),
  short: rows.map((i) => i - 30),
  unsigned: rows.map((i) => 250 - i),
  image: rows.map((i) => ({ bytes: new Uint8Array(i).fill(i), path: `${i}.png` })),
};

// ---- arrow's own writer in Rust: what a fixed list of floats, a struct and its dictionaries become ----
const item = (type) => new arrow.Field("item", type, true);
const types = {
  index: new arrow.Int64(),
  timestamp: new arrow.Float32(),
  action: new arrow.FixedSizeList(7, item(new arrow.Float32())),
  state: new arrow.List(item(new arrow.Float64())),
  done: new arrow.Bool(),
  task: new arrow.Utf8(),
  large: new arrow.Int64(),
  short: new arrow.Int16(),
  unsigned: new arrow.Uint8(),
  image: new arrow.Struct([
    new arrow.Field("bytes", new arrow.Binary(), true),
    new arrow.Field("path", new arrow.Utf8(), true),
  ]),
};
const table = new arrow.Table(
  Object.fromEntries(Object.keys(types).map((name) => [name, arrow.vectorFromArray(columns[name], types[name])])),
);
const kinds = [
  ["none-1", wasm.Compression.UNCOMPRESSED, wasm.WriterVersion.V1, true],
  ["snappy-1", wasm.Compression.SNAPPY, wasm.WriterVersion.V1, true],
  ["zstd-2", wasm.Compression.ZSTD, wasm.WriterVersion.V2, true],
  ["delta", wasm.Compression.ZSTD, wasm.WriterVersion.V2, false], // of which deltas are refused
  ["gzip-1", wasm.Compression.GZIP, wasm.WriterVersion.V1, false],
];
for (const [name, compression, version, dictionary] of kinds) {
  const properties = new wasm.WriterPropertiesBuilder()
    .setCompression(compression)
    .setWriterVersion(version)
    .setDictionaryEnabled(dictionary)
    .setMaxRowGroupSize(25)
    .build();
  const stream = arrow.tableToIPC(table, "stream");
  writeFileSync(`${out}/rust-${name}.parquet`, wasm.writeParquet(wasm.Table.fromIPCStream(stream), properties));
}

// ---- hyparquet-writer ----
const plain = {
  index: "INT64",
  timestamp: "FLOAT",
  done: "BOOLEAN",
  task: "STRING",
  large: "INT64",
  short: "INT32",
  unsigned: "INT32",
};
writeFileSync(
  `${out}/hyparquet.parquet`,
  new Uint8Array(
    parquetWriteBuffer({
      columnData: Object.keys(plain).map((name) => ({ name, data: columns[name], type: plain[name] })),
      rowGroupSize: 25,
    }),
  ),
);
