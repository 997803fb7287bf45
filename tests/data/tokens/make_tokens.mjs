// Makes tokenizer.json (the first 2,000 merges of a GPT-NeoX tokenizer.json) and tokens.json: texts and the ids an
// independent implementation gives them.
//   npm install @huggingface/tokenizers && node make_tokens.mjs 20B_tokenizer.json [all]
// With "all" the whole tokenizer is used, and tokenizer.json is it: for build/tests/test_bpe FOLDER.
import { Tokenizer } from "@huggingface/tokenizers";
import fs from "node:fs";

const json = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
if (process.argv[3] !== "all") {
  json.model.merges = json.model.merges.slice(0, 2000);
  const kept = new Set(json.model.merges.map(m => m.replace(" ", "")));
  json.model.vocab = Object.fromEntries(Object.entries(json.model.vocab).filter(([w]) => w.length === 1 || kept.has(w)));
}
fs.writeFileSync("tokenizer.json", JSON.stringify(json));
["<|endofchunk|>", "<image>", "<PAD>"].forEach((content, i) =>
  json.added_tokens.push({ id: 50277 + i, content, special: true, single_word: false, lstrip: false,
                           rstrip: false, normalized: false }));
const tokenizer = new Tokenizer(json, {});

const texts = new Set();
const colours = ["red", "blue", "pink", "green"];
const verbs = ["take the X block and rotate it to the right", "take the X block and rotate it to the left",
  "go push the X block right", "go push the X block left", "grasp and lift the X block",
  "lift the X block from the sliding cabinet", "lift the X block from the drawer",
  "store the grasped X block in the sliding cabinet", "slide the X block so that it falls into the drawer",
  "stack the X block on top of the blue one", "place the X block in the drawer", "pick up the X block",
  "rotate the X block 90 degrees to the right", "sweep the X block to the right", "turn the X block left",
  "in the cabinet grasp the X block", "push the X block towards the left side of the table"];
for (const v of verbs) for (const c of colours) texts.add(v.replace("X", c));
["pull the handle to open the drawer", "push the handle to close the drawer", "push the sliding door to the left side",
 "use the switch to turn on the light bulb", "press the button to turn on the led light", "toggle the light switch",
 "move the door all the way to the right", "remove the stacked block", "collapse the stacked blocks",
 "slide down the switch", "turn off the green light", "open the cabinet drawer"].forEach(t => texts.add(t));
// words of every length and shape, spacing, punctuation, numbers, contractions
const words = ["don't", "we'll", "I'm", "it's", "they've", "he'd", "you're", "IT'S", "x2", "3.14", "1,000", "block_7",
  "re-grasp", "left/right", "(carefully)", "\"quoted\"", "100%", "a@b.c", "#4", "$5", "C++", "...", "--", "!?", "~",
  "antidisestablishmentarianism", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "0123456789012345678901234567890"];
const spaces = [" ", "  ", "   ", "\t", "\n", "\r\n", " \n ", "\u00a0", "\u2003", "\u3000", " ".repeat(24), " ".repeat(25),
  " ".repeat(60)];
for (const w of words) { texts.add(w); texts.add(" " + w); texts.add(w + " "); }
for (const s of spaces) { texts.add(`lift${s}the${s}block`); texts.add(`${s}lift`); texts.add(`lift${s}`); }
// Unicode: scripts, marks composed and not, emoji, private use, what NFC changes
["Gr\u00fc\u00dfe", "Gru\u0308\u00dfe", "caf\u00e9", "cafe\u0301", "\u212b", "\ufb01n", "\u1e9b\u0323", "\u0374", "\u2126",
 "\uac00\ub098\ub2e4", "\u1100\u1161", "\u65e5\u672c\u8a9e\u306e\u547d\u4ee4", "\u4e2d\u6587", "\u0627\u0644\u0645\u0643\u0639\u0628",
 "\u05d0\u05d1\u05d2", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0e44\u0e17\u0e22", "\u041f\u043e\u0434\u043d\u0438\u043c\u0438",
 "\ud83e\udd16", "\ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67", "\ud83c\uddeb\ud83c\uddee", "\u00bd\u00b2\u2167", "\u0661\u0662",
 "\u200b", "\u2028", "\u0085", "\u00ad", "\ue000", "\ufffd", "a\u0300\u0301b", "\u0344", "\u0958", "\ud834\udd5e",
 "\u0000".replace("\u0000", "\u0001"), "\u007f", "\u00ff", "\u0100", "\u017f", "\u01c5"].forEach(t => {
  texts.add(t); texts.add("lift the " + t + " block"); texts.add(t + t); });
// special tokens in the text
["<image>", "a<image>b", "<|endoftext|>", "x <|endofchunk|> y", "<|padding|>", "<imag", "<|endoftext|", "<PAD>", "<image><image>",
 "<|endofchunk|><|endoftext|>"].forEach(t => texts.add(t));
// drawn at random, seeded
let seed = 7;
const draw = n => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
const bits = [...words, ...spaces, "\u00e9", "e\u0301", "\ud83e\udd16", "\u65e5", "'", "'s", "S", "t", "7", "<image>", "_", "."];
while (texts.size < 800) texts.add(Array.from({ length: 1 + draw(9) }, () => bits[draw(bits.length)]).join(draw(2) ? " " : ""));

const rows = [...texts].map(text => [text, tokenizer.encode(text, { add_special_tokens: false }).ids]);
fs.writeFileSync("tokens.json", "[" + rows.map(r => JSON.stringify(r)).join(",\n") + "]\n");
console.log(rows.length, "texts");
