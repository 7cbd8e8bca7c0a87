// A person in a real browser, an agent, and somebody who would like to decide in that person's stead.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { MODERN, overHttp } from '../typescript_sdk/peer.mjs';
import { withPage } from './browser.mjs';

const { QM_BIN, QM_CONFIG, QM_CONSOLE, QM_MAILS } = process.env;
const TOOL = 'desk_create_support_escalation';
const HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)>\r\nBcc: evil.example.test \u202e';
const LIMIT_MS = 60_000;

let foreign;
let foreignUrl;
before(async () => {
  foreign = createServer((request, response) => {
    const id = new URL(request.url, 'http://foreign').searchParams.get('id');
    const frame = `<iframe src="${QM_CONSOLE}/approvals/${id}"></iframe>`;
    const form = `<form method="post" action="${QM_CONSOLE}/approvals/${id}"><input name="answer" value="approve"></form>`;
    response.setHeader('content-type', 'text/html').end(`<!DOCTYPE html><title>foreign</title>${frame}${form}`);
  });
  await new Promise((listening) => foreign.listen(0, '127.0.0.1', listening));
  foreignUrl = `http://127.0.0.1:${foreign.address().port}/`;
});
after(() => foreign.close());

function code() {
  return execFileSync(QM_BIN, ['console', 'code', '--config', QM_CONFIG], { encoding: 'utf8' }).trim();
}

function escalate(summary) {
  const args = { account_id: 'ACC-0042', severity: 'critical', summary };
  return overHttp(MODERN, 'support', (client) => client.callTool({ name: TOOL, arguments: args }));
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

async function signIn(page) {
  await page.go(`${QM_CONSOLE}/approvals`);
  await page.write('#code', code());
  await page.follow('main button');
  assert.match(await page.text(), /Requests for approval/);
  // That nobody was logged in, which the browser has told by now.
  page.complaints.length = 0;
}

test('a person logs in, reads a request, approves with a comment, and sees that it ran', async () => {
  const summary = `Invoices fail since this morning ${Date.now()}.`;
  const asked = (await escalate(summary)).structuredContent;
  assert.equal(asked.status, 'requires_approval', JSON.stringify(asked));
  const { id } = asked.approval;
  await withPage(async (page) => {
    await signIn(page);
    await page.follow(`a[href="/approvals/${id}"]`);
    const text = await page.text();
    for (const told of [summary, 'critical', 'Risk', 'support_manager', 'Your answer']) assert.ok(text.includes(told), `${told}: ${text}`);
    // Every field has a label, and there is one first heading.
    assert.equal(await page.ask(`[...document.querySelectorAll('input:not([type=hidden]),textarea')].filter((f) => !f.labels.length).length`), 0);
    assert.equal(await page.ask(`document.querySelectorAll('h1').length`), 1);
    assert.equal(await page.ask(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`), true);
    await page.click('#answer-approve');
    await page.write('#comment', 'go ahead: the customer waits');
    await page.follow('main button');
    assert.match(await page.text(), /the call is about to run/);
    await until(async () => {
      await page.go(`${QM_CONSOLE}/approvals/${id}`);
      return (await page.text()).includes('done');
    }, 'it runs');
    assert.match(await page.text(), /go ahead: the customer waits/);
    assert.deepEqual(page.complaints, [], 'the browser has nothing to complain of');
  });
  // What the desk answered waited for the agent, and is its own.
  const ran = await escalate(summary);
  assert.ok(!ran.isError && ran.structuredContent.status !== 'requires_approval', JSON.stringify(ran));
});

test('a foreign page neither frames the console nor sends its form, even on the same host', async () => {
  const { id } = (await escalate(`Foreign ${Date.now()}`)).structuredContent.approval;
  await withPage(async (page) => {
    await signIn(page);
    // Ports are one site for cookies: the session travels along, and does not help.
    await page.go(`${foreignUrl}?id=${id}`);
    assert.ok(page.complaints.some((text) => /frame-ancestors|X-Frame-Options/.test(text)), page.complaints.join('\n'));
    await page.loading(() => page.ask('document.forms[0].submit()'));
    assert.equal(page.status, 403);
    await page.go(`${QM_CONSOLE}/approvals/${id}`);
    assert.match(await page.text(), /pending/);
  });
});

test('what a stranger writes is text on the page and in the mail, and a link decides nothing', async () => {
  const { id } = (await escalate(`${HOSTILE} ${Date.now()}`)).structuredContent.approval;
  const mail = await until(() => {
    const lines = existsSync(QM_MAILS) ? readFileSync(QM_MAILS, 'utf8').trim().split('\n') : [];
    return lines.filter(Boolean).map((line) => JSON.parse(line)).find((one) => one.text.includes(id));
  }, 'a mail');
  assert.deepEqual(mail.recipients, ['mo@example.test'], 'nobody else gets it');
  assert.equal(mail.headers.Bcc, undefined);
  assert.match(mail.headers.Subject, /^Approval wanted: /);
  assert.ok(!/<script|<img/.test(mail.html), mail.html);
  const link = mail.text.match(/http:\S+intent=approve\S+/)[0];
  await withPage(async (page) => {
    await page.send('Emulation.setScriptExecutionDisabled', { value: false });
    await page.go(link);
    assert.match(await page.text(), /One-time code/, 'nobody is logged in');
    await page.write('#code', code());
    await page.follow('main button');
    await page.go(link);
    assert.equal(await page.ask(`document.querySelector('#answer-approve').checked`), true);
    assert.equal(await page.ask(`document.querySelectorAll('main script, main img').length`), 0);
    assert.ok((await page.text()).includes('\\u{202e}'));
    assert.equal(page.dialogs, 0, 'no script of theirs runs');
    assert.match(await page.text(), /pending/, 'nothing is decided');
  });
});
