// Mails over TLS to a real server, in both ways, and none to a server that is not who it should be.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { MODERN, overHttp } from '../typescript_sdk/peer.mjs';

const { QM_CONFIG, QM_CERTIFICATES, QM_MAILS, QM_PYTHON, QM_SCRATCH } = process.env;
const SERVER = new URL('mail_server.py', import.meta.url).pathname;
const SETTINGS = join(QM_CONFIG, 'quaymaster.yaml');
const LIMIT_MS = 60_000;

async function until(look, what) {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    assert.ok(Date.now() < deadline, what);
    await pause(100);
  }
}

function connects(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => socket.destroy() && resolve(true)).on('error', () => resolve(false));
  });
}

function freePort() {
  return new Promise((resolve) => {
    const listener = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
}

// Runs `work` with a mail server on `port`; gives what arrived there.
async function withServer({ mode, certificate, port }, work) {
  const file = join(QM_SCRATCH, `mails-${mode}-${certificate}-${port}`);
  const args = [SERVER, String(port), file, mode, join(QM_CERTIFICATES, `${certificate}.pem`)];
  const server = spawn(QM_PYTHON, args, { stdio: 'ignore' });
  const ended = once(server, 'exit');
  const mails = () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line)) : []);
  try {
    await until(() => connects(port), 'the mail server listens');
    await work(mails);
  } finally {
    server.kill();
    await ended;
  }
}

const applied = () => (readFileSync(join(QM_SCRATCH, 'gateway.log'), 'utf8').match(/config\.applied/g) ?? []).length;

// Has the gateway send its mails to `port`, and waits until it does.
async function sendTo(port, tls) {
  const before = applied();
  const text = readFileSync(SETTINGS, 'utf8');
  writeFileSync(SETTINGS, text.replace(/port: \d+\n    tls: \w+/, `port: ${port}\n    tls: ${tls}`));
  await until(() => applied() > before, 'the configuration is applied');
}

async function asked() {
  const args = { account_id: 'ACC-0042', severity: 'critical', summary: `Mail ${Date.now()}` };
  const call = (client) => client.callTool({ name: 'desk_create_support_escalation', arguments: args });
  return (await overHttp(MODERN, 'support', call)).structuredContent.approval.id;
}

// What the gateway logged since, of a mail that was not sent.
function refusals(since) {
  const lines = readFileSync(join(QM_SCRATCH, 'gateway.log'), 'utf8').slice(since).split('\n');
  return lines.filter((line) => line.includes('not told yet'));
}

const logged = () => readFileSync(join(QM_SCRATCH, 'gateway.log'), 'utf8').length;

for (const mode of ['starttls', 'tls']) {
  test(`a mail arrives over ${mode}, and only at the server that it is for`, async () => {
    const port = await freePort();
    await sendTo(port, mode);
    let id;
    for (const certificate of ['stranger', 'other']) {
      await withServer({ mode, certificate, port }, async (mails) => {
        const since = logged();
        id ??= await asked();
        const why = await until(() => refusals(since).find((line) => line.includes('could not be encrypted')), 'it is refused');
        assert.ok(!why.includes('example.test'), why);
        assert.deepEqual(mails(), [], 'nothing was said to it');
      });
    }
    // The same letter, to the right one.
    await withServer({ mode, certificate: 'good', port }, async (mails) => {
      const mail = await until(() => mails().find((one) => one.text.includes(id)), 'the mail arrives');
      assert.deepEqual(mail.recipients, ['mo@example.test']);
    });
  });
}

test('a server that knows no STARTTLS gets no mail', async () => {
  const plain = Number(process.env.QM_MAIL_PORT);
  await sendTo(plain, 'starttls');
  const since = logged();
  const id = await asked();
  await until(() => refusals(since).length > 0, 'it is refused');
  const arrived = existsSync(QM_MAILS) ? readFileSync(QM_MAILS, 'utf8') : '';
  assert.ok(!arrived.includes(id));
});
