// The SDK's client with the tasks of `@modelcontextprotocol/ext-tasks`, which drives them by itself.
import assert from 'node:assert/strict';
import { createTaskSessionFromClient } from '@modelcontextprotocol/ext-tasks/client';
import { CLIENT_INFO, LIMIT, MODERN, authorization, overHttp } from './peer.mjs';

const CAPABILITIES = { elicitation: { form: {} } };
const TASKS = 'io.modelcontextprotocol/tasks';

let lastId = 1000;

/** Sends a request of 2026-07-28 as it is; the SDK's client knows no results that are tasks. */
export async function post({ method, params }, { signal, context } = {}) {
  const name = method.startsWith('tasks/') ? params.taskId : params.name;
  const headers = {
    ...authorization('analyst'),
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
    'MCP-Protocol-Version': MODERN,
    'Mcp-Method': method,
    ...(name === undefined ? {} : { 'Mcp-Name': name }),
    ...context?.headers
  };
  const id = (lastId += 1);
  const body = JSON.stringify({ jsonrpc: '2.0', id, method, params });
  const response = await fetch(process.env.QM_URL, { method: 'POST', headers, body, signal });
  return { id, response };
}

/** The messages of a response, which is JSON or a stream of events. */
export async function* messages(response) {
  if (!response.headers.get('content-type').startsWith('text/event-stream')) {
    yield await response.json();
    return;
  }
  let rest = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + chunk).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      const data = event.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5)).join('\n');
      if (data.trim() !== '') yield JSON.parse(data);
    }
  }
}

async function rawDispatch(request, options) {
  const { id, response } = await post(request, options);
  for await (const message of messages(response)) {
    if (message.id !== id) continue;
    if (message.error !== undefined) return { kind: 'error', error: message.error };
    return { kind: 'result', result: message.result };
  }
  throw new Error('the stream ended without an answer');
}

/** The result of a session's task, on whose stream its questions come; ext-tasks fetches it only in the end. */
export const fetchResult = (client, taskId) => client.request({ method: 'tasks/result', params: { taskId } }, ANYTHING, LIMIT);

const ANYTHING = { '~standard': { version: 1, vendor: 'quaymaster-tests', validate: (value) => ({ value }) } };

/** What a modern request says of its client. */
export const META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientInfo': CLIENT_INFO,
  'io.modelcontextprotocol/clientCapabilities': { ...CAPABILITIES, extensions: { [TASKS]: {} } }
};

/** Runs `use` with a session that takes tasks and gives `answer` to whatever it is asked; what went wrong unseen fails. */
export function overTasks(version, use, answer = undefined) {
  return overHttp(version, 'analyst', async (client) => {
    const errors = [];
    const asked = [];
    const onInputRequest = async (request, context) => {
      asked.push({ request, context });
      return answer;
    };
    const v2 = { rawDispatch, v2RequestFraming: { protocolVersion: MODERN, clientInfo: CLIENT_INFO, clientCapabilities: CAPABILITIES } };
    const options = { endpointId: 'quaymaster', onInputRequest, onError: (error) => errors.push(error) };
    const session = createTaskSessionFromClient(client, { ...options, ...(version === MODERN ? v2 : {}) });
    try {
      await use(session, { asked, client });
      assert.deepEqual(errors, []);
    } finally {
      await session.close();
    }
  }, { capabilities: CAPABILITIES });
}
