// People who log in at a real provider: in a real browser to the console, and on the command line. And what
// somebody else tries with what they can have: a code of their own, one that was used, a state of another.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { withPage } from '../console/browser.mjs';
import { MODERN, overHttp } from '../typescript_sdk/peer.mjs';
import { browse } from './client.mjs';
import { loginClients, signingKey, start } from './provider.mjs';

const { QM_BIN, QM_CONFIG, QM_CONSOLE, QM_URL, QM_SCRATCH, CONSOLE_SECRET } = process.env;
const TOOL = 'desk_create_support_escalation';
const LIMIT_MS = 60_000;
const run = promisify(execFile);

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

async function until(look, what) {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    assert.ok(Date.now() < deadline, what);
    await pause(50);
  }
}

function escalate(summary) {
  const args = { account_id: 'ACC-0042', severity: 'critical', summary };
  return overHttp(MODERN, 'support', (client) => client.callTool({ name: TOOL, arguments: args }));
}

before(async () => {
  assert.equal(CONSOLE_SECRET, 'console-secret');
  // Another site than the console's, as an issuer is: a port alone would be the same to a browser.
  issuer = `http://localhost:${await freePort()}`;
  provider = await start(issuer, QM_URL, [signingKey('k')], { clients: loginClients(QM_CONSOLE) });
  const file = join(QM_CONFIG, 'quaymaster.yaml');
  const settings = readFileSync(file, 'utf8').replace('listen:\n', `listen:\n  publicUrl: ${new URL(QM_URL).origin}\n`);
  writeFileSync(
    file,
    `${settings}
identity:
  issuers:
    - name: idp
      issuer: ${issuer}
      clockSkew: 1s
      login: { clientId: console, clientSecret: '\${secret:CONSOLE_SECRET}', nativeClientId: terminal, scopes: [openid, email] }
      mapping: { person: claims.email, groups: claims.groups }
      groups: { managers: [support_manager] }
`,
  );
  await until(async () => (await (await fetch(`${QM_CONSOLE}/sign-in`)).text()).includes('Log in with idp'), 'it is offered');
});

after(() => provider?.stop());

// A browser by hand: its cookie, and what the console sends it to.
async function begin() {
  const response = await fetch(`${QM_CONSOLE}/sign-in/idp`, { redirect: 'manual' });
  assert.equal(response.status, 303);
  const [cookie] = response.headers.getSetCookie();
  assert.match(cookie, /^quaymaster-login=[^;]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/);
  return { cookie: cookie.split(';')[0], url: response.headers.get('location') };
}

async function comeBack(address, cookie) {
  const response = await fetch(address, { headers: cookie ? { cookie } : {}, redirect: 'manual' });
  const body = await response.text();
  return { status: response.status, cookies: response.headers.getSetCookie(), code: /<code>([^<]*)<\/code>/.exec(body)?.[1] };
}

function isRefused({ status, cookies, code }, expected) {
  assert.deepEqual({ status, code }, { status: 403, code: expected });
  assert.ok(!cookies.some((cookie) => cookie.startsWith('quaymaster=')), cookies.join('\n'));
}

test('a person logs in at the provider, decides as who the provider says, and logs out', async () => {
  const { id } = (await escalate(`Nobody can pay ${Date.now()}`)).structuredContent.approval;
  await withPage(async (page) => {
    await page.go(`${QM_CONSOLE}/approvals/${id}`);
    assert.equal(await page.ask(`document.querySelector('#code')`), null, 'codes log nobody in here');
    await page.follow('main a.button');
    assert.ok((await page.ask('location.href')).startsWith(issuer), await page.ask('location.href'));
    await page.write('input[name=login]', 'mo');
    await page.write('input[name=password]', 'x');
    await page.follow('button[type=submit]');
    // Without an account here one is asked to agree; then the console goes on by itself.
    await page.click('button[type=submit]');
    await until(async () => (await page.text()).includes('Your answer'), 'the request is shown after the log-in');
    assert.equal(await page.ask('location.href'), `${QM_CONSOLE}/approvals/${id}`);
    assert.match(await page.text(), /idp:mo in sales/);
    const { cookies } = await page.send('Network.getCookies', { urls: [QM_CONSOLE] });
    assert.deepEqual(cookies.filter(({ name }) => name.startsWith('quaymaster')).map(({ name, sameSite, httpOnly }) => ({ name, sameSite, httpOnly })), [
      { name: 'quaymaster', sameSite: 'Strict', httpOnly: true },
    ]);
    page.complaints.length = 0;
    await page.click('#answer-approve');
    await page.follow('main button');
    assert.match(await page.text(), /the call is about to run/);
    assert.deepEqual(page.complaints, [], 'the browser has nothing to complain of');

    await page.go(`${QM_CONSOLE}/delegations`);
    await page.write('#to', 'di@example.test');
    await page.click('#role-support_manager');
    await page.write('#for', '8h');
    await page.follow('main form:last-of-type button');
    assert.match(await page.text(), /It is lent/);
    await page.go(`${QM_CONSOLE}/delegations`);
    assert.match(await page.text(), /mo@example.test lends to di@example.test/);
    await page.follow('main .requests button');
    assert.match(await page.text(), /It is taken back/);

    await page.follow('header button');
    await page.go(`${QM_CONSOLE}/approvals`);
    assert.match(await page.text(), /Log in with idp/);
    // The provider knows them still: that is its own session.
    await page.click('main a.button');
    await until(async () => (await page.text()).includes('Requests for approval'), 'logged in again');
  });
});

test('a code of somebody else logs nobody in as them, in no browser but theirs', async () => {
  const mallory = await begin();
  const theirs = await browse(mallory.url, 'mallory', `${QM_CONSOLE}/sign-in/idp/callback`);
  await withPage(async (page) => {
    await page.go(theirs);
    assert.equal(page.status, 403);
    assert.match(await page.text(), /login\.not_begun/);
    // Nor while a log-in of their own is under way.
    await page.go(`${QM_CONSOLE}/sign-in`);
    await page.follow('main a.button');
    await page.go(theirs);
    assert.match(await page.text(), /login\.not_begun/);
    await page.go(`${QM_CONSOLE}/approvals`);
    assert.match(await page.text(), /Log in with idp/);
  });
  const ada = await begin();
  isRefused(await comeBack(theirs, ada.cookie), 'login.not_begun');
  // Their code with her state: it is bound to the verifier of their log-in.
  const swapped = new URL(theirs);
  swapped.searchParams.set('state', new URL(ada.url).searchParams.get('state'));
  isRefused(await comeBack(swapped, ada.cookie), 'login.refused');
});

test('an answer counts once, and a code that was used counts no more', async () => {
  const first = await begin();
  const back = await browse(first.url, 'ada', `${QM_CONSOLE}/sign-in/idp/callback`);
  const done = await comeBack(back, first.cookie);
  assert.equal(done.status, 200);
  assert.ok(done.cookies.some((cookie) => /^quaymaster=[^;]{43}; .*SameSite=Strict$/.test(cookie)), done.cookies.join('\n'));
  isRefused(await comeBack(back, first.cookie), 'login.not_begun');
  const second = await begin();
  const replayed = new URL(back);
  replayed.searchParams.set('state', new URL(second.url).searchParams.get('state'));
  isRefused(await comeBack(replayed, second.cookie), 'login.refused');
  const third = await begin();
  const foreign = new URL(await browse(third.url, 'ada', `${QM_CONSOLE}/sign-in/idp/callback`));
  assert.equal(foreign.searchParams.get('iss'), issuer, 'the provider says who it is');
  foreign.searchParams.set('iss', 'https://other.example.test');
  isRefused(await comeBack(foreign, third.cookie), 'login.invalid');
  const fourth = await begin();
  const denied = `${QM_CONSOLE}/sign-in/idp/callback?error=access_denied&iss=${encodeURIComponent(issuer)}&state=${new URL(fourth.url).searchParams.get('state')}`;
  isRefused(await comeBack(denied, fourth.cookie), 'login.refused');
});

test('a person logs in on the command line, decides there as themselves, and logs out', async () => {
  const env = { ...process.env, XDG_DATA_HOME: mkdtempSync(join(QM_SCRATCH, 'data.')) };
  const quaymaster = (...args) => run(QM_BIN, [...args, '--config', QM_CONFIG], { env });
  const login = spawn(QM_BIN, ['login', '--config', QM_CONFIG, '--issuer', 'idp'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: login.stdout })[Symbol.asyncIterator]();
  assert.match((await lines.next()).value, /Open this address/);
  const asked = new URL((await lines.next()).value);
  const callback = asked.searchParams.get('redirect_uri');
  assert.match(callback, /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  // Whatever else knocks ends nothing.
  assert.equal((await fetch(`${callback}?code=x&state=y`)).status, 400);
  const done = await fetch(await browse(asked.href, 'mo', callback));
  assert.match(await done.text(), /You are logged in/);
  assert.match((await lines.next()).value, /^you are logged in as idp:mo in sales until /);
  if (login.exitCode === null) await once(login, 'exit');
  assert.equal(login.exitCode, 0);
  const kept = join(env.XDG_DATA_HOME, 'quaymaster/logins.json');
  assert.equal(statSync(kept).mode & 0o777, 0o600);
  assert.ok(!readFileSync(kept, 'utf8').includes('eyJ'), 'no token of the provider is kept');

  const { id } = (await escalate(`Nobody can order ${Date.now()}`)).structuredContent.approval;
  assert.match((await quaymaster('approvals', 'approve', id, '-m', 'by terminal')).stdout, /is approved/);
  assert.match((await quaymaster('approvals', 'show', id)).stdout, /idp:mo/);
  assert.match((await quaymaster('logout')).stdout, /you are logged out/);
  assert.match((await quaymaster('logout')).stdout, /you were not logged in/);
  const { stdout } = await quaymaster('audit', 'tail');
  for (const event of ['cli.signed_in', 'cli.signed_out']) assert.ok(stdout.includes(event), `${event}: ${stdout}`);
});
