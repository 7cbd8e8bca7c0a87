//! The expressions of a SELECT: what each is called, and which names it is made of.

use std::collections::BTreeSet;

use super::functions;
use super::tokens::Token;

/// One expression of a SELECT.
#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    /// What it is called, where that can be told.
    pub(super) name: Option<String>,
    /// Every word in it, one of which the database may call it by otherwise.
    pub(super) words: BTreeSet<String>,
    /// The names that it is made of.
    pub(super) parts: BTreeSet<String>,
    /// The name that it is given without AS, which may be a part of it instead.
    pub(super) last: Option<String>,
    /// Whether it stands for all columns.
    pub(super) is_star: bool,
    /// Whether it may be made of anything.
    pub(super) is_any: bool,
}

/// What PostgreSQL calls an expression that has nothing to be called by.
const UNNAMED: &str = "?column?";

impl Item {
    /// What it may be called.
    pub(super) fn names(&self) -> BTreeSet<String> {
        match &self.name {
            Some(name) => [name.clone()].into(),
            None => self.words.clone(),
        }
    }
}

/// The expressions of the SELECT behind which `tokens` stand, and what stands behind its FROM; nothing if they
/// could be read in several ways.
pub(super) fn items(tokens: &[Token]) -> Option<(Vec<Item>, &[Token])> {
    let mut depth = 0_usize;
    let mut start = 0;
    let mut items = Vec::new();
    let mut end = tokens.len();
    let mut behind: &[Token] = &[];
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        let after = tokens.get(at + 1..).unwrap_or_default();
        match token {
            Token::Sign("(") => depth += 1,
            Token::Sign(")") if depth == 0 => {
                end = at;
                break;
            }
            Token::Sign(")") => depth -= 1,
            Token::Sign(",") if depth == 0 => {
                items.push(item(tokens.get(start..at)?));
                start = at + 1;
            }
            // `is distinct from` compares.
            token if depth == 0 && token.is("from") && !before.is_some_and(|t| t.is("distinct")) => {
                end = at;
                behind = after;
                break;
            }
            token if depth == 0 && functions::ENDS.iter().any(|word| token.is(word)) => {
                // Were this the name of a column, a FROM of the same SELECT would follow.
                if has_from(after) {
                    return None;
                }
                end = at;
                break;
            }
            _ => {}
        }
    }
    items.push(item(tokens.get(start..end)?));
    Some((items, behind))
}

/// Whether a FROM follows before the next SELECT.
fn has_from(tokens: &[Token]) -> bool {
    let mut depth = 0_usize;
    for token in tokens {
        match token {
            Token::Sign("(") => depth += 1,
            Token::Sign(")") if depth == 0 => return false,
            Token::Sign(")") => depth -= 1,
            token if depth == 0 && token.is("select") => return false,
            token if depth == 0 && token.is("from") => return true,
            _ => {}
        }
    }
    false
}

/// One expression.
fn item(tokens: &[Token]) -> Item {
    let tokens = match tokens {
        [first, rest @ ..] if first.is("all") || first.is("distinct") => rest,
        tokens => tokens,
    };
    let is_star = matches!(tokens, [Token::Sign("*")])
        || (tokens.last().is_some_and(|t| t.is_sign("*"))
            && tokens.iter().rev().nth(1).is_some_and(|t| t.is_sign("."))
            && tokens.iter().all(|t| matches!(t, Token::Word { .. } | Token::Sign("." | "*"))));
    if is_star {
        return Item { is_star, ..Item::default() };
    }
    let (name, expression) = named(tokens);
    let words = expression.iter().filter_map(|token| match token {
        Token::Word { text, .. } => Some(text.clone()),
        _ => None,
    });
    let words = words.chain([UNNAMED.to_owned()]).collect();
    let mut item = Item { name, words, is_any: expression.is_empty(), ..Item::default() };
    for (at, token) in expression.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| expression.get(at));
        let after = expression.get(at + 1);
        match token {
            Token::Word { text, is_quoted } => {
                let is_type = before.is_some_and(|t| t.is_sign("::") || t.is("as"));
                let is_said = after.is_some_and(|t| t.is_sign(".") || (t.is_sign("(") && !is_quoted));
                // What an expression without a name is called may be a word like any other, in quotes.
                item.is_any |= *is_quoted && functions::is_keyword(text);
                if !is_said && !is_type {
                    item.parts.insert(text.clone());
                }
            }
            // The columns of a row.
            Token::Sign("*") if before.is_some_and(|t| t.is_sign(".")) => item.is_any = true,
            _ => {}
        }
    }
    if item.name.is_some() && expression.len() == tokens.len() {
        item.last = item.name.clone().filter(|last| item.parts.remove(last));
    }
    if item.name.is_none() {
        item.name = plain_name(expression);
    }
    item
}

/// The name that an expression is given, and the expression.
fn named(tokens: &[Token]) -> (Option<String>, &[Token]) {
    match tokens {
        [expression @ .., before, Token::Word { text, .. }] if before.is("as") => {
            (Some(text.clone()), expression)
        }
        [expression @ .., Token::Word { text, is_quoted }]
            if !expression.is_empty() && (*is_quoted || !functions::is_keyword(text)) =>
        {
            let is_end = expression.last().is_some_and(|last| match last {
                Token::Word { text, is_quoted } => {
                    *is_quoted || !functions::is_keyword(text) || text == "end" || text == "null"
                }
                Token::Sign(")") | Token::Literal | Token::Value => true,
                _ => false,
            });
            // The last word may be a part all the same: `at time zone city`.
            (is_end.then(|| text.clone()), tokens)
        }
        tokens => (None, tokens),
    }
}

/// The name of a column that stands alone.
fn plain_name(tokens: &[Token]) -> Option<String> {
    let is_path = tokens.iter().all(|token| matches!(token, Token::Word { .. } | Token::Sign(".")));
    match tokens.last() {
        Some(Token::Word { text, .. }) if is_path => Some(text.clone()),
        _ => None,
    }
}
