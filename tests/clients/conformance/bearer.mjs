// Loaded into the conformance suite, which knows no credentials: adds the bearer token QM_TOKEN to
// every request to the origin of QM_URL that has none.
import http from 'node:http';
import { createRequire, syncBuiltinESMExports } from 'node:module';

const suite = new URL('../node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url);
const { Agent, setGlobalDispatcher } = createRequire(suite)('undici');
const origin = new URL(process.env.QM_URL).origin;
const bearer = `Bearer ${process.env.QM_TOKEN}`;

function withToken(headers) {
  if (!headers) return { authorization: bearer };
  if (Array.isArray(headers)) {
    return headers.some((h) => String(h).toLowerCase() === 'authorization') ? headers : [...headers, 'authorization', bearer];
  }
  const entries = typeof headers.entries === 'function' ? Object.fromEntries(headers.entries()) : headers;
  return Object.keys(entries).some((name) => name.toLowerCase() === 'authorization') ? entries : { ...entries, authorization: bearer };
}

// Both `fetch` and the suite's own undici send by the global dispatcher.
setGlobalDispatcher(new Agent().compose((dispatch) => (options, handler) => {
  const ours = String(options.origin) === origin;
  return dispatch(ours ? { ...options, headers: withToken(options.headers) } : options, handler);
}));

const request = http.request;
http.request = function (...args) {
  const sent = request.apply(this, args);
  if (!sent.headersSent && !sent.getHeader('authorization')) sent.setHeader('authorization', bearer);
  return sent;
};
syncBuiltinESMExports();
