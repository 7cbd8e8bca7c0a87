//! The files and the program that secrets are put into, or named in.

/// An MCP server on standard streams that tells its secret to whoever listens.
pub(super) const CHILD: &str = r#"
say() { printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$1"; }
while read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    echo "my key is $KEY" >&2
    case $line in
        *'"server/discover"'*) say '"error":{"code":-32601,"message":"unknown"}' ;;
        *'"initialize"'*) say '"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"child","version":"1"}}' ;;
        *'"tools/list"'*) say '"result":{"tools":[{"name":"go","description":"'"$KEY"'","inputSchema":{"type":"object"}}]}' ;;
        *'"tools/call"'*) say '"result":{"content":[{"type":"text","text":"my key is '"$KEY"'"}]}' ;;
    esac
done
"#;

pub(super) const CONNECTOR: &str = r"
apiVersion: connector/v1
kind: Connector
metadata:
  name: @NAME@
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: mcp
  prefix: @PREFIX@
  server:
    @SERVER@
  limits: { timeout: 10s }
  classification: { default: internal }
  trust: internal
  destination: internal
  tools:
    - { name: go, effect: read, access: { roles: [analyst, support] } }
";

pub(super) const DATABASE: &str = r#"
apiVersion: connector/v1
kind: Connector
metadata:
  name: database
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: sql
  prefix: database
  connection: { dialect: postgres, url: "${secret:DATABASE}", session: { statementTimeout: 2s } }
  limits: { rows: 10, bytes: 64KiB, timeout: 5s }
  classification: { default: internal }
  tools:
    - name: ask
      effect: read
      description: Asks a database that is not there.
      access: { roles: [analyst] }
      template:
        version: 1
        statement: SELECT 1 AS one
        columns: { one: { type: integer, description: One. } }
"#;

pub(super) const SETTINGS: &str = r#"
secrets:
  files: ./secrets
  keyringProgram: "@RING@"
  vaults:
    corp: { url: "@VAULT@", token: "${secret:VAULT_TOKEN}" }
  named:
    BY_COMMAND: { command: { argv: ["@COMMAND@"] } }
    BY_RING: { keyring: { service: quaymaster } }
    BY_ENTRY: { vault: { server: corp, path: crm, field: token } }
    BY_CIPHERTEXT: { transit: { server: corp, key: quaymaster, ciphertext: "${secret:CIPHERTEXT}" } }
approvals:
  url: http://127.0.0.1:9
  webhooks:
    - { name: chat, urlFrom: "${secret:HOOK_URL}", format: slack, workspaces: [sales] }
    - { name: program, url: "http://@SAID@/hook", secret: "${secret:HOOK}", workspaces: [sales] }
  email:
    host: 127.0.0.1
    port: 1
    tls: none
    user: quaymaster
    password: "${secret:MAIL}"
    from: Quaymaster <approvals@example.test>
    to: { support_manager: [boss@example.test] }
    workspaces: [sales]
identity:
  issuers:
    - name: corp
      issuer: http://@SAID@
      jwksUri: http://@SAID@/keys
      audience: [quaymaster]
      mapping: { roles: claims.roles }
      introspection: { clientId: gate, clientSecret: "${secret:CLIENT}", endpoint: "http://@SAID@/ask" }
"#;
