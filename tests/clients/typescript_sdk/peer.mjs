// The TypeScript SDK's client, connected to the gateway in one era or over stdio.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

export const LEGACY = '2025-11-25';
export const MODERN = '2026-07-28';
export const LIMIT = { timeout: 30_000 };
export const scenario = JSON.parse(readFileSync(new URL('../scenario.json', import.meta.url), 'utf8'));

export const CLIENT_INFO = { name: 'quaymaster-tests', version: '1.0.0' };

async function connected(version, transport, use, { capabilities, answers = {} } = {}) {
  const mode = version === MODERN ? { pin: MODERN } : 'legacy';
  const client = new Client(CLIENT_INFO, { capabilities, versionNegotiation: { mode } });
  for (const [method, answer] of Object.entries(answers)) client.setRequestHandler(method, answer);
  await client.connect(transport, LIMIT);
  try {
    assert.equal(client.getNegotiatedProtocolVersion(), version);
    return await use(client);
  } finally {
    await client.close();
  }
}

/** The header by which a client of `role` says who it is. */
export const authorization = (role) => ({ Authorization: `Bearer ${process.env[`QM_TOKEN_${role.toUpperCase()}`]}` });

/** Runs `use` with a client of `role` over HTTP, that has `capabilities` and these `answers` to what it is asked. */
export function overHttp(version, role, use, options) {
  const requestInit = { headers: authorization(role) };
  const transport = new StreamableHTTPClientTransport(new URL(process.env.QM_URL), { requestInit });
  return connected(version, transport, use, options);
}

/** Runs `use` with a client over stdio. */
export function overStdio(version, use) {
  const args = ['stdio', '--config', process.env.QM_CONFIG];
  return connected(version, new StdioClientTransport({ command: process.env.QM_BIN, args, stderr: 'inherit' }), use);
}

/** Makes one of the scenario's calls; gives the result, or the protocol error. */
export function call(client, name, options = {}) {
  const step = scenario[name];
  return client.callTool({ name: step.tool, arguments: step.arguments }, { ...LIMIT, ...options }).catch((error) => error);
}

/** The stable code of a refusal: in a tool result or a protocol error, as MCP has it. */
export function refusal(outcome) {
  if (outcome instanceof Error) {
    const said = JSON.stringify([outcome.message, outcome.data]);
    const codes = Object.values(scenario).flatMap((step) => step.code ?? []);
    return codes.find((code) => said.includes(code)) ?? said;
  }
  assert.equal(outcome.isError, true, `not refused: ${JSON.stringify(outcome)}`);
  return outcome.structuredContent.error.code;
}
