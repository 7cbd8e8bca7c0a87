// Access tokens of a real provider, shown to the running gateway: every way to get one, and every way in
// which one stops counting. The gateway is told of the provider by its configuration, which it reads anew.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ofPerson, ofService, refreshed, revoke } from './client.mjs';
import { OTHER_RESOURCE, signingKey, start } from './provider.mjs';

const { QM_URL, QM_CONFIG, QM_PYTHON, QM_TOKEN_ANALYST, IDP_SECRET } = process.env;
const scenario = JSON.parse(readFileSync(new URL('../scenario.json', import.meta.url)));
const resource = QM_URL;
const old = signingKey('old');
let issuer;
let provider;

function freePort() {
  return new Promise((resolve) => {
    const listener = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
}

// Asks until `is` holds of the answer. The gateway looks at its configuration once a second.
async function until(ask, is, seconds) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (is(answer) || Date.now() > end) return answer;
    await pause(200);
  }
}

async function call(token, { tool, arguments: args } = scenario.allowed) {
  const response = await fetch(QM_URL, {
    method: 'POST',
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': tool,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name: tool,
        arguments: args,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'oidc-test', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    }),
  });
  return { status: response.status, challenge: response.headers.get('www-authenticate') ?? '', body: await response.text() };
}

async function assertCounts(token) {
  const { status, body } = await call(token);
  assert.equal(status, 200, body);
  assert.match(body, /"status":"success"/);
}

async function assertRefused(token) {
  const { status, challenge } = await call(token);
  assert.equal(status, 401);
  assert.match(challenge, /error="invalid_token"/);
}

before(async () => {
  assert.equal(IDP_SECRET, 'gate-secret');
  issuer = `http://127.0.0.1:${await freePort()}`;
  provider = await start(issuer, resource, [old]);
  const file = join(QM_CONFIG, 'quaymaster.yaml');
  const settings = readFileSync(file, 'utf8').replace('listen:\n', `listen:\n  publicUrl: ${new URL(QM_URL).origin}\n`);
  writeFileSync(
    file,
    `${settings}
identity:
  issuers:
    - name: idp
      issuer: ${issuer}
      scopes: { base: 'tools:read', write: 'tools:write' }
      introspection: { clientId: gate, clientSecret: '\${secret:IDP_SECRET}', cache: 1s }
      clockSkew: 1s
      mapping:
        # What a service gets for itself says nothing of a subject where it is opaque.
        actor: "has(claims.sub) ? claims.sub : 'client ' + claims.client_id"
        groups: claims.groups
      groups: { analysts: [analyst, support] }
`,
  );
  const asked = () => fetch(`${new URL(QM_URL).origin}/.well-known/oauth-protected-resource/mcp`);
  assert.equal((await until(asked, (response) => response.ok, 15)).status, 200);
});

after(() => provider?.stop());

test('a client finds the provider by the challenge', async () => {
  const { status, challenge } = await call();
  assert.equal(status, 401);
  const [, address] = /resource_metadata="([^"]+)"/.exec(challenge);
  assert.match(challenge, /scope="tools:read"/);
  const document = await (await fetch(address)).json();
  assert.equal(document.resource, resource);
  assert.deepEqual(document.authorization_servers, [issuer]);
});

test('a service gets a token by its credentials', async () => {
  await assertCounts(await ofService(issuer, 'service', resource, 'tools:read'));
});

test('a person gets a token by a code with PKCE, and another by refreshing it', async () => {
  const tokens = await ofPerson(issuer, 'ada', resource, 'openid offline_access tools:read');
  await assertCounts(tokens.access_token);
  // The same keys sign it, for the client and not for us.
  await assertRefused(tokens.id_token);
  await assertRefused(tokens.refresh_token);
  const again = await refreshed(issuer, tokens.refresh_token, resource);
  assert.notEqual(again.access_token, tokens.access_token);
  await assertCounts(again.access_token);
});

test('a token without the scope that a write needs is told to step up, and with it the write is decided', async () => {
  const lesser = await call(await ofService(issuer, 'service', resource, 'tools:read'), scenario.denied);
  assert.equal(lesser.status, 403);
  assert.match(lesser.challenge, /error="insufficient_scope", scope="tools:read tools:write"/);
  const enough = await call(await ofService(issuer, 'service', resource, 'tools:read tools:write'), scenario.denied);
  assert.equal(enough.status, 200, enough.body);
  const none = await call(await ofService(issuer, 'service', resource, 'tools:write'));
  assert.equal(none.status, 403);
});

test('a token for another audience does not count', async () => {
  await assertRefused(await ofService(issuer, 'service', OTHER_RESOURCE, 'tools:read'));
  await assertRefused(await ofService(issuer, 'opaque', OTHER_RESOURCE, 'tools:read'));
});

test('an opaque token counts until it is revoked', async () => {
  const token = await ofService(issuer, 'opaque', resource, 'tools:read');
  assert.equal(token.split('.').length, 1);
  await assertCounts(token);
  await revoke(issuer, 'opaque', token);
  const last = await until(() => call(token), ({ status }) => status === 401, 10);
  assert.equal(last.status, 401);
});

test('a token that has ended does not count', async () => {
  const token = await ofService(issuer, 'brief', resource, 'tools:read');
  const last = await until(() => call(token), ({ status }) => status === 401, 10);
  assert.equal(last.status, 401);
  assert.match(last.challenge, /error="invalid_token"/);
});

test('mcp-authlab finds nothing that a server must not do', async () => {
  const [token, foreign] = [await ofService(issuer, 'service', resource, 'tools:read tools:write'), await ofService(issuer, 'service', OTHER_RESOURCE, 'tools:read')];
  const report = join(process.env.QM_SCRATCH, 'authlab.json');
  const command = ['-m', 'mcp_authlab', 'scan', QM_URL, '--token', token, '--foreign-token', foreign, '--format', 'json', '--output', report];
  try {
    await promisify(execFile)(QM_PYTHON, command);
  } catch (error) {
    // It ends with another status where it found something; what is in the report.
    assert.ok(Number.isInteger(error.code), String(error));
  }
  const { results, ...rest } = JSON.parse(readFileSync(report, 'utf8'));
  assert.ok(results, JSON.stringify(rest).slice(0, 2000));
  const found = results.filter(({ status }) => status === 'fail' || status === 'warn');
  // Of this test and not of the gateway: it is served without TLS, and the provider registers no clients.
  assert.deepEqual(found.map(({ id }) => id).sort(), ['ASM-05', 'TLS-01'], JSON.stringify(found, null, 1));
  const ran = results.filter(({ status }) => status === 'pass').map(({ id }) => id);
  for (const id of ['TOK-01', 'TOK-02', 'TOK-03', 'TOK-05', 'ORIG-01']) assert.ok(ran.includes(id), id);
});

test('tokens of this installation still count', () => assertCounts(QM_TOKEN_ANALYST));

// Last: from here on the provider is another one.
test('a new key of the provider is taken, and what the old one signed ends', async () => {
  const before = await ofService(issuer, 'service', resource, 'tools:read');
  await provider.stop();
  provider = await start(issuer, resource, [signingKey('new')]);
  const token = await ofService(issuer, 'service', resource, 'tools:read');
  // An issuer is asked for its keys at most once in 30 s.
  const last = await until(() => call(token), ({ status }) => status === 200, 45);
  assert.equal(last.status, 200, last.body);
  await assertRefused(before);
});
