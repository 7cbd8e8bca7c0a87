// Counts tokens: one JSON array of texts on standard input, one of numbers on standard output.
// The encoding is o200k_base, whose vocabulary is in the package.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { countTokens } = createRequire(`${process.argv[2]}/`)("gpt-tokenizer/encoding/o200k_base");
const texts = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(texts.map((text) => countTokens(text))));
