//! What in a database the columns of a result are made of.
//!
//! It is told by names: a name in an expression stands for every column of that name in every table that
//! the statement or a view under it speaks of, and for everything that an inner query calls so. So it does not
//! matter how the database resolves a name in its scope: what it means is among what is told. What a name
//! stands for that is neither of these, such as a row as a whole, is all that is read; a statement that calls
//! something of which it is not known that it reads nothing by itself cannot be told anything of.
//!
//! That rows are chosen or ordered by a column makes nothing of it: only what values are made of is told.
//!
//! Invariant: a column that a value is made of is always told; more may be.

mod functions;
mod items;
mod literals;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use quaymaster_control::output::Source;

use self::items::{Item, items};
use self::tokens::{Token, tokens};
use super::config::Dialect;

/// A table or view that a statement speaks of, as the database describes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relation {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    /// What it selects, if it is a view.
    pub(crate) view: Option<String>,
    /// Columns of it that are made of others.
    pub(crate) generated: Vec<String>,
    /// Whether its data may come from somewhere else.
    pub(crate) is_foreign: bool,
    /// Whether it is a view that calls its columns otherwise than its expressions.
    pub(crate) renames: bool,
}

/// Every name in `sql`: those of the relations that it speaks of are among them.
pub(crate) fn names(sql: &str, dialect: Dialect) -> BTreeSet<String> {
    let words = tokens(sql, dialect).into_iter();
    words
        .filter_map(|token| match token {
            Token::Word { text, .. } => Some(text),
            _ => None,
        })
        .collect()
}

/// The columns that `definition`, a SQLite table's, makes of others: `loud TEXT GENERATED ALWAYS AS (upper(email))`.
/// Nothing if it cannot be read.
pub(crate) fn generated(definition: &str) -> Option<Vec<String>> {
    let tokens = tokens(definition, Dialect::Sqlite);
    if tokens.contains(&Token::Strange) {
        return None;
    }
    let (mut depth, mut first, mut found) = (0_usize, None, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token {
            // A column may be called by a literal.
            Token::Literal if depth == 1 && first.is_none() => return None,
            Token::Sign("(") => depth += 1,
            Token::Sign(")") => depth = depth.saturating_sub(1),
            Token::Sign(",") if depth == 1 => first = None,
            token if depth == 1 && token.is("as") && tokens.get(at + 1).is_some_and(|t| t.is_sign("(")) => {
                found.extend(first.clone());
            }
            Token::Word { text, .. } if depth == 1 => {
                first.get_or_insert_with(|| text.clone());
            }
            _ => {}
        }
    }
    Some(found)
}

/// What the columns called `columns` are made of, each; nothing of one of which that cannot be told.
///
/// `relations` are all that have a name which is in the statement or in a view among them.
pub(crate) fn trace(
    sql: &str,
    dialect: Dialect,
    relations: &[Relation],
    columns: &[String],
) -> Vec<Option<Vec<Source>>> {
    let mut statement = Statement::default();
    let read = |statement: &mut Statement, sql: &str, is_view| {
        let tokens = tokens(sql, dialect);
        let is_plain = dialect != Dialect::Sqlite || !literals::are_names(&tokens, is_view);
        is_plain & statement.read(&tokens, is_view)
    };
    let is_read = read(&mut statement, sql, false);
    let top: Vec<Vec<Item>> = std::mem::take(&mut statement.top);
    let views = relations.iter().filter_map(|relation| relation.view.as_ref());
    let is_read = views.fold(is_read, |is_read, view| is_read & read(&mut statement, view, true));
    if !is_read || relations.iter().any(|relation| relation.is_foreign) {
        return columns.iter().map(|_| None).collect();
    }
    for relation in relations.iter().filter(|relation| relation.renames) {
        statement.any.extend(relation.columns.iter().map(|column| column.to_lowercase()));
    }
    let graph = Graph { statement: &statement, relations };
    let traced = columns.iter().enumerate().map(|(at, name)| graph.column(at, name, &top, columns.len()));
    traced.map(Some).collect()
}

/// What is known of a statement and the views under it.
#[derive(Debug, Default)]
struct Statement {
    /// What the expressions of a name are made of.
    named: BTreeMap<String, Vec<Item>>,
    /// Names that may stand for anything: of rows as a whole, and those in lists of columns.
    any: BTreeSet<String>,
    /// The SELECTs that are in no parentheses.
    top: Vec<Vec<Item>>,
    /// Whether rows of several SELECTs are one in a way of which no names tell.
    is_blurred: bool,
}

impl Statement {
    /// Adds what `tokens` say; false if nothing can be told. What stands in no parentheses is known by its name to
    /// others if the tokens are those of a view.
    fn read(&mut self, tokens: &[Token], is_view: bool) -> bool {
        if tokens.contains(&Token::Strange) || !functions::are_known(tokens) {
            return false;
        }
        self.top.clear();
        self.note_lists(tokens);
        // Rows that are written down have names of their own.
        self.is_blurred |= tokens.iter().any(|token| token.is("values"));
        // At each depth of parentheses, the first SELECT of those that are put together, and whether another
        // one is to be put to it.
        let mut open: Vec<(Option<Vec<Item>>, bool)> = vec![(None, false)];
        for (at, token) in tokens.iter().enumerate() {
            let is_top = open.len() == 1;
            let Some((first, is_added)) = open.last_mut() else { return false };
            match token {
                Token::Sign("(") => open.push((None, false)),
                Token::Sign(")") => {
                    open.pop();
                }
                token if functions::SETS.iter().any(|set| token.is(set)) && first.is_some() => {
                    *is_added = true;
                    self.is_blurred |= !adds_select(tokens.get(at + 1..).unwrap_or_default());
                }
                // What stands in parentheses before it is put together with what follows.
                token if functions::SETS.iter().any(|set| token.is(set)) => self.is_blurred = true,
                token if token.is("select") => {
                    let Some((items, behind)) = items(tokens.get(at + 1..).unwrap_or_default()) else {
                        return false;
                    };
                    let head = first.clone().filter(|_| std::mem::take(is_added));
                    if head.is_none() {
                        *first = Some(items.clone());
                    }
                    self.note_sources(behind);
                    if is_top {
                        self.top.push(items.clone());
                    }
                    self.name(items, head, !is_top || is_view);
                }
                _ => {}
            }
        }
        true
    }

    /// Notes what the expressions of a SELECT are called; where it is put together with another one, as there.
    fn name(&mut self, items: Vec<Item>, head: Option<Vec<Item>>, is_known: bool) {
        let names: Vec<BTreeSet<String>> = head.as_ref().unwrap_or(&items).iter().map(Item::names).collect();
        let has_star = |items: &[Item]| items.iter().any(|item| item.is_star);
        self.is_blurred |=
            head.is_some_and(|head| head.len() != items.len() || has_star(&head) || has_star(&items));
        for (names, item) in names.into_iter().zip(items).filter(|_| is_known) {
            for name in names {
                self.named.entry(name).or_default().push(item.clone());
            }
        }
    }

    /// Columns that a common table expression gives names of its own: `with x (a, b) as (select …`.
    fn note_lists(&mut self, tokens: &[Token]) {
        for (at, token) in tokens.iter().enumerate() {
            if functions::is_list(tokens, at) && matches!(token, Token::Word { .. }) {
                let inside = tokens.get(at + 2..).unwrap_or_default();
                let inside = inside.iter().take_while(|token| !token.is_sign(")"));
                self.any.extend(inside.filter_map(word).map(str::to_owned));
            }
        }
    }

    /// The names of rows as a whole: what stands behind FROM and is neither part of a longer name, nor in a
    /// condition, nor in a query of its own.
    fn note_sources(&mut self, tokens: &[Token]) {
        let (mut depth, mut inner) = (0_usize, None);
        let mut is_condition = false;
        for (at, token) in tokens.iter().enumerate() {
            let next = tokens.get(at + 1);
            match token {
                Token::Sign("(") => {
                    depth += 1;
                    let begins = next.is_some_and(|next| next.is("select") || next.is("with"));
                    inner = inner.or(begins.then_some(depth));
                }
                Token::Sign(")") if depth == 0 => return,
                Token::Sign(")") => {
                    inner = inner.filter(|inner| *inner != depth);
                    depth -= 1;
                }
                _ if inner.is_some() => {}
                token if depth == 0 && functions::ENDS.iter().any(|end| token.is(end)) => return,
                token if token.is("on") || token.is("using") => is_condition = true,
                Token::Sign(",") if depth == 0 => is_condition = false,
                token if token.is("join") => is_condition = false,
                // What a function gives has names that are told nowhere.
                Token::Word { .. } if !is_condition && next.is_some_and(|next| next.is_sign("(")) => {
                    self.is_blurred |= !matches!(token, Token::Word { text, is_quoted: false } if functions::is_keyword(text));
                }
                Token::Word { text, .. } if !is_condition => {
                    let is_part = next.is_some_and(|next| next.is_sign("."));
                    if !is_part {
                        self.any.insert(text.clone());
                    }
                }
                _ => {}
            }
        }
    }
}

/// Whether a SELECT follows a word that puts it together with the one before.
fn adds_select(tokens: &[Token]) -> bool {
    let mut tokens = tokens.iter().skip_while(|token| token.is("all") || token.is("distinct"));
    tokens.next().is_some_and(|token| token.is("select"))
}

/// What names lead to.
struct Graph<'a> {
    statement: &'a Statement,
    relations: &'a [Relation],
}

impl Graph<'_> {
    fn column(&self, at: usize, name: &str, top: &[Vec<Item>], count: usize) -> Vec<Source> {
        let has_star = |items: &Vec<Item>| items.iter().any(|item| item.is_star);
        let fits = |items: &Vec<Item>| items.len() == count && !has_star(items);
        let found = if self.statement.is_blurred {
            None
        } else if !top.is_empty() && top.iter().all(fits) {
            self.of_items(top.iter().filter_map(|items| items.get(at)))
        } else if let [items] = top
            && has_star(items)
        {
            // Where a star stands for columns, what is called so is any of that name.
            let name = name.to_lowercase();
            let is_own = |item: &&Item| !item.is_star && item.name.as_ref().is_none_or(|own| *own == name);
            let own: Vec<&Item> = items.iter().filter(is_own).collect();
            let is_told = own.iter().any(|item| item.name.is_some());
            let starred = Item { parts: [name.clone()].into(), ..Item::default() };
            let starred = Some(&starred).filter(|_| !is_told || self.is_known(&name));
            self.of_items(own.into_iter().chain(starred))
        } else {
            None
        };
        found.unwrap_or_else(|| self.all()).into_iter().collect()
    }

    /// The names that an expression is made of.
    fn parts<'i>(&self, item: &'i Item) -> impl Iterator<Item = String> + use<'i> {
        let last = item.last.clone().filter(|last| self.is_known(last));
        item.parts.iter().cloned().chain(last)
    }

    /// Whether something that can be read from is called so.
    fn is_known(&self, name: &str) -> bool {
        let is_column = self.relations.iter().any(|relation| has(relation, name));
        is_column || self.statement.named.contains_key(name) || self.statement.any.contains(name)
    }

    /// All that these are made of; nothing if that may be anything.
    fn of_items<'i>(&self, items: impl Iterator<Item = &'i Item>) -> Option<BTreeSet<Source>> {
        let mut sources = BTreeSet::new();
        let (mut open, mut seen) = (Vec::new(), BTreeSet::new());
        for item in items {
            if item.is_any {
                return None;
            }
            open.extend(self.parts(item));
        }
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let mut is_known = false;
            for relation in self.relations.iter().filter(|relation| has(relation, &name)) {
                is_known = true;
                sources.insert(of_column(relation, &name));
                let is_made = relation.generated.iter().any(|made| made.to_lowercase() == name);
                sources.extend(is_made.then(|| any_of(relation)));
            }
            let named = self.statement.named.get(&name);
            is_known |= named.is_some() || functions::is_keyword(&name);
            if self.statement.any.contains(&name) && !functions::is_keyword(&name) || !is_known {
                return None;
            }
            for item in named.into_iter().flatten() {
                if item.is_any {
                    return None;
                }
                open.extend(self.parts(item));
            }
        }
        Some(sources)
    }

    /// Everything that is read.
    fn all(&self) -> BTreeSet<Source> {
        self.relations.iter().map(any_of).collect()
    }
}

fn has(relation: &Relation, column: &str) -> bool {
    relation.columns.iter().any(|name| name.to_lowercase() == column)
}

fn of_column(relation: &Relation, column: &str) -> Source {
    let (schema, table) = (relation.schema.clone(), relation.name.clone());
    Source { schema, table, column: Some(column.to_owned()) }
}

fn any_of(relation: &Relation) -> Source {
    Source { schema: relation.schema.clone(), table: relation.name.clone(), column: None }
}

fn word(token: &Token) -> Option<&str> {
    match token {
        Token::Word { text, .. } => Some(text),
        _ => None,
    }
}
