// The MCP Inspector's command line, run against the gateway.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const INSPECTOR = fileURLToPath(new URL('../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js', import.meta.url));
export const scenario = JSON.parse(readFileSync(new URL('../scenario.json', import.meta.url), 'utf8'));

// Exit codes that the Inspector documents.
export const OK = 0;
export const AUTHENTICATION_REQUIRED = 3;
export const TOOL_ERROR = 5;

const home = mkdtempSync(join(process.env.QM_SCRATCH, 'inspector-'));

// `quaymaster stdio --config` on the command line would be read as the Inspector's own `--config`.
const servers = join(home, 'servers.json');
const args = ['stdio', '--config', process.env.QM_CONFIG];
writeFileSync(servers, JSON.stringify({ mcpServers: { quaymaster: { type: 'stdio', command: process.env.QM_BIN, args } } }));

/** Runs it against `target`; gives its status, and what it said as JSON and as text. */
export function inspect(target, args) {
  const run = spawnSync(process.execPath, [INSPECTOR, '--cli', ...target, '--format', 'json', ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env.PATH, HOME: home }
  });
  const detail = `status ${run.status} ${run.error ?? ''}\n${run.stdout}\n${run.stderr}`;
  const parsed = (text) => { try { return JSON.parse(text); } catch { return undefined; } };
  return { status: run.status, detail, answer: parsed(run.stdout), text: run.stdout + run.stderr };
}

export const http = (era, role) => [
  ...['--server-url', process.env.QM_URL, '--transport', 'http', '--protocol-era', era],
  ...(role ? ['--header', `Authorization: Bearer ${process.env[`QM_TOKEN_${role.toUpperCase()}`]}`] : ['--stored-auth-only'])
];
export const stdio = (era) => ['--config', servers, '--server', 'quaymaster', '--protocol-era', era];
export const calling = ({ tool, arguments: values }) => ['--method', 'tools/call', '--tool-name', tool, '--tool-args-json', JSON.stringify(values)];
