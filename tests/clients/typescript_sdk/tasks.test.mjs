// Tasks in all four pairs of eras: `@modelcontextprotocol/ext-tasks` as the client of each era, through the
// gateway, to tasks of the first SDK's own store (sessions) and to the tasks extension (modern).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resultFromTaskOutcome } from '@modelcontextprotocol/ext-tasks/client';
import { TaskStatusNotificationV2Schema } from '@modelcontextprotocol/ext-tasks/core/v2';
import { LEGACY, LIMIT, MODERN, overHttp } from './peer.mjs';
import { META, fetchResult, messages, overTasks, post } from './tasks_peer.mjs';

const PREFERRED = { task: { preference: 'prefer' } };

// What a tool of each upstream does, under one name.
const UPSTREAMS = {
  session: {
    done: ['tasks_report', {}, 'the report'],
    confirm: ['tasks_confirm', {}, 'accept {"sure":true}', { sure: true }],
    endless: ['tasks_forever', {}],
    isError: ['tasks_fails', {}, 'no luck']
  },
  modern: {
    done: ['modern_slow_compute', { seconds: 1, label: 'it' }, 'computed it'],
    confirm: ['modern_confirm_delete', { filename: 'a' }, 'deleted? [{"action":"accept","content":{"confirm":true}}]', { confirm: true }],
    endless: ['modern_slow_compute', { seconds: 3600 }],
    isError: ['modern_failing_job', {}, 'job failed']
  }
};

const said = (result) => result.content[0].text;

for (const version of [LEGACY, MODERN]) {
  for (const [era, tools] of Object.entries(UPSTREAMS)) {
    test(`${version}: a task of a ${era} upstream is begun, polled and done`, () =>
      overTasks(version, async (session) => {
        const [name, params, expected] = tools.done;
        const execution = await session.callTool(name, params, PREFERRED);
        assert.equal(execution.kind, 'task');
        const states = [];
        const onEvent = (event) => { if (event.type === 'task') states.push(event.task.status); };
        const { outcome } = await execution.settle({ onEvent });
        assert.equal(said(resultFromTaskOutcome(outcome)), expected);
        assert.equal(states[0], 'working');
      }));

    test(`${version}: what a task of a ${era} upstream wants to know is asked for that task, once`, () =>
      overTasks(version, async (session, { asked, client }) => {
        const [name, params, expected] = tools.confirm;
        const execution = await session.callTool(name, params, PREFERRED);
        if (version === LEGACY) assert.equal(said(await fetchResult(client, execution.handle.taskId)), expected);
        const { outcome } = await execution.settle();
        assert.equal(said(resultFromTaskOutcome(outcome)), expected);
        assert.equal(asked.length, 1);
        assert.equal(asked[0].request.kind, 'elicitation');
        assert.equal(asked[0].context.scope, 'task');
        assert.equal(asked[0].context.taskId, execution.handle.taskId);
      }, { action: 'accept', content: tools.confirm[3] }));

    test(`${version}: a task of a ${era} upstream is cancelled`, () =>
      overTasks(version, async (session, { client }) => {
        const [name, params] = tools.endless;
        // First at once, whether the upstream has begun or not, and then when it has.
        for (const waits of [false, true]) {
          const execution = await session.callTool(name, params, PREFERRED);
          if (waits && era === 'session') await client.callTool({ name: 'tasks_begun' }, LIMIT);
          await execution.cancel();
          const { outcome } = await execution.settle();
          assert.equal(outcome.status, 'cancelled');
          if (era === 'session') {
            const outcome = await client.callTool({ name: 'tasks_outcome' }, LIMIT);
            assert.equal(said(outcome), 'cancelled', 'the upstream hears of it');
          }
        }
      }));

    test(`${version}: a result of a ${era} upstream that is an error is the result of its task`, () =>
      overTasks(version, async (session, { client }) => {
        const [name, params, expected] = tools.isError;
        const execution = await session.callTool(name, params, PREFERRED);
        const { outcome } = await execution.settle();
        // The state of a session's task says that it failed; a modern one is done.
        assert.equal(outcome.status, version === MODERN ? 'completed' : 'failed');
        const result = outcome.result ?? (await fetchResult(client, execution.handle.taskId));
        assert.deepEqual([result.isError, said(result)], [true, expected]);
      }));
  }

  test(`${version}: a tool of a session that can be either is a task for who takes one`, () =>
    overTasks(version, async (session) => {
      const { outcome } = await (await session.callTool('tasks_choice', {}, PREFERRED)).settle();
      assert.equal(said(resultFromTaskOutcome(outcome)), 'a task');
    }));

  test(`${version}: who wants no task waits for the result of a tool that makes nothing else`, () =>
    overHttp(version, 'analyst', async (client) => {
      const result = await client.callTool({ name: 'tasks_report' }, LIMIT);
      assert.equal(said(result), 'the report');
      assert.equal(said(await client.callTool({ name: 'tasks_choice' }, LIMIT)), 'a call');
    }));
}

test(`${LEGACY}: a tool of a modern upstream that makes nothing but tasks has a plain result`, () =>
  overHttp(LEGACY, 'analyst', async (client) => {
    assert.equal(said(await client.callTool({ name: 'modern_failing_job' }, LIMIT)), 'job failed');
  }));

test(`${MODERN}: who does not take tasks is told that a modern upstream makes nothing else`, () =>
  overHttp(MODERN, 'analyst', async (client) => {
    const refused = await client.callTool({ name: 'modern_failing_job' }, LIMIT).catch((error) => error);
    assert.equal(refused.code, -32021, String(refused));
  }));

test(`${LEGACY}: tasks are listed`, () =>
  overTasks(LEGACY, async (session) => {
    const execution = await session.callTool('tasks_forever', {}, PREFERRED);
    const { tasks } = await session.listTasks();
    assert.ok(tasks.some((task) => task.taskId === execution.handle.taskId && task.status === 'working'));
    await execution.cancel();
  }));

test(`${MODERN}: a subscription tells of a task up to its result`, () =>
  overTasks(MODERN, async (session) => {
    const execution = await session.callTool('tasks_confirm', {}, PREFERRED);
    const { taskId } = execution.handle;
    const stop = new AbortController();
    const params = { _meta: META, notifications: { taskIds: [taskId] } };
    const { response } = await post({ method: 'subscriptions/listen', params }, { signal: stop.signal });
    const settled = execution.settle();
    let last;
    for await (const message of messages(response)) {
      if (message.method !== 'notifications/tasks') continue;
      last = TaskStatusNotificationV2Schema.parse(message).params;
      assert.equal(last.taskId, taskId);
      if (last.status === 'completed') break;
    }
    stop.abort();
    assert.equal(said(last.result), 'accept {"sure":true}');
    assert.equal(said(resultFromTaskOutcome((await settled).outcome)), 'accept {"sure":true}');
  }, { action: 'accept', content: { sure: true } }));
