// The TypeScript SDK's client in each era, through the gateway, to MCP servers of each era.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { LEGACY, LIMIT, MODERN, overHttp } from './peer.mjs';

for (const version of [LEGACY, MODERN]) {
  for (const upstream of ['legacy', 'modern']) {
    test(`${version}: progress of a ${upstream} upstream reaches the client`, () =>
      overHttp(version, 'analyst', async (client) => {
        const seen = [];
        const onprogress = ({ progress }) => seen.push(progress);
        const result = await client.callTool({ name: `${upstream}_test_tool_with_progress` }, { ...LIMIT, onprogress });
        assert.ok(!result.isError, JSON.stringify(result));
        // Reports that come too fast may be dropped; those that come are in order.
        assert.ok(seen.length > 0 && seen.every((one, at) => [0, 50, 100].includes(one) && (at === 0 || one > seen[at - 1])), String(seen));
      }));
  }

  test(`${version}: a cancelled call is cancelled at the upstream`, () =>
    overHttp(version, 'analyst', async (client) => {
      const token = randomUUID();
      const controller = new AbortController();
      const onprogress = () => controller.abort('the test has seen enough');
      const options = { ...LIMIT, onprogress, signal: controller.signal };
      await assert.rejects(client.callTool({ name: 'slow_wait', arguments: { token } }, options));
      const outcome = await client.callTool({ name: 'slow_outcome', arguments: { token } }, LIMIT);
      assert.equal(outcome.content[0].text, 'cancelled');
    }));
}
