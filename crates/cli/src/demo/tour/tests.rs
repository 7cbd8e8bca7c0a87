//! The tour with a demo that answers by a script.

use anyhow::bail;

use super::*;
use crate::demo::ticketing;

/// Answers as a demo that works would, and as one that does not where `broken` says so.
struct Scripted {
    broken: Option<usize>,
    calls: usize,
    effects: u64,
    escalated: bool,
}

impl Scripted {
    fn new(broken: Option<usize>) -> Self {
        Self { broken, calls: 0, effects: 0, escalated: false }
    }

    fn answer(&mut self, step: &Step) -> Value {
        let data = match step.expect {
            Expect::Rows(rows) => json!({"columns": [{"name": "month"}], "rows": vec![["x"]; rows]}),
            Expect::Columns { with, .. } => {
                let columns: Vec<Value> = with.iter().map(|name| json!({"name": name})).collect();
                json!({"columns": columns, "rows": [with]})
            }
            Expect::Listed(name) => return json!({"structuredContent": {name: [{}], "total": 1}}),
            Expect::Refused(code) => {
                let status = if code == ErrorCode::ApprovalRequired { "requires_approval" } else { "failed" };
                let error = json!({"code": code, "retry": "never"});
                let waits = code == ErrorCode::ApprovalRequired;
                let approval = if waits { json!({"id": "apr_1"}) } else { Value::Null };
                return json!({
                    "isError": true,
                    "structuredContent":
                        {"status": status, "message": "no", "error": error, "approval": approval}
                });
            }
            Expect::Agreed => {
                self.effects += 1;
                return json!({"structuredContent": {"escalation_id": "ESC-0002", "repeated": false}});
            }
            Expect::Escalated | Expect::SameEscalation => {
                let repeated = self.escalated;
                self.effects += u64::from(!repeated);
                self.escalated = true;
                return json!({"structuredContent": {"escalation_id": "ESC-0001", "repeated": repeated}});
            }
        };
        json!({"structuredContent": {"status": "success", "data": data}})
    }
}

impl Demo for Scripted {
    fn call(&mut self, step: &Step) -> anyhow::Result<Value> {
        self.calls += 1;
        if self.broken == Some(self.calls) {
            bail!("connection refused");
        }
        let mut result = self.answer(step);
        result["_meta"][AUDIT_ID_META] = format!("call_{}", self.calls).into();
        Ok(result)
    }

    fn agree(&mut self, _id: &str) -> anyhow::Result<String> {
        Ok("Open an escalation".into())
    }

    fn effects(&mut self) -> anyhow::Result<u64> {
        Ok(self.effects)
    }

    fn verify_audit(&mut self) -> anyhow::Result<String> {
        match self.broken {
            Some(0) => bail!("record 7 does not fit its hash"),
            _ => Ok("18 records hold".into()),
        }
    }
}

fn printed(demo: &mut Scripted) -> (bool, String) {
    let mut out = Vec::new();
    let good = run(demo, &mut out).expect("an output");
    (good, String::from_utf8(out).expect("UTF-8"))
}

#[test]
fn a_tour_on_which_all_goes_well_reads_like_this() {
    let (good, text) = printed(&mut Scripted::new(None));
    assert!(good, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn one_step_that_goes_wrong_makes_the_tour_fail_and_stops_nothing() {
    for broken in 0..=steps(0).len() {
        let mut demo = Scripted::new(Some(broken));
        let (good, text) = printed(&mut demo);
        assert!(!good, "{text}");
        // Without the request that waits, nobody can agree to it.
        let skipped = usize::from(broken == 7);
        assert_eq!(demo.calls, steps(0).len() - skipped);
        assert!(text.contains("WRONG: "), "{text}");
        let last = text.lines().last().expect("a line");
        assert!(last.ends_with("of 11 steps went as they should.") && !last.starts_with("11"), "{last}");
    }
}

#[test]
fn a_second_tour_over_the_same_desk_goes_well_too() {
    let mut demo = Scripted::new(None);
    assert!(printed(&mut demo).0);
    assert!(printed(&mut demo).0);
    assert_eq!(demo.effects, 3);
}

#[test]
fn a_result_without_an_audit_record_is_wrong() {
    struct Unrecorded(Scripted);
    impl Demo for Unrecorded {
        fn call(&mut self, step: &Step) -> anyhow::Result<Value> {
            Ok(self.0.answer(step))
        }
        fn agree(&mut self, id: &str) -> anyhow::Result<String> {
            self.0.agree(id)
        }
        fn effects(&mut self) -> anyhow::Result<u64> {
            self.0.effects()
        }
        fn verify_audit(&mut self) -> anyhow::Result<String> {
            self.0.verify_audit()
        }
    }
    let mut out = Vec::new();
    assert!(!run(&mut Unrecorded(Scripted::new(None)), &mut out).expect("an output"));
}

/// The steps name arguments that the desk and the company really know.
#[test]
fn the_arguments_of_the_tour_fit_the_sample_company() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines: String = (1..)
        .zip(steps(0).iter().filter(|step| step.tool.starts_with("desk_")))
        .map(|(id, step)| {
            let mut arguments = step.arguments.clone();
            if step.tool == "desk_create_support_escalation" {
                arguments["idempotency_key"] = json!(format!("key {}", step.arguments));
            }
            let params = json!({
                "name": step.tool.trim_start_matches("desk_"),
                "arguments": arguments,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {}
                }
            });
            json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string() + "\n"
        })
        .collect();
    let mut out = Vec::new();
    ticketing::serve(folder.path(), lines.as_bytes(), &mut out).expect("a desk");
    for line in String::from_utf8(out).expect("UTF-8").lines() {
        let answer: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(answer["result"]["isError"], false, "{line}");
        let content = &answer["result"]["structuredContent"];
        assert!(content["total"] != 0, "{line}");
    }
}
