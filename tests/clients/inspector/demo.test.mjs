// The MCP Inspector's command line against the demo, in both eras over HTTP, and over stdio.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AUTHENTICATION_REQUIRED, OK, TOOL_ERROR, calling, http, inspect, scenario, stdio } from './peer.mjs';

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
