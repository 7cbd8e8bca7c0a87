// An MCP server over standard input and output (2025-11-25) whose tools are those of a file: a JSON array of `Tool`
// objects. It is read anew for each listing, and whenever it changes the client is told.
//
//   node changing.mjs FILE
//
// A call answers its arguments, as text and as structured content.
import { readFileSync, statSync } from "node:fs";
import { createInterface } from "node:readline";

const file = process.argv[2];
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const stamp = () => {
  try {
    const { mtimeMs, size, ino } = statSync(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return "none";
  }
};

const answers = {
  initialize: () => ({
    protocolVersion: "2025-11-25",
    capabilities: { tools: { listChanged: true } },
    serverInfo: { name: "changing", version: "1" },
  }),
  ping: () => ({}),
  "tools/list": () => ({ tools: JSON.parse(readFileSync(file, "utf8")) }),
  "tools/call": ({ arguments: given = {} }) => ({
    content: [{ type: "text", text: JSON.stringify(given) }],
    structuredContent: given,
  }),
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined) return;
    const answer = answers[method];
    if (answer) send({ id, result: answer(params ?? {}) });
    else send({ id, error: { code: -32601, message: "unknown" } });
  })
  .on("close", () => process.exit(0));

let before = stamp();
setInterval(() => {
  const now = stamp();
  if (now !== before) {
    before = now;
    send({ method: "notifications/tools/list_changed" });
  }
}, 20);
