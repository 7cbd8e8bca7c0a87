// A server of 2025-11-25 whose tools are tasks, made of the TypeScript SDK's first generation: its store,
// its queue and its `tasks/*` are the SDK's own. It listens on 127.0.0.1:PORT.
//
//   report    takes a moment and is done
//   confirm   asks a person first, and says what they said
//   fails     ends with a result that is an error
//   forever   goes on until it is cancelled
//   begun     no task: answers once a `forever` goes on
//   outcome   no task: answers once no `forever` goes on
//   choice    can be a task or not, and says which
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import { InMemoryTaskMessageQueue, InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { ElicitResultSchema, isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';

const MOMENT_MS = 150;
const POLL_MS = 50;

const text = (value, isError = false) => ({ content: [{ type: 'text', text: value }], isError });
const moment = () => new Promise((resolve) => { setTimeout(resolve, MOMENT_MS); });

const endless = new Set(); // the ids of `forever` tasks that go on
const changes = new EventEmitter();

/** Waits until some `forever` goes on, or none. */
async function until(any) {
  while ((endless.size > 0) !== any) await once(changes, 'change');
}

/** The SDK's store, which also tells when a task was cancelled. */
class Store extends InMemoryTaskStore {
  async updateTaskStatus(taskId, status, ...rest) {
    await super.updateTaskStatus(taskId, status, ...rest);
    if (status === 'cancelled' && endless.delete(taskId)) changes.emit('change');
  }
}

const taskStore = new Store();
const taskMessageQueue = new InMemoryTaskMessageQueue();

/** A tool that is a task; `run` gives its result, or never. */
function taskTool(server, name, taskSupport, run) {
  const config = { description: `The task ${name}.`, execution: { taskSupport } };
  server.experimental.tasks.registerToolTask(name, config, {
    async createTask(extra) {
      const task = await extra.taskStore.createTask({ ttl: extra.taskRequestedTtl ?? 60_000, pollInterval: POLL_MS });
      const finish = (result) => extra.taskStore.storeTaskResult(task.taskId, result.isError ? 'failed' : 'completed', result);
      run(extra, task.taskId).then(finish).catch((error) => console.error(name, error));
      return { task };
    },
    getTask: (extra) => extra.taskStore.getTask(extra.taskId),
    getTaskResult: (extra) => extra.taskStore.getTaskResult(extra.taskId)
  });
}

function tasksServer() {
  const capabilities = { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } };
  const server = new McpServer({ name: 'tasks', version: '1.0.0' }, { capabilities, taskStore, taskMessageQueue });
  taskTool(server, 'report', 'required', async (extra, taskId) => {
    await extra.taskStore.updateTaskStatus(taskId, 'working', 'adding up');
    await moment();
    return text('the report');
  });
  taskTool(server, 'confirm', 'required', async (extra, taskId) => {
    const requestedSchema = { type: 'object', properties: { sure: { type: 'boolean' } }, required: ['sure'] };
    const request = { method: 'elicitation/create', params: { message: 'Sure?', requestedSchema } };
    const answer = await extra.sendRequest(request, ElicitResultSchema, { relatedTask: { taskId } });
    await extra.taskStore.updateTaskStatus(taskId, 'working');
    return text(`${answer.action} ${JSON.stringify(answer.content)}`);
  });
  taskTool(server, 'fails', 'required', async () => text('no luck', true));
  taskTool(server, 'forever', 'required', (extra, taskId) => {
    endless.add(taskId);
    changes.emit('change');
    return new Promise(() => {});
  });
  taskTool(server, 'choice', 'optional', async (extra) => text(extra.taskRequestedTtl === undefined ? 'a call' : 'a task'));
  server.registerTool('begun', { description: 'Waits for a task without an end.' }, async () => {
    await until(true);
    return text('begun');
  });
  server.registerTool('outcome', { description: 'Waits until no task without an end goes on.' }, async () => {
    await until(false);
    return text('cancelled');
  });
  return server;
}

const transports = new Map(); // session id -> transport

async function transportFor(request, message) {
  const known = transports.get(request.headers['mcp-session-id']);
  if (known !== undefined || !isInitializeRequest(message)) return known;
  const onsessioninitialized = (id) => transports.set(id, transport);
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, onsessioninitialized });
  await tasksServer().connect(transport);
  return transport;
}

async function answer(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const message = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
  const transport = await transportFor(request, message);
  if (transport === undefined) return response.writeHead(400).end('no such session');
  return transport.handleRequest(request, response, message);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.destroy();
  });
});
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`tasks on http://127.0.0.1:${server.address().port}/mcp`));
