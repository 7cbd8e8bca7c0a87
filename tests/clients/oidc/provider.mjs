// A real OAuth 2.1 and OpenID Connect provider on loopback: `oidc-provider`, with audience-bound access
// tokens in both forms (JSON Web Tokens, and opaque ones for the client `opaque`).
import { generateKeyPairSync } from 'node:crypto';
import http from 'node:http';
import { Provider, errors } from 'oidc-provider';

export const CALLBACK = 'http://127.0.0.1:33418/callback';
export const OTHER_RESOURCE = 'https://other.example.test/mcp';

// A key pair for signatures, as a private JSON Web Key.
export function signingKey(kid) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
}

function service(client_id) {
  return {
    client_id,
    client_secret: `${client_id}-secret`,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_basic',
  };
}

// The clients of log-ins: the console, which has a secret, and the command line, which has none.
export function loginClients(console) {
  const code = { grant_types: ['authorization_code'], response_types: ['code'] };
  return [
    { ...code, client_id: 'console', client_secret: 'console-secret', redirect_uris: [`${console}/sign-in/idp/callback`] },
    {
      ...code,
      client_id: 'terminal',
      redirect_uris: ['http://127.0.0.1/callback'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
  ];
}

function configuration(resource, keys, seconds, clients) {
  const resourceServer = (indicator, client) => {
    if (indicator !== resource && indicator !== OTHER_RESOURCE) throw new errors.InvalidTarget();
    const form = client.clientId === 'opaque' ? { accessTokenFormat: 'opaque' } : { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } };
    return { scope: 'tools:read tools:write', audience: indicator, accessTokenTTL: client.clientId === 'brief' ? 1 : seconds, ...form };
  };
  return {
    jwks: { keys },
    cookies: { keys: ['test'] },
    clients: [
      service('service'),
      service('opaque'),
      service('brief'),
      service('gate'),
      {
        client_id: 'agent',
        redirect_uris: [CALLBACK],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
        application_type: 'native',
      },
      ...clients,
    ],
    claims: { openid: ['sub'], email: ['email', 'groups'] },
    // So that ID tokens say it, which have no other answer to be asked for it.
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.test`, groups: id === 'mo' ? ['managers'] : [] }),
    }),
    extraTokenClaims: () => ({ groups: ['analysts'] }),
    issueRefreshToken: () => true,
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, indicator, client) => resourceServer(indicator, client),
      },
    },
  };
}

// Runs a provider at `issuer`, which signs with the first of `keys`; `stop` ends it.
export async function start(issuer, resource, keys, { seconds = 300, clients = [] } = {}) {
  const provider = new Provider(issuer, configuration(resource, keys, seconds, clients));
  const answer = provider.callback();
  const server = http.createServer((request, response) => {
    // Another provider takes this one's place, and no connection of this one may be used then.
    response.setHeader('connection', 'close');
    answer(request, response);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(new URL(issuer).port), '127.0.0.1', resolve);
  });
  const stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { issuer, stop };
}
