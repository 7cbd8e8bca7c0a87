#!/usr/bin/env node
// A stdio MCP server (2025-11-25, no dependencies) whose one tool takes its time, so that progress
// and cancellation can be seen from both ends.
//
//   slow_wait {token}    reports progress every 20 ms until it is cancelled or 60 s have passed
//   slow_outcome {token} answers once that wait has ended: "cancelled" or "finished"
//
// A test therefore never sleeps: it waits for the first progress, cancels, and asks for the outcome.
import readline from 'node:readline';

const STEP_MS = 20;
const LIMIT_MS = 60_000;

const running = new Map(); // request id -> wait
const waits = new Map(); // token -> wait

const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n');
const text = (value) => ({ content: [{ type: 'text', text: value }] });
const schema = { type: 'object', properties: { token: { type: 'string' } }, required: ['token'], additionalProperties: false };
const tools = [
  { name: 'slow_wait', description: 'Waits for a minute and reports progress.', inputSchema: schema },
  { name: 'slow_outcome', description: 'Tells how the wait with this token ended, once it has.', inputSchema: schema }
];

function wait(token) {
  if (!waits.has(token)) {
    const made = {};
    made.ended = new Promise((resolve) => { made.end = resolve; });
    waits.set(token, made);
  }
  return waits.get(token);
}

function startWait(id, params) {
  const one = wait(params.arguments.token);
  const progressToken = params._meta?.progressToken;
  let progress = 0;
  const timer = setInterval(() => {
    progress += STEP_MS;
    if (progressToken !== undefined) {
      send({ method: 'notifications/progress', params: { progressToken, progress, total: LIMIT_MS, message: 'waiting' } });
    }
    if (progress >= LIMIT_MS) finish('finished');
  }, STEP_MS);
  const finish = (outcome) => {
    clearInterval(timer);
    running.delete(id);
    one.end(outcome);
    if (outcome === 'finished') send({ id, result: text('finished') });
  };
  running.set(id, finish);
}

function answer({ id, method, params = {} }) {
  switch (method) {
    case 'initialize':
      return send({ id, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'slow', version: '1.0.0' } } });
    case 'notifications/cancelled':
      return running.get(params.requestId)?.('cancelled');
    case 'ping':
      return send({ id, result: {} });
    case 'tools/list':
      return send({ id, result: { tools } });
    case 'tools/call':
      if (params.name === 'slow_wait') return startWait(id, params);
      if (params.name === 'slow_outcome') return wait(params.arguments.token).ended.then((outcome) => send({ id, result: text(outcome) }));
      return send({ id, error: { code: -32602, message: 'unknown tool' } });
    default:
      if (id !== undefined) send({ id, error: { code: -32601, message: `unknown method ${method}` } });
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => answer(JSON.parse(line))).on('close', () => process.exit(0));
