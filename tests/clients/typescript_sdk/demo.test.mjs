// The TypeScript SDK's client against the demo, in both eras over HTTP, and over stdio. It validates
// structured content against the output schemas itself, so these are checked here as well.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LEGACY, MODERN, call, overHttp, overStdio, refusal, scenario } from './peer.mjs';

for (const version of [LEGACY, MODERN]) {
  test(`${version}: the list is that of the role, in a stable order`, () =>
    overHttp(version, 'analyst', async (client) => {
      const names = (await client.listTools()).tools.map((tool) => tool.name);
      assert.ok(names.includes(scenario.allowed.tool));
      assert.ok(!names.includes(scenario.hidden.tool));
      const again = await overHttp(version, 'analyst', async (other) => (await other.listTools()).tools);
      assert.deepEqual(again.map((tool) => tool.name), names);
    }));

  test(`${version}: a read is annotated as one`, () =>
    overHttp(version, 'analyst', async (client) => {
      const tool = (await client.listTools()).tools.find((one) => one.name === scenario.allowed.tool);
      assert.equal(tool.annotations.readOnlyHint, true);
      assert.equal(tool.outputSchema.type, 'object');
    }));

  test(`${version}: an allowed call is answered in the form that its schema promises`, () =>
    overHttp(version, 'analyst', async (client) => {
      await client.listTools();
      const result = await call(client, 'allowed');
      assert.equal(result.structuredContent?.status, 'success', String(result));
      assert.match(result.structuredContent.audit_id, /^call_/);
    }));

  test(`${version}: a call that policy forbids is denied`, () =>
    overHttp(version, 'support', async (client) => {
      assert.equal(refusal(await call(client, 'denied')), scenario.denied.code);
    }));

  test(`${version}: what the role may not see does not exist`, () =>
    overHttp(version, 'analyst', async (client) => {
      assert.equal(refusal(await call(client, 'hidden')), scenario.hidden.code);
      assert.equal(refusal(await call(client, 'unknown')), scenario.unknown.code);
    }));

  test(`${version}: over stdio a list, an allowed call and an unknown tool`, () =>
    overStdio(version, async (client) => {
      const names = (await client.listTools()).tools.map((tool) => tool.name);
      assert.ok(names.includes(scenario.allowed.tool));
      const result = await call(client, 'allowed');
      assert.equal(result.structuredContent?.status, 'success', String(result));
      assert.equal(refusal(await call(client, 'unknown')), scenario.unknown.code);
    }));
}

test(`${LEGACY}: ping is answered`, () => overHttp(LEGACY, 'analyst', (client) => client.ping()));
