// The MCP Inspector's command line against the demo, in both eras over HTTP, and over stdio.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const INSPECTOR = fileURLToPath(new URL('../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js', import.meta.url));
const scenario = JSON.parse(readFileSync(new URL('../scenario.json', import.meta.url), 'utf8'));

// Exit codes that the Inspector documents.
const OK = 0;
const AUTHENTICATION_REQUIRED = 3;
const TOOL_ERROR = 5;

const home = mkdtempSync(join(process.env.QM_SCRATCH, 'inspector-'));

// `quaymaster stdio --config` on the command line would be read as the Inspector's own `--config`.
const servers = join(home, 'servers.json');
const args = ['stdio', '--config', process.env.QM_CONFIG];
writeFileSync(servers, JSON.stringify({ mcpServers: { quaymaster: { type: 'stdio', command: process.env.QM_BIN, args } } }));

function inspect(target, args) {
  const run = spawnSync(process.execPath, [INSPECTOR, '--cli', ...target, '--format', 'json', ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env.PATH, HOME: home }
  });
  const detail = `status ${run.status} ${run.error ?? ''}\n${run.stdout}\n${run.stderr}`;
  const parsed = (text) => { try { return JSON.parse(text); } catch { return undefined; } };
  return { status: run.status, detail, answer: parsed(run.stdout), text: run.stdout + run.stderr };
}

const http = (era, role) => [
  ...['--server-url', process.env.QM_URL, '--transport', 'http', '--protocol-era', era],
  ...(role ? ['--header', `Authorization: Bearer ${process.env[`QM_TOKEN_${role.toUpperCase()}`]}`] : ['--stored-auth-only'])
];
const stdio = (era) => ['--config', servers, '--server', 'quaymaster', '--protocol-era', era];
const calling = ({ tool, arguments: values }) => ['--method', 'tools/call', '--tool-name', tool, '--tool-args-json', JSON.stringify(values)];

function checkListAndCall(target) {
  // `--strict` is the Inspector's lint of schemas; an error there has a status of its own.
  const list = inspect(target, ['--method', 'tools/list', '--strict']);
  assert.equal(list.status, OK, list.detail);
  assert.match(list.text, new RegExp(`"${scenario.allowed.tool}"`));
  const call = inspect(target, calling(scenario.allowed));
  assert.equal(call.status, OK, call.detail);
  assert.match(call.text, /"status": ?"success"/);
}

for (const era of ['legacy', 'modern']) {
  test(`${era}: lists and calls over HTTP`, () => checkListAndCall(http(era, 'analyst')));

  test(`${era}: lists and calls over stdio`, () => checkListAndCall(stdio(era)));

  test(`${era}: a denied call is a tool error with its code`, () => {
    const call = inspect(http(era, 'support'), calling(scenario.denied));
    assert.equal(call.status, TOOL_ERROR, call.detail);
    assert.ok(call.text.includes(scenario.denied.code), call.detail);
  });

  test(`${era}: without a token nothing is answered`, () => {
    const list = inspect(http(era), ['--method', 'tools/list']);
    assert.equal(list.status, AUTHENTICATION_REQUIRED, list.detail);
    assert.ok(!list.text.includes(scenario.allowed.tool), list.detail);
  });
}
