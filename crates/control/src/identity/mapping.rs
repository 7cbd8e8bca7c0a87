//! From an issuer's claims to people, roles and workspaces: expressions in CEL.
//!
//! An expression is compiled when the configuration is loaded. It sees `claims` and
//! `scopes` and nothing else, and gives a text or a list of texts. What an issuer
//! claims is a stranger's data, so what it costs is bounded by the expression: one
//! loop at most inside another is none at all, and `jwt` bounds every list.
//!
//! Invariants:
//! - An expression that fails gives nothing: its token does not count.
//! - No expression runs without a bound on its length, its parts and its loops.

use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Program, Value};

use super::jwt::Claims;

/// Most bytes of an expression.
const MAX_BYTES: usize = 1024;
/// Most parts of an expression.
const MAX_PARTS: usize = 200;
/// Most texts that an expression gives.
const MAX_TEXTS: usize = 200;
/// What an expression sees.
const VARIABLES: [&str; 2] = ["claims", "scopes"];
/// The functions that an expression may call, besides operators and macros.
const FUNCTIONS: [&str; 7] = ["contains", "endsWith", "int", "size", "startsWith", "string", "type"];

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Mapping {
    text: String,
    program: Arc<Program>,
}

impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Mapping {}

/// What an expression sees, ready for any number of them.
pub(super) struct Sight<'a>(Context<'a, 'a>);

impl Sight<'_> {
    pub(super) fn new(claims: &Claims, scopes: &[String]) -> Result<Self, String> {
        let mut context = Context::default();
        context
            .add_variable("claims", cel::to_value(claims).map_err(|e| e.to_string())?)
            .map_err(|e| e.to_string())?;
        context
            .add_variable("scopes", cel::to_value(scopes).map_err(|e| e.to_string())?)
            .map_err(|e| e.to_string())?;
        Ok(Self(context))
    }
}

impl Mapping {
    /// Compiles `text`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn compile(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("an expression has at most {MAX_BYTES} bytes"));
        }
        let program = Program::compile(text).map_err(|errors| {
            let first = errors.errors.first();
            first.map_or_else(
                || "not an expression in CEL".to_owned(),
                |e| format!("not an expression in CEL: {}", e.msg),
            )
        })?;
        let mut survey = Survey { parts: 0, scope: VARIABLES.map(String::from).to_vec() };
        survey.visit(program.expression(), 0)?;
        Ok(Self { text: text.to_owned(), program: Arc::new(program) })
    }

    /// The one text that the expression gives.
    pub(super) fn text(&self, sight: &Sight<'_>) -> Result<String, &'static str> {
        match self.program.execute(&sight.0) {
            Ok(Value::String(text)) => Ok(text.to_string()),
            Ok(_) => Err("an expression does not give a text"),
            Err(_) => Err("an expression failed"),
        }
    }

    /// The texts that the expression gives: one, or a list of them.
    pub(super) fn texts(&self, sight: &Sight<'_>) -> Result<Vec<String>, &'static str> {
        match self.program.execute(&sight.0) {
            Ok(Value::String(text)) => Ok(vec![text.to_string()]),
            Ok(Value::List(items)) if items.len() <= MAX_TEXTS => {
                let text = |item: &Value| match item {
                    Value::String(text) => Ok(text.to_string()),
                    _ => Err("an expression gives a list of something else than texts"),
                };
                items.iter().map(text).collect()
            }
            Ok(Value::List(_)) => Err("an expression gives too many texts"),
            Ok(_) => Err("an expression gives neither a text nor a list"),
            Err(_) => Err("an expression failed"),
        }
    }
}

/// Looks at every part of an expression.
struct Survey {
    parts: usize,
    /// The names that mean something here.
    scope: Vec<String>,
}

impl Survey {
    fn visit(&mut self, part: &IdedExpr, loops: usize) -> Result<(), String> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(format!("an expression has at most {MAX_PARTS} parts"));
        }
        match &part.expr {
            Expr::Unspecified => Err("not an expression in CEL".into()),
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) if self.scope.iter().any(|known| known == name) => Ok(()),
            Expr::Ident(name) => {
                Err(format!("`{}` is unknown: there are `claims` and `scopes`", name.escape_debug()))
            }
            Expr::Select(select) => self.visit(&select.operand, loops),
            Expr::List(list) => self.all(&list.elements, loops),
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr), loops),
            Expr::Struct(_) => Err("an expression makes no messages".into()),
            Expr::Call(call) => {
                if call.func_name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && !FUNCTIONS.contains(&call.func_name.as_str())
                {
                    let known = FUNCTIONS.join("`, `");
                    let name = call.func_name.escape_debug();
                    return Err(format!("there is no function `{name}`: there are `{known}`"));
                }
                call.target.iter().try_for_each(|target| self.visit(target, loops))?;
                self.all(&call.args, loops)
            }
            Expr::Comprehension(inner) => {
                if loops > 0 {
                    return Err("a loop inside a loop is not evaluated".into());
                }
                // What is looped over is evaluated once, before.
                self.visit(&inner.iter_range, loops)?;
                self.visit(&inner.accu_init, loops)?;
                let outside = self.scope.len();
                self.scope.extend([inner.iter_var.clone(), inner.accu_var.clone()]);
                self.scope.extend(inner.iter_var2.clone());
                for part in [&inner.loop_cond, &inner.loop_step, &inner.result] {
                    self.visit(part, loops + 1)?;
                }
                self.scope.truncate(outside);
                Ok(())
            }
        }
    }

    fn all(&mut self, parts: &[IdedExpr], loops: usize) -> Result<(), String> {
        parts.iter().try_for_each(|part| self.visit(part, loops))
    }

    fn entries<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a EntryExpr>,
        loops: usize,
    ) -> Result<(), String> {
        for entry in entries {
            match entry {
                EntryExpr::StructField(field) => self.visit(&field.value, loops)?,
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, loops)?;
                    self.visit(&entry.value, loops)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(expression: &str, claims: &serde_json::Value) -> Result<Vec<String>, &'static str> {
        let claims = claims.as_object().expect("claims");
        let sight = Sight::new(claims, &["read".into()]).expect("a sight");
        Mapping::compile(expression).expect("an expression").texts(&sight)
    }

    #[test]
    fn an_expression_picks_texts_out_of_claims() {
        let claims = json!({
            "sub": "ada", "email": "ada@example.test", "n": 7, "groups": ["eng", "all"],
            "realm_access": {"roles": ["analyst"]}, "https://example.test/tenant": "sales",
        });
        for (expression, expected) in [
            ("claims.sub", vec!["ada"]),
            ("claims.realm_access.roles", vec!["analyst"]),
            ("claims['https://example.test/tenant']", vec!["sales"]),
            ("has(claims.department) ? claims.department : 'none'", vec!["none"]),
            ("claims.groups.filter(g, g != 'all').map(g, 'team-' + g)", vec!["team-eng"]),
            (
                "claims.email.endsWith('@example.test') && 'eng' in claims.groups ? ['analyst'] : []",
                vec!["analyst"],
            ),
            ("scopes", vec!["read"]),
            ("[string(claims.n)]", vec!["7"]),
        ] {
            assert_eq!(
                texts(expression, &claims),
                Ok(expected.into_iter().map(String::from).collect()),
                "{expression}"
            );
        }
        for expression in
            ["claims.missing", "claims.n", "[claims.n]", "claims.sub.groups", "claims.n + claims.sub", "true"]
        {
            assert!(texts(expression, &claims).is_err(), "{expression}");
        }
    }

    #[test]
    fn what_cannot_be_evaluated_within_bounds_does_not_compile() {
        let compile = |text: &str| Mapping::compile(text).err();
        for (text, expected) in [
            ("claims.", "not an expression in CEL"),
            ("claim.sub", "`claim` is unknown"),
            ("claims.sub.matches('(a+)+$')", "there is no function `matches`"),
            ("claims.a.map(x, claims.a.map(y, y))", "a loop inside a loop"),
            ("claims.a.filter(x, claims.a.exists(y, y == x))", "a loop inside a loop"),
            ("x", "`x` is unknown"),
            ("claims.a.all(x, true) ? x : 'a'", "`x` is unknown"),
        ] {
            let found = compile(text).unwrap_or_default();
            assert!(found.contains(expected), "{text}: {found}");
        }
        assert!(compile(&"a".repeat(MAX_BYTES + 1)).is_some_and(|why| why.contains("bytes")));
        assert!(compile(&format!("[{}]", "'a',".repeat(MAX_PARTS))).is_some_and(|why| why.contains("parts")));
        assert_eq!(compile("claims.a.filter(x, x != '').map(x, x)"), None);
    }

    #[test]
    fn too_many_texts_are_none() {
        let claims = json!({"groups": vec!["g"; MAX_TEXTS + 1]});
        assert_eq!(texts("claims.groups", &claims), Err("an expression gives too many texts"));
    }
}
