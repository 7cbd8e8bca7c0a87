// The TypeScript SDK's client in each era, through the gateway, to MCP servers of each era.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { LEGACY, LIMIT, MODERN, overHttp } from './peer.mjs';

const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };
const asked = {
  capabilities,
  answers: {
    'elicitation/create': () => ({ action: 'accept', content: { name: 'Ada', response: 'Ada' } }),
    'sampling/createMessage': () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'Paris' } }),
    'roots/list': () => ({ roots: [{ uri: 'file:///harbour' }] })
  }
};

/** For each question, the tool of each upstream that asks it, and what it says when it is answered. */
const QUESTIONS = {
  elicitation: { legacy: ['legacy_test_elicitation', { message: 'Who?' }], modern: ['modern_test_input_required_result_elicitation'], says: /Ada/ },
  sampling: { legacy: ['legacy_test_sampling', { prompt: 'Capital?' }], modern: ['modern_test_input_required_result_sampling'], says: /Paris/ },
  roots: { legacy: ['legacy_child_ask', { methods: ['roots/list'] }], modern: ['modern_test_input_required_result_list_roots'], says: /harbour/ }
};

/** Resolves with the address of the first resource that is told to have changed. */
const changed = (client) => new Promise((resolve) => client.setNotificationHandler('notifications/resources/updated', ({ params }) => resolve(params.uri)));

for (const version of [LEGACY, MODERN]) {
  for (const upstream of ['legacy', 'modern']) {
    for (const [question, { [upstream]: [name, values], says }] of Object.entries(QUESTIONS)) {
      test(`${version}: ${question} that a ${upstream} upstream asks for comes from the client`, () =>
        overHttp(version, 'analyst', async (client) => {
          const result = await client.callTool({ name, arguments: values ?? {} }, LIMIT);
          assert.match(result.content[0].text, says);
        }, asked));
    }
  }
}

// After the questions: what a server asks beside its calls reaches nobody once a resource of it is watched.
for (const version of [LEGACY, MODERN]) {
  for (const upstream of ['legacy', 'modern']) {
    test(`${version}: a change of a ${upstream} upstream's resource is told to who watches it`, () =>
      overHttp(version, 'analyst', async (client) => {
        const told = changed(client);
        const uri = `${upstream}-docs://1`;
        if (version === MODERN) await client.listen({ resourceSubscriptions: [uri] }, LIMIT);
        else await client.subscribeResource({ uri }, LIMIT);
        const touched = await client.callTool({ name: `${upstream}_child_touch`, arguments: { uri } }, LIMIT);
        assert.ok(!touched.isError, JSON.stringify(touched));
        assert.equal(await told, uri);
      }));

    test(`${version}: a ${upstream} upstream's log is read from the level on that is asked for`, () =>
      overHttp(version, 'analyst', async (client) => {
        for (const [level, expected] of [['info', 3], ['error', 0]]) {
          const read = [];
          client.setNotificationHandler('notifications/message', ({ params }) => { read.push(params); });
          const _meta = version === MODERN ? { 'io.modelcontextprotocol/logLevel': level } : undefined;
          if (version === LEGACY) await client.setLoggingLevel(level, LIMIT);
          await client.callTool({ name: `${upstream}_test_tool_with_logging`, _meta }, LIMIT);
          assert.equal(read.length, expected, JSON.stringify(read));
        }
      }));

    test(`${version}: a ${upstream} upstream's prompt is given and its argument completed`, () =>
      overHttp(version, 'analyst', async (client) => {
        const name = `${upstream}_test_prompt_with_arguments`;
        assert.ok((await client.listPrompts(undefined, LIMIT)).prompts.some((prompt) => prompt.name === name));
        const prompt = await client.getPrompt({ name, arguments: { arg1: 'a', arg2: 'b' } }, LIMIT);
        assert.match(prompt.messages[0].content.text, /arg1='a', arg2='b'/);
        const request = { ref: { type: 'ref/prompt', name }, argument: { name: 'arg1', value: 'a' } };
        assert.deepEqual((await client.complete(request, LIMIT)).completion.values, []);
      }));

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

  test(`${version}: resources and templates are listed and read, whichever upstream has them`, () =>
    overHttp(version, 'analyst', async (client) => {
      const uris = (await client.listResources(undefined, LIMIT)).resources.map((resource) => resource.uri);
      assert.ok(uris.includes('test://static-text'), String(uris));
      const templates = (await client.listResourceTemplates(undefined, LIMIT)).resourceTemplates;
      assert.deepEqual(templates.map((template) => template.uriTemplate), ['test://template/{id}/data']);
      assert.match((await client.readResource({ uri: 'test://static-text' }, LIMIT)).contents[0].text, /static text/);
      assert.match((await client.readResource({ uri: 'test://template/7/data' }, LIMIT)).contents[0].text, /"id":"7"/);
      await assert.rejects(client.readResource({ uri: 'test://nobody' }, LIMIT));
    }));

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
