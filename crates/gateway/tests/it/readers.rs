//! Tools that read on the way of another call: for a preview, or to look up what became of a write.

use quaymaster_gateway::Rules;

use crate::installation::folder;

const DESK: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: desk
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: mcp
  prefix: desk
  server: { transport: http, url: 'http://127.0.0.1:9/mcp' }
  limits: { timeout: 5s }
  classification: { default: internal }
  tools:
    - name: open
      effect: write
      access: { roles: [analyst] }
      idempotency:
        from: [what]
        argument: key
        lookup: { tool: find, arguments: { key: '${key}' }, found: /found }
      briefing: { preview: { tool: list } }
    - { name: list, effect: read, access: { roles: [analyst] } }
    - { name: find, effect: read, access: { roles: [analyst] } }
";

/// What is wrong with that connector under these policies.
fn problems(policies: &str) -> String {
    let folder = folder();
    std::fs::write(folder.path().join("connectors/desk.yaml"), DESK).expect("written");
    std::fs::write(folder.path().join("policies/none.cedar"), policies).expect("written");
    Rules::load(folder.path(), None).err().map(|found| format!("{found:?}")).unwrap_or_default()
}

#[test]
fn a_call_that_waits_for_somebody_cannot_wait_for_another_one() {
    assert_eq!(problems(""), "");
    for (tool, place) in [("desk_list", "line: Some(22)"), ("desk_find", "line: Some(21)")] {
        let gate = format!(
            r#"@id("gate") @approval("analyst") forbid (principal, action == Action::"call", resource == Tool::"{tool}") unless {{ context.approved }};"#
        );
        let told = problems(&gate);
        let expected = format!("somebody may have to agree to calls of `{tool}`");
        assert!(told.contains(&expected) && told.contains("desk.yaml") && told.contains(place), "{told}");
    }
}
