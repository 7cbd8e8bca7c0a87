// The TypeScript SDK's client, playing one scenario of `client.json` against the gateway at QM_URL in the era QM_CLIENT_ERA.
import { readFileSync } from 'node:fs';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const LIMIT = { timeout: 20_000 };
const { MCP_CONFORMANCE_SCENARIO: name, MCP_CONFORMANCE_CONTEXT: context = '{}', QM_URL, QM_TOKEN, QM_CLIENT_ERA } = process.env;
const scenario = JSON.parse(readFileSync(new URL('client.json', import.meta.url), 'utf8')).scenarios[name];

/** What a person answers who leaves each field as it is, or says yes. */
function agree({ params }) {
  const fields = Object.entries(params.requestedSchema?.properties ?? {});
  return { action: 'accept', content: Object.fromEntries(fields.map(([field, schema]) => [field, schema.default ?? true])) };
}

// `null` is no value of a boolean, and the gateway would refuse it. For the scenario, leaving it out is the same.
const withoutNulls = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));

async function call(client, { name: tool, arguments: values = {} }) {
  const result = await client.callTool({ name: tool, arguments: withoutNulls(values) }, LIMIT);
  if (result.isError) throw new Error(`${tool}: ${JSON.stringify(result)}`);
}

async function play(client) {
  const { tools } = await client.listTools(undefined, LIMIT);
  for (const one of [...(scenario.calls ?? []), ...(JSON.parse(context).toolCalls ?? [])]) await call(client, one);
  if (scenario.every) for (const tool of tools) await call(client, { name: tool.name, arguments: scenario.every });
  if (scenario.echo) {
    const { of, by } = scenario.echo;
    await call(client, { name: by, arguments: { schema: tools.find((tool) => tool.name === of).inputSchema } });
  }
  for (const prompt of scenario.prompts ?? []) await client.getPrompt({ name: prompt }, LIMIT);
  for (const uri of scenario.reads ?? []) await client.readResource({ uri }, LIMIT);
}

const mode = QM_CLIENT_ERA === 'modern' ? { pin: '2026-07-28' } : 'legacy';
const client = new Client({ name: 'driver', version: '1.0.0' }, { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode } });
client.setRequestHandler('elicitation/create', agree);
const requestInit = { headers: { Authorization: `Bearer ${QM_TOKEN}` } };
await client.connect(new StreamableHTTPClientTransport(new URL(QM_URL), { requestInit }), LIMIT);
try {
  await play(client);
} finally {
  await client.close();
}
