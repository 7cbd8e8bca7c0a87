#!/usr/bin/env node
// A dual-era MCP "everything" upstream for conformance runs: written from the scenario descriptions
// printed by `npx @modelcontextprotocol/conformance` — no dependencies, Node >= 18, loopback only.
// Legacy era (initialize + sessions, 2024-11-05..2025-11-25) and modern era (2026-07-28, stateless).
// Usage: PORT=4201 node everything.mjs   ->  http://127.0.0.1:4201/mcp   (PORT=0: any free port; the line printed names it)
// ERA=legacy or ERA=modern makes it speak that era alone (both unless set), for crossed runs through a gateway.
import http from 'node:http';
import { randomUUID, createHmac, timingSafeEqual } from 'node:crypto';

const PORT = Number(process.env.PORT ?? 4201);
const ERA = process.env.ERA ?? 'both';
const MODERN = '2026-07-28';
const LEGACY = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];
const K = (n) => 'io.modelcontextprotocol/' + n;
const TASKS = K('tasks');
const INFO = { name: 'conformance-upstream', version: '1.0.0', title: 'Conformance upstream' };
const SECRET = randomUUID();
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
class RpcError extends Error { constructor(code, message, data, http) { super(message); Object.assign(this, { code, data, http }); } }

// ---- integrity-protected requestState ----
const sign = (o) => { const d = Buffer.from(JSON.stringify(o)).toString('base64url'); return d + '.' + createHmac('sha256', SECRET).update(d).digest('base64url'); };
const verify = (s) => {
  if (typeof s !== 'string') return null;
  const [d, m] = s.split('.'); if (!d || !m) return null;
  const e = createHmac('sha256', SECRET).update(d).digest(); const g = Buffer.from(m, 'base64url');
  if (e.length !== g.length || !timingSafeEqual(e, g)) return null;
  try { return JSON.parse(Buffer.from(d, 'base64url')); } catch { return null; }
};

// ---- fixtures ----
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';
const text = (t) => ({ type: 'text', text: t });
const ok = (t) => ({ content: [text(t)] });
const NOARGS = { type: 'object', properties: {} };
const strObj = (...k) => ({ type: 'object', properties: Object.fromEntries(k.map((x) => [x, { type: 'string' }])), required: k });
const elicit = (message, requestedSchema) => ({ method: 'elicitation/create', params: { mode: 'form', message, requestedSchema } });
const sampling = (q, n) => ({ method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: text(q) }], maxTokens: n } });
const need = (inputRequests, requestState) => ({ resultType: 'input_required', inputRequests, ...(requestState ? { requestState } : {}) });
const answer = (ir, key, field) => { const v = ir?.[key]; return v && v.action === 'accept' && typeof v.content?.[field] !== 'undefined' ? v.content[field] : undefined; };

const SCHEMA_2020 = {
  $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object',
  $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } } },
  properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' }, contactMethod: { type: 'string', enum: ['phone', 'email'] }, phone: { type: 'string' }, email: { type: 'string' } },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] }, then: { required: ['phone'] }, else: { required: ['email'] },
  additionalProperties: false
};
const DEFAULTS = { type: 'object', properties: {
  name: { type: 'string', description: 'User name', default: 'John Doe' }, age: { type: 'integer', description: 'User age', default: 30 },
  score: { type: 'number', description: 'User score', default: 95.5 },
  status: { type: 'string', description: 'User status', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', description: 'Verification status', default: true } }, required: [] };
const titled = (p, n) => ['First', 'Second', 'Third'].map((w, i) => ({ const: p + (i + 1), title: `${w} ${n}` }));
const ENUMS = { type: 'object', properties: {
  untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  titledSingle: { type: 'string', oneOf: titled('value', 'Option') },
  legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
  untitledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
  titledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { anyOf: titled('value', 'Choice') } } }, required: [] };

// ctx: { era, caps, notify(method, params), ask(method, params) [legacy only], progressToken, logLevel, inputResponses, requestState, session, closeStream() }
const T = new Map();
const tool = (name, fn, o = {}) => T.set(name, { name, fn, era: 'both', schema: NOARGS, description: `Fixture ${name}`, ...o });
tool('test_simple_text', () => ok('This is a simple text response for testing.'));
tool('test_image_content', () => ({ content: [{ type: 'image', data: PNG, mimeType: 'image/png' }] }));
tool('test_audio_content', () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] }));
tool('test_embedded_resource', () => ({ content: [{ type: 'resource', resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'This is an embedded resource content.' } }] }));
tool('test_multiple_content_types', () => ({ content: [text('Multiple content types test:'), { type: 'image', data: PNG, mimeType: 'image/png' },
  { type: 'resource', resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data","value":123}' } }] }));
tool('test_tool_with_logging', async (a, c) => { for (const m of ['started', 'processing data', 'completed']) { c.log('info', 'Tool ' + (m === 'processing data' ? m : 'execution ' + m)); await sleep(50); } return ok('Tool with logging executed successfully'); });
tool('test_tool_with_progress', async (a, c) => { for (const p of [0, 50, 100]) { c.progress(p, 100, `Completed step ${p} of 100`); await sleep(50); } return ok(String(c.progressToken ?? 0)); });
tool('test_error_handling', () => ({ ...ok('This tool intentionally returns an error for testing'), isError: true }));
tool('test_reconnection', async (a, c) => { c.closeStream?.(); await sleep(100); return ok('Reconnection test completed successfully.'); }, { era: 'legacy' });
const asking = (method, params, say) => async (a, c) => { try { return ok(say(await c.ask(method, params(a)))); } catch (e) { return { ...ok('Client request failed: ' + e.message), isError: true }; } };
tool('test_sampling', asking('sampling/createMessage', (a) => sampling(a.prompt, 100).params, (r) => `LLM response: ${r.content?.text ?? r.content?.[0]?.text}`), { era: 'legacy', schema: strObj('prompt') });
const esay = (p) => (r) => `${p}: action=${r.action}, content=${JSON.stringify(r.content ?? {})}`;
tool('test_elicitation', asking('elicitation/create', (a) => ({ message: a.message, requestedSchema: strObj('response') }), esay('User response')), { era: 'legacy', schema: strObj('message') });
tool('test_elicitation_sep1034_defaults', asking('elicitation/create', () => ({ message: 'Review the form fields', requestedSchema: DEFAULTS }), esay('Elicitation completed')), { era: 'legacy' });
tool('test_elicitation_sep1330_enums', asking('elicitation/create', () => ({ message: 'Select options', requestedSchema: ENUMS }), esay('Elicitation completed')), { era: 'legacy' });
tool('json_schema_2020_12_tool', (a) => ok('called with ' + JSON.stringify(a)), { schema: SCHEMA_2020 });
// modern-only diagnostics
const M = { era: 'modern' };
tool('test_missing_capability', (a, c) => { if (!c.caps.sampling) throw new RpcError(-32021, 'Missing required client capability: sampling', { requiredCapabilities: { sampling: {} } }, 400); return ok('ok'); }, M);
tool('test_streaming_elicitation', (a, c) => { c.progress(50, 100, 'half way'); return ok('Streaming complete'); }, { ...M, stream: true });
tool('test_logging_tool', (a, c) => { c.log('info', 'diagnostic'); return ok('Logging evaluated'); }, { ...M, stream: true });
const listeners = new Set();
const fan = (want, method, params = {}) => { for (const l of listeners) if (l.wants[want] || want === 'tasks') l.send(method, params); };
tool('test_trigger_tool_change', () => { fan('toolsListChanged', 'notifications/tools/list_changed'); return ok('changed'); }, M);
tool('test_trigger_prompt_change', () => { fan('promptsListChanged', 'notifications/prompts/list_changed'); return ok('changed'); }, M);
tool('test_x_mcp_header', (a) => ok('region ' + a.region), { ...M, schema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' }, priority: { type: 'integer', 'x-mcp-header': 'Priority' }, verbose: { type: 'boolean', 'x-mcp-header': 'Verbose' }, query: { type: 'string' } } } });
const ir = 'test_input_required_result_';
const askName = elicit('What is your name?', strObj('name'));
const confirm = elicit('Please confirm', { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] });
tool(ir + 'elicitation', (a, c) => { const n = answer(c.inputResponses, 'user_name', 'name'); return typeof n === 'string' ? ok(`Hello, ${n}!`) : need({ user_name: askName }); }, M);
tool(ir + 'sampling', (a, c) => { const r = c.inputResponses?.capital_question; return r ? ok('LLM said: ' + (r.content?.text ?? JSON.stringify(r.content))) : need({ capital_question: sampling('What is the capital of France?', 100) }); }, M);
tool(ir + 'list_roots', (a, c) => { const r = c.inputResponses?.client_roots?.roots; return Array.isArray(r) ? ok('roots: ' + r.map((x) => x.uri).join(', ')) : need({ client_roots: { method: 'roots/list', params: {} } }); }, M);
tool(ir + 'request_state', (a, c) => (c.inputResponses?.confirm && checkState(c, 'rs') ? ok('state-ok') : need({ confirm }, sign({ k: 'rs' }))), M);
tool(ir + 'multiple_inputs', (a, c) => { const r = c.inputResponses; return r?.user_name && r?.greeting && r?.client_roots && checkState(c, 'mi') ? ok('all inputs received') : need({ user_name: askName, greeting: sampling('Generate a greeting', 50), client_roots: { method: 'roots/list', params: {} } }, sign({ k: 'mi' })); }, M);
tool(ir + 'multi_round', (a, c) => {
  const s = c.requestState === undefined ? null : checkState(c, 'mr'); const n = answer(c.inputResponses, 'step1', 'name'); const col = answer(c.inputResponses, 'step2', 'color');
  if (s?.r === 1 && n) return need({ step2: elicit('Step 2: What is your favorite color?', strObj('color')) }, sign({ k: 'mr', r: 2, n }));
  if (s?.r === 2 && col) return ok(`Multi-round complete for ${s.n} who likes ${col}`);
  return need({ step1: elicit('Step 1: What is your name?', strObj('name')) }, sign({ k: 'mr', r: 1 }));
}, M);
tool(ir + 'tampered_state', (a, c) => (c.requestState !== undefined && checkState(c, 'ts') && c.inputResponses?.confirm ? ok('integrity-ok') : need({ confirm }, sign({ k: 'ts' }))), M);
tool(ir + 'capabilities', (a, c) => {
  if (c.inputResponses && Object.keys(c.inputResponses).length) return ok('capabilities-ok');
  const r = {}; if (c.caps.elicitation) r.e = elicit('Elicitation input', strObj('value')); if (c.caps.sampling) r.s = sampling('Sample request', 50);
  return Object.keys(r).length ? need(r, sign({ k: 'cap' })) : ok('No supported capabilities declared');
}, M);
function checkState(c, k) { const s = verify(c.requestState); if (!s || s.k !== k) throw new RpcError(-32602, 'requestState integrity check failed'); return s; }
// ---- tasks extension (SEP-2663) ----
const tasks = new Map();
const now = () => new Date().toISOString();
function startTask(run) {
  const t = { taskId: randomUUID(), status: 'working', createdAt: now(), lastUpdatedAt: now(), ttlMs: 300000, pollIntervalMs: 200 };
  const st = { t, pending: {}, got: {}, wake: null, cancelled: false }; tasks.set(t.taskId, st);
  const set = (status, extra = {}) => { if (['completed', 'failed', 'cancelled'].includes(t.status)) return; Object.assign(t, { status, lastUpdatedAt: now() }, extra); fan('tasks', 'notifications/tasks', view(st)); };
  st.set = set;
  const ask = (reqs) => new Promise((res) => { st.pending = { ...reqs }; st.got = {}; st.wake = () => { set('working'); res(st.got); }; set('input_required'); });
  Promise.resolve().then(() => run(ask, st)).then((r) => set('completed', { result: { resultType: 'complete', ...r } }), (e) => set('failed', { error: { code: e.code ?? -32603, message: e.message } }));
  return { resultType: 'task', ...t };
}
const view = (st) => ({ ...st.t, ...(st.t.status === 'input_required' ? { inputRequests: st.pending } : {}) });
const TASK = (o) => ({ ...M, task: true, ...o });
tool('greet', (a) => ok(`Hello, ${a.name}!`), { ...M, schema: strObj('name') });
tool('slow_compute', async (a, c) => { const s = Number(a.seconds ?? 0); if (!c.tasks || s <= 0) { if (s > 0) await sleep(Math.min(s, 2) * 1000); return ok(`computed ${a.label ?? ''}`); }
  return startTask(async (ask, st) => { const end = Date.now() + s * 1000; while (Date.now() < end && !st.cancelled) await sleep(50); return ok(`computed ${a.label ?? ''}`); }); }, { ...M, schema: { type: 'object', properties: { seconds: { type: 'number' }, label: { type: 'string' } } } });
tool('failing_job', () => startTask(async () => { await sleep(1000); return { ...ok('job failed'), isError: true }; }), TASK());
tool('protocol_error_job', () => startTask(async () => { await sleep(300); throw new RpcError(-32603, 'internal failure'); }), TASK());
tool('confirm_delete', (a) => startTask(async (ask) => { const r = await ask({ ['c-' + randomUUID()]: elicit(`Delete ${a.filename}?`, { type: 'object', properties: { confirm: { type: 'boolean' } }, required: ['confirm'] }) }); return ok('deleted? ' + JSON.stringify(Object.values(r))); }), TASK({ schema: strObj('filename') }));
tool('multi_input', () => startTask(async (ask) => { const e = () => elicit('Input', { type: 'object', properties: { name: { type: 'string' }, confirm: { type: 'boolean' } } }); const r = await ask({ ['a-' + randomUUID()]: e(), ['b-' + randomUUID()]: e() }); return ok(JSON.stringify(Object.values(r))); }), TASK());
tool('test_tool_with_task', (a, c) => { const v = Object.values(c.inputResponses ?? {}).map((x) => x?.content?.name ?? x?.content?.user_name).find((x) => typeof x === 'string');
  return v === undefined ? need({ user_name: askName }, sign({ k: 'twt' })) : startTask(async () => { await sleep(100); return ok(`Hello from task, ${v}`); }); }, TASK());

const RES = { 'test://static-text': ['text/plain', 'text', 'This is the content of the static text resource.'], 'test://static-binary': ['image/png', 'blob', PNG], 'test://watched-resource': ['text/plain', 'text', 'Watched resource content'] };
const readRes = (uri) => { const m = /^test:\/\/template\/([^/]+)\/data$/.exec(uri ?? '');
  if (m) return { contents: [{ uri, mimeType: 'application/json', text: JSON.stringify({ id: m[1], templateTest: true, data: `Data for ID: ${m[1]}` }) }] };
  const r = RES[uri]; return r && { contents: [{ uri, mimeType: r[0], [r[1]]: r[2] }] }; };
const P = {
  test_simple_prompt: { get: () => [text('This is a simple prompt for testing.')] },
  test_prompt_with_arguments: { args: ['arg1', 'arg2'], get: (a) => [text(`Prompt with arguments: arg1='${a.arg1}', arg2='${a.arg2}'`)] },
  test_prompt_with_embedded_resource: { args: ['resourceUri'], get: (a) => [{ type: 'resource', resource: { uri: a.resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' } }, text('Please process the embedded resource above.')] },
  test_prompt_with_image: { get: () => [{ type: 'image', data: PNG, mimeType: 'image/png' }, text('Please analyze the image above.')] },
  test_input_required_result_prompt: { modern: true, get: (a, c) => { const v = answer(c.inputResponses, 'user_context', 'context'); return v === undefined ? need({ user_context: elicit('What context should the prompt use?', strObj('context')) }) : [text('Prompt with context: ' + v)]; } }
};

async function dispatch(method, params, c) {
  const modern = c.era === 'modern';
  const pub = modern ? { ttlMs: 300000, cacheScope: 'public' } : {}; const priv = modern ? { ttlMs: 0, cacheScope: 'private' } : {};
  const visible = [...T.values()].filter((t) => t.era === 'both' || t.era === c.era);
  switch (method) {
    case 'tools/list': return { tools: visible.map((t) => ({ name: t.name, description: t.description, inputSchema: t.schema })), ...pub };
    case 'tools/call': {
      const t = visible.find((x) => x.name === params.name); if (!t) throw new RpcError(-32602, `Unknown tool: ${params.name}`);
      if (t.task && !c.tasks) throw new RpcError(-32021, 'Missing required client capability: tasks extension', { requiredCapabilities: { extensions: { [TASKS]: {} } } }, 400);
      return await t.fn(params.arguments ?? {}, c);
    }
    case 'resources/list': return { resources: Object.entries(RES).map(([uri, [mimeType]]) => ({ uri, name: uri.slice(7), description: 'Fixture ' + uri, mimeType })), ...pub };
    case 'resources/templates/list': return { resourceTemplates: [{ uriTemplate: 'test://template/{id}/data', name: 'template', description: 'Fixture template', mimeType: 'application/json' }], ...pub };
    case 'resources/read': { const r = readRes(params.uri); if (!r) throw new RpcError(modern ? -32602 : -32002, 'Resource not found', { uri: params.uri }); return { ...r, ...priv }; }
    case 'prompts/list': return { prompts: Object.entries(P).filter(([, p]) => modern || !p.modern).map(([name, p]) => ({ name, description: 'Fixture ' + name, ...(p.args ? { arguments: p.args.map((a) => ({ name: a, description: a, required: true })) } : {}) })), ...pub };
    case 'prompts/get': { const p = P[params.name]; if (!p || (p.modern && !modern)) throw new RpcError(-32602, `Unknown prompt: ${params.name}`); const r = p.get(params.arguments ?? {}, c); return Array.isArray(r) ? { messages: r.map((content) => ({ role: 'user', content })) } : r; }
    case 'completion/complete': return { completion: { values: [], total: 0, hasMore: false } };
  }
  if (!modern) switch (method) {
    case 'ping': case 'logging/setLevel': case 'resources/subscribe': case 'resources/unsubscribe': return {};
  }
  if (modern && method.startsWith('tasks/') && ['tasks/get', 'tasks/update', 'tasks/cancel'].includes(method)) {
    if (!c.tasks) throw new RpcError(-32021, 'Missing required client capability: tasks extension', { requiredCapabilities: { extensions: { [TASKS]: {} } } }, 400);
    const st = tasks.get(params.taskId); if (!st) throw new RpcError(-32602, 'Unknown task', { taskId: params.taskId });
    if (method === 'tasks/get') return view(st);
    if (method === 'tasks/cancel') { st.cancelled = true; st.set('cancelled'); return {}; }
    for (const [k, v] of Object.entries(params.inputResponses ?? {})) if (k in st.pending) { st.got[k] = v; delete st.pending[k]; }
    if (st.t.status === 'input_required' && !Object.keys(st.pending).length) st.wake?.();
    return {};
  }
  if (modern && method === 'server/discover') return { supportedVersions: [MODERN, '2025-11-25', '2025-06-18'], capabilities: { tools: { listChanged: true }, prompts: { listChanged: true }, resources: {}, completions: {}, extensions: { [TASKS]: {} } }, instructions: 'Conformance fixtures', ...pub };
  throw new RpcError(-32601, `Method not found: ${method}`, undefined, 404);
}

// ---- HTTP ----
const J = (res, status, body, headers = {}) => { if (res.headersSent) return; res.writeHead(status, { 'content-type': 'application/json', ...headers }); res.end(body === undefined ? undefined : JSON.stringify(body)); };
const errBody = (id, e) => ({ jsonrpc: '2.0', ...(id === undefined ? {} : { id }), error: { code: e.code ?? -32603, message: e.message, ...(e.data !== undefined ? { data: e.data } : {}) } });
const SSE = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' };
const local = (h) => /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(h ?? '');
const b64 = (v) => { const m = /^=\?base64\?(.*)\?=$/.exec(v); if (!m) return v; if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(m[1])) throw new RpcError(-32020, 'Invalid base64 in header', undefined, 400); return Buffer.from(m[1], 'base64').toString('utf8'); };
const mismatch = (m) => { throw new RpcError(-32020, 'Header mismatch: ' + m, undefined, 400); };

function checkHeaders(req, m) {
  const h = req.headers;
  if (h['mcp-method'] === undefined) mismatch('Mcp-Method missing'); if (h['mcp-method'] !== m.method) mismatch('Mcp-Method');
  const want = ['tools/call', 'prompts/get'].includes(m.method) ? m.params?.name : m.method === 'resources/read' ? m.params?.uri : ['tasks/get', 'tasks/update', 'tasks/cancel'].includes(m.method) ? m.params?.taskId : undefined;
  if (want !== undefined) { if (h['mcp-name'] === undefined) mismatch('Mcp-Name missing'); if (b64(h['mcp-name']) !== want) mismatch('Mcp-Name'); }
  if (m.method === 'tools/call') for (const [prop, s] of Object.entries(T.get(m.params?.name)?.schema.properties ?? {})) {
    if (!s['x-mcp-header']) continue; const name = 'mcp-param-' + s['x-mcp-header'].toLowerCase(); const v = m.params.arguments?.[prop]; const got = h[name];
    if (v === undefined || v === null) { if (got !== undefined) mismatch(name + ' unexpected'); continue; }
    if (got === undefined) mismatch(name + ' missing'); if (/[^\t\x20-\x7e]/.test(got)) mismatch(name + ' characters');
    const d = b64(got); if (s.type === 'integer' ? Number(d) !== v : d !== String(v)) mismatch(name);
  }
}

async function modern(req, res, m) {
  const { id, method, params = {} } = m; const meta = params._meta ?? {};
  try {
    const hv = req.headers['mcp-protocol-version']; const mv = meta[K('protocolVersion')];
    if (!hv) mismatch('MCP-Protocol-Version missing');
    const caps = meta[K('clientCapabilities')];
    if (typeof mv !== 'string' || typeof caps !== 'object' || caps === null) throw new RpcError(-32602, 'Invalid params: missing required _meta fields', undefined, 400);
    if (hv !== mv) mismatch('MCP-Protocol-Version');
    if (mv !== MODERN) throw new RpcError(-32022, 'Unsupported protocol version', { supported: [MODERN, '2025-11-25', '2025-06-18'], requested: mv }, 400);
    checkHeaders(req, m);
    let sse = false; const open = () => { if (!sse && !res.headersSent) { sse = true; res.writeHead(200, SSE); } };
    const put = (o) => { open(); res.write(`event: message\ndata: ${JSON.stringify(o)}\n\n`); };
    const c = { era: 'modern', caps, tasks: !!caps.extensions?.[TASKS], progressToken: meta.progressToken, inputResponses: params.inputResponses, requestState: params.requestState,
      progress: (progress, total, message) => c.progressToken !== undefined && put({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: c.progressToken, progress, total, message } }),
      log: (level, data) => meta[K('logLevel')] && put({ jsonrpc: '2.0', method: 'notifications/message', params: { level, logger: 'upstream', data } }) };
    if (method === 'subscriptions/listen') {
      const n = params.notifications ?? {}; const wants = { ...(n.toolsListChanged ? { toolsListChanged: true } : {}), ...(n.promptsListChanged ? { promptsListChanged: true } : {}) };
      const tag = { [K('subscriptionId')]: id };
      const l = { wants, send: (method, p) => put({ jsonrpc: '2.0', method, params: { ...p, _meta: { ...p._meta, ...tag } } }) };
      l.send('notifications/subscriptions/acknowledged', { notifications: wants }); listeners.add(l); res.on('close', () => listeners.delete(l)); return;
    }
    if (method === 'tools/call' && T.get(params.name)?.stream) open();
    const result = await dispatch(method, params, c);
    const body = { jsonrpc: '2.0', id, result: { resultType: 'complete', ...result, _meta: { ...result._meta, [K('serverInfo')]: INFO } } };
    if (sse) { put(body); res.end(); } else J(res, 200, body);
  } catch (e) { if (res.headersSent) { res.write(`event: message\ndata: ${JSON.stringify(errBody(id, e))}\n\n`); res.end(); } else J(res, e.http ?? 200, errBody(id, e)); }
}

// legacy sessions with resumable POST streams
const sessions = new Map();
let seq = 0;
class Stream { // one logical SSE stream: events are stored so that GET + Last-Event-ID can resume it
  constructor(s) { this.id = 's' + ++seq; this.s = s; this.events = []; this.res = null; this.done = false; s.streams.set(this.id, this); }
  attach(res, after = 0) { this.res = res; res.writeHead(200, { ...SSE, 'mcp-session-id': this.s.id }); for (const [n, d] of this.events) if (n > after) res.write(`id: ${this.id}_${n}\ndata: ${d}\n\n`); if (this.done) res.end(); res.on('close', () => { if (this.res === res) this.res = null; }); }
  prime() { this.events.push([1, '']); this.res.write(`id: ${this.id}_1\nretry: 500\ndata: \n\n`); }
  send(o) { const n = this.events.length + 1; const d = JSON.stringify(o); this.events.push([n, d]); this.res?.write(`id: ${this.id}_${n}\ndata: ${d}\n\n`); }
  drop() { const r = this.res; this.res = null; r?.end(); }
  end() { this.done = true; this.drop(); setTimeout(() => this.s.streams.delete(this.id), 60000).unref(); }
}
async function legacy(req, res, m) {
  if (m.method === 'initialize') {
    const v = LEGACY.includes(m.params?.protocolVersion) ? m.params.protocolVersion : '2025-11-25';
    const s = { id: randomUUID(), v, caps: m.params?.capabilities ?? {}, streams: new Map(), pending: new Map() }; sessions.set(s.id, s);
    return J(res, 200, { jsonrpc: '2.0', id: m.id, result: { protocolVersion: v, serverInfo: INFO, capabilities: { tools: { listChanged: true }, prompts: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {}, completions: {} } } }, { 'mcp-session-id': s.id });
  }
  const sid = req.headers['mcp-session-id'];
  if (!sid) return J(res, 400, errBody(undefined, new RpcError(-32600, 'Missing session id')));
  const s = sessions.get(sid); if (!s) return J(res, 404, errBody(undefined, new RpcError(-32600, 'Session not found')));
  if (m.method === undefined) { const p = s.pending.get(m.id); s.pending.delete(m.id); if (p) m.error ? p.rej(new Error(m.error.message)) : p.ok(m.result); res.writeHead(202); return res.end(); }
  if (m.id === undefined) { res.writeHead(202); return res.end(); }
  const st = new Stream(s); st.attach(res); if (s.v >= '2025-11-25') st.prime();
  const meta = m.params?._meta ?? {};
  const note = (method, params) => st.send({ jsonrpc: '2.0', method, params });
  const c = { era: 'legacy', caps: s.caps, progressToken: meta.progressToken, session: s, closeStream: () => st.drop(),
    progress: (progress, total, message) => c.progressToken !== undefined && note('notifications/progress', { progressToken: c.progressToken, progress, total, message }),
    log: (level, data) => note('notifications/message', { level, logger: 'upstream', data }),
    ask: (method, params) => new Promise((ok, rej) => { const id = 'srv-' + ++seq; s.pending.set(id, { ok, rej }); st.send({ jsonrpc: '2.0', id, method, params }); setTimeout(() => s.pending.delete(id) && rej(new Error('timeout')), 20000).unref(); }) };
  try { st.send({ jsonrpc: '2.0', id: m.id, result: await dispatch(m.method, m.params ?? {}, c) }); } catch (e) { st.send(errBody(m.id, e)); }
  st.end();
}

http.createServer((req, res) => {
  if (!local(req.headers.host) || (req.headers.origin && !local(req.headers.origin.replace(/^https?:\/\//, '')))) return J(res, 403, errBody(undefined, new RpcError(-32600, 'Forbidden host or origin')));
  if (new URL(req.url, 'http://x').pathname !== '/mcp') return J(res, 404, { error: 'not found' });
  const sid = req.headers['mcp-session-id'];
  if (req.method === 'DELETE') { if (!sid) return J(res, 405, undefined, { allow: 'POST' }); if (!sessions.delete(sid)) return J(res, 404); res.writeHead(204); return res.end(); }
  if (req.method === 'GET') {
    const s = sessions.get(sid); if (!sid) return J(res, 405, undefined, { allow: 'POST' }); if (!s) return J(res, 404);
    const last = req.headers['last-event-id']; if (!last) { const st = new Stream(s); return st.attach(res), void res.flushHeaders?.(); }
    const [id, n] = last.split('_'); const st = s.streams.get(id); return st ? st.attach(res, Number(n)) : J(res, 404);
  }
  if (req.method !== 'POST') return J(res, 405, undefined, { allow: 'POST, GET, DELETE' });
  const chunks = []; req.on('data', (d) => chunks.push(d)); req.on('end', () => {
    let m; try { m = JSON.parse(Buffer.concat(chunks)); } catch { return J(res, 400, { jsonrpc: '2.0', error: { code: -32700, message: 'Parse error' } }); }
    const hv = req.headers['mcp-protocol-version'];
    const isLegacy = m.params?._meta?.[K('protocolVersion')] === undefined && hv !== MODERN && (!!sid || (m.method === 'initialize' && (!hv || LEGACY.includes(hv)) || LEGACY.includes(hv) || (!hv && !m.params?._meta)));
    const era = ERA === 'both' ? (isLegacy ? legacy : modern) : ERA === 'legacy' ? legacy : modern;
    era(req, res, m).catch((e) => { console.error(e); J(res, 500, errBody(m.id, e)); });
  });
}).listen(PORT, '127.0.0.1', function () { console.log(`upstream on http://127.0.0.1:${this.address().port}/mcp`); });
