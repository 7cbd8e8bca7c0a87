#!/usr/bin/env node
// An MCP server over standard input and output for tests of child processes. No dependencies, Node >= 18.
// Usage: node stdio.mjs MODE
//   legacy          speaks 2025-06-18 with `initialize`; knows no `server/discover`
//   modern          speaks 2026-07-28; knows no `initialize`
//   fragile         like legacy, and exits when it is asked anything before `initialize`
//   exit            exits when it is asked anything
//   silent          reads and never answers
//   deaf            does not read, does not answer, and stays when its input ends or SIGTERM comes
//   future          answers `initialize` with a revision that nobody knows
//   session:REVISION  like legacy, and speaks this revision
//   chatty          prints lines that are no messages, for ever
//   elsewhere FILE  like legacy, and appends to FILE each time it is started
//   flood FILE      like elsewhere; as long as it was started once, it sends notifications as fast as it can
//   fickle FILE     like elsewhere; as long as it was started once, each list of its tools is another one
// Tools: see TOOLS.
import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [mode = 'legacy', file] = process.argv.slice(2);
const MODERN = '2026-07-28';
const meta = (name) => 'io.modelcontextprotocol/' + name;
const FLOOD = (JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } }) + '\n').repeat(500);
const starts = () => readFileSync(file, 'utf8').trim().split('\n').length;
const put = (message) => process.stdout.write(JSON.stringify(message) + '\n');
const text = (value) => ({ content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] });

let calls = 0;
let changed = false;
let subscription;
const asked = new Map(); // our requests to the client, by id

// Each tool takes (arguments, request, raw line) and gives a result, or nothing if it answers by itself or never.
const TOOLS = {
  echo: (a) => text(a),
  environment: () => text(process.env),
  where: () => text(process.cwd()),
  era: (a, m) => text(m.params._meta?.[meta('protocolVersion')] ?? 'session'),
  crash: () => process.exit(1),
  crash_first: () => { if (starts() === 1) process.exit(1); return text(`start ${starts()}`); },
  never: () => undefined,
  pids: () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    return text({ own: process.pid, child: child.pid });
  },
  progress: (a, m) => {
    const progressToken = m.params._meta?.progressToken;
    for (const progress of [1, 2]) put({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress, total: 2, message: 'secret' } });
    return text('done');
  },
  grow: () => { changed = true; put({ jsonrpc: '2.0', method: 'notifications/tools/list_changed', ...(subscription === undefined ? {} : { params: { _meta: { [meta('subscriptionId')]: subscription } } }) }); return text('grown'); },
  ask: (a, m) => {
    const answers = [];
    const methods = a?.methods ?? ['ping', 'sampling/createMessage'];
    for (const method of methods) {
      const id = `ask-${method}`;
      asked.set(id, (answer) => { answers.push(answer.error?.code ?? answer.result); if (answers.length === methods.length) put({ jsonrpc: '2.0', id: m.id, result: text(answers) }); });
      put({ jsonrpc: '2.0', id, method, params: {} });
    }
  },
  watched: () => text([...watched].sort()),
  touch: (a) => { put({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: a.uri } }); return text('touched'); },
  cancelled: () => text(cancelled),
  batch: (a, m) => { put([{ jsonrpc: '2.0', method: 'notifications/message' }, { jsonrpc: '2.0', id: m.id, result: text('second of three') }, { jsonrpc: '2.0', method: 'notifications/message' }]); },
  // Misbehaviour:
  other_id: (a, m) => { put({ jsonrpc: '2.0', id: m.id + 1000, result: text('for another') }); },
  text_id: (a, m) => { put({ jsonrpc: '2.0', id: String(m.id), result: text('by text') }); },
  both: (a, m) => { put({ jsonrpc: '2.0', id: m.id, result: text('both'), error: { code: 1, message: 'both' } }); },
  twice: (a, m) => { put({ jsonrpc: '2.0', id: m.id, result: text('first') }); put({ jsonrpc: '2.0', id: m.id, result: text('second') }); },
  no_object: (a, m) => { put({ jsonrpc: '2.0', id: m.id, result: 'done' }); },
  not_utf8: (a, m) => { process.stdout.write(Buffer.concat([Buffer.from(`{"jsonrpc":"2.0","id":${m.id},"result":{"a":"`), Buffer.from([0xff]), Buffer.from('"}}\n')])); },
  mimic: (a, m) => {
    asked.set(m.id, (answer) => put({ jsonrpc: '2.0', id: m.id, result: text(answer.error.code) }));
    put({ jsonrpc: '2.0', id: m.id, method: 'ping', params: [] });
  },
  noise: () => { process.stdout.write('listening on nothing\n\n{"half":\n'); return text('after the noise'); },
  large: () => text('x'.repeat(400 * 1024)),
  huge: (a, m) => { process.stdout.write(`{"jsonrpc":"2.0","id":${m.id},"result":{"a":"${'x'.repeat(17 * 1024 * 1024)}"}}\n`); },
  refuse: () => { throw { code: -32602, message: 'no such\nregion' }; }, // eslint-disable-line no-throw-literal
  input: () => ({ resultType: 'input_required', inputRequests: {} })
};
const cancelled = [];
const watched = new Set();
const ARGUMENTS = { ask: { methods: { type: 'array', items: { type: 'string' } } }, touch: { uri: { type: 'string' } } };
const definition = (name) => ({ name, description: `Test tool ${name}`, inputSchema: { type: 'object', ...(ARGUMENTS[name] ? { properties: ARGUMENTS[name] } : {}) } });

function dispatch(m, line) {
  switch (m.method) {
    case 'initialize':
      if (mode === 'flood' && starts() === 1) setInterval(() => process.stdout.write(FLOOD), 1);
      if (mode === 'modern') throw { code: -32601, message: `speaks ${MODERN} only` };
      return { protocolVersion: mode === 'future' ? '2099-01-01' : mode.split('session:')[1] ?? '2025-06-18', serverInfo: { name: 'stdio', version: '1' }, capabilities: { tools: { listChanged: true }, resources: { subscribe: true } } };
    case 'server/discover':
      if (mode !== 'modern') break;
      return { resultType: 'complete', supportedVersions: [MODERN], capabilities: { tools: { listChanged: true }, resources: { subscribe: true } } };
    case 'resources/subscribe':
      watched.add(m.params.uri);
      return {};
    case 'resources/unsubscribe':
      watched.delete(m.params.uri);
      return {};
    case 'subscriptions/listen':
      subscription = m.id;
      watched.clear();
      for (const uri of m.params.notifications.resourceSubscriptions ?? []) watched.add(uri);
      return undefined;
    case 'resources/list':
      return { resources: [] };
    case 'resources/templates/list':
      return { resourceTemplates: [] };
    case 'tools/list':
      if (mode === 'fickle' && starts() === 1) {
        calls += 1;
        setImmediate(() => put({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }));
        return { tools: [{ ...definition('echo'), description: `Test tool, version ${calls}` }] };
      }
      return { tools: [...Object.keys(TOOLS).map(definition), ...(changed ? [definition('late')] : [])] };
    case 'tools/call':
      calls += 1;
      return TOOLS[m.params.name]?.(m.params.arguments, m, line);
  }
  throw { code: -32601, message: `unknown method ${m.method}` };
}

if (file) appendFileSync(file, `${process.pid}\n`);
if (mode === 'deaf') { process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); }
else if (mode === 'chatty') setInterval(() => process.stdout.write('hello\n'.repeat(50)), 1);
else createInterface({ input: process.stdin }).on('line', (line) => {
  const m = JSON.parse(line);
  if (mode === 'silent') return;
  if (mode === 'exit' || (mode === 'fragile' && m.method === 'server/discover')) process.exit(1);
  if (m.method === 'notifications/cancelled') cancelled.push(m.params.requestId);
  if (m.method === undefined) return asked.get(m.id)?.(m);
  if (m.id === undefined) return;
  try {
    const result = dispatch(m, line);
    if (result !== undefined) put({ jsonrpc: '2.0', id: m.id, result });
  } catch (error) { put({ jsonrpc: '2.0', id: m.id, error }); }
});
process.stderr.write(`started in mode ${mode}\n`);
