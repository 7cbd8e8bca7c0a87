// What a client does to get an access token: client credentials, authorization code with PKCE, refresh.
// The browser of the second is driven by HTTP, through the provider's own pages.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { CALLBACK } from './provider.mjs';

async function post(url, fields, headers = {}) {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(fields), headers, redirect: 'manual' });
  return { status: response.status, body: response.headers.get('content-type')?.includes('json') ? await response.json() : {} };
}

function basic(client) {
  return { authorization: `Basic ${Buffer.from(`${client}:${client}-secret`).toString('base64')}` };
}

// A token of a service, for `resource`.
export async function ofService(issuer, client, resource, scope) {
  const fields = { grant_type: 'client_credentials', resource, ...(scope ? { scope } : {}) };
  const { status, body } = await post(`${issuer}/token`, fields, basic(client));
  assert.equal(status, 200, JSON.stringify(body));
  return body.access_token;
}

export async function revoke(issuer, client, token) {
  const { status } = await post(`${issuer}/token/revocation`, { token }, basic(client));
  assert.equal(status, 200);
}

// The tokens of a person who logs in and agrees.
export async function ofPerson(issuer, person, resource, scope) {
  const verifier = randomBytes(32).toString('base64url');
  const asked = new URLSearchParams({
    client_id: 'agent',
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope,
    resource,
    state: 'state',
    prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const back = await browse(`${issuer}/auth?${asked}`, person, CALLBACK);
  const code = new URL(back).searchParams.get('code') ?? assert.fail(back);
  const fields = { grant_type: 'authorization_code', client_id: 'agent', code, redirect_uri: CALLBACK, code_verifier: verifier, resource };
  const { status, body } = await post(`${issuer}/token`, fields);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

export async function refreshed(issuer, refresh_token, resource) {
  const { status, body } = await post(`${issuer}/token`, { grant_type: 'refresh_token', client_id: 'agent', refresh_token, resource });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

// Follows redirects with cookies, fills in forms, and gives the address at `callback` to which the provider sends the browser in the end.
export async function browse(url, person, callback) {
  const cookies = new Map();
  let fields;
  for (let steps = 0; steps < 20; steps++) {
    const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') };
    const body = fields && new URLSearchParams(fields);
    const response = await fetch(url, { method: fields ? 'POST' : 'GET', headers, body, redirect: 'manual' });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (location) {
      url = new URL(location, url).href;
      fields = undefined;
      if (url.startsWith(callback)) return url;
      continue;
    }
    const page = await response.text();
    assert.equal(response.status, 200, page);
    url = new URL(/action="([^"]+)"/.exec(page)[1], url).href;
    fields = page.includes('value="login"') ? { prompt: 'login', login: person, password: 'x' } : { prompt: 'consent' };
  }
  return assert.fail('the provider never gave a code');
}
