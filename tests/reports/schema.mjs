/* SPDX-License-Identifier: MIT */
/* JSON against the schemas in docs/: schema.mjs SCHEMA.json FILE.json ..
 *
 * Other tests import `valid`. As much of JSON Schema as the schemas use; a keyword that is not known here is an error, so that
 * none is believed to be checked. That the check can fail is checked too: in each file every object, with one key more or without
 * one that is required, must be refused. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const keywords = new Set(["$schema", "title", "description", "$defs", "$ref", "type", "enum", "minimum", "items", "minItems", "maxItems", "properties", "required", "additionalProperties"]);
const typeOf = (x) => (x === null ? "null" : Array.isArray(x) ? "array" : Number.isInteger(x) ? "integer" : typeof x);
export const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));
export const readSchema = (name) => readJson(new URL(`../../docs/${name}`, import.meta.url));

/* whole: the schema whose $defs are meant. */
export function valid(x, schema, where, whole = schema) {
  for (const keyword of Object.keys(schema)) assert.ok(keywords.has(keyword), `${where}: the schema's keyword ${keyword} is not known`);
  if (schema.$ref) return valid(x, whole.$defs[schema.$ref.replace("#/$defs/", "")], where, whole);
  const types = [schema.type ?? []].flat(), type = typeOf(x);
  assert.ok(!types.length || types.includes(type) || (type === "integer" && types.includes("number")), `${where} is ${type}, not ${types}`);
  if (schema.enum) assert.ok(schema.enum.includes(x), `${where} is ${x}`);
  if (schema.minimum !== undefined && typeof x === "number") assert.ok(x >= schema.minimum, `${where} is ${x}`);
  if (type === "array") {
    assert.ok(x.length >= (schema.minItems ?? 0) && x.length <= (schema.maxItems ?? Infinity), `${where} has ${x.length} items`);
    x.forEach((item, i) => valid(item, schema.items, `${where}[${i}]`, whole));
  }
  if (type !== "object") return;
  assert.equal(schema.additionalProperties, false, `${where}: the schema allows what it does not name`);
  for (const key of schema.required ?? []) assert.ok(key in x, `${where} has no ${key}`);
  for (const [key, value] of Object.entries(x)) {
    assert.ok(Object.hasOwn(schema.properties, key), `${where}.${key} is not in the schema`);
    valid(value, schema.properties[key], `${where}.${key}`, whole);
  }
}

/* Calls with each kind of object once: those of a list and of its neighbours are alike. */
function eachObject(x, path, seen, act) {
  if (x === null || typeof x !== "object") return;
  const kind = path.replace(/\[\d+\]/g, "[]");
  if (!Array.isArray(x) && !seen.has(kind)) { seen.add(kind); act(x, path); }
  for (const [key, value] of Object.entries(x)) eachObject(value, Array.isArray(x) ? `${path}[${key}]` : `${path}.${key}`, seen, act);
}

/* Whether a key that the schema does not name would be found, wherever it were added. */
export function refusesMore(file, schema) {
  const kinds = new Set();
  eachObject(file, "the file", kinds, (object, path) => {
    object.not_in_any_schema = 1;
    assert.throws(() => valid(file, schema, "the file"), /not_in_any_schema is not in the schema/, `a key more in ${path}`);
    delete object.not_in_any_schema;
  });
  for (const key of schema.required) {
    const { [key]: _, ...rest } = file;
    assert.throws(() => valid(rest, schema, "the file"), /has no/, `without ${key}`);
  }
  return kinds.size;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [name, ...paths] = process.argv.slice(2), schema = readSchema(name);
  for (const path of paths) {
    const file = readJson(path);
    valid(file, schema, path);
    console.log(`${path} is as docs/${name} says, in ${refusesMore(file, schema)} kinds of objects`);
  }
}
