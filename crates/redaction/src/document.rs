//! A JSON text taken apart: its values, where each stands, and the shapes that values share.
//!
//! Two values have one shape if the way to them has the same names; what rows of a list have in
//! common is known once. A shape is what a column is, too.

use std::borrow::Cow;
use std::collections::HashMap;

use quaymaster_core::raw::{Event, Walk};

use crate::engine::Engine;
use crate::field::FieldClass;
use crate::finding::Refusal;
use crate::path::{FieldPath, Reached};

/// Deepest nesting of objects and lists that is walked over.
pub(crate) const MAX_DEPTH: usize = 128;

/// Longest pointer that is told, in bytes: there may be as many as there are findings.
const MAX_POINTER: usize = 1_024;

/// Columns of a table without names that are told apart.
const MAX_POSITIONS: u32 = 256;

/// How a value is reached from the one around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key<'t> {
    /// As the member of this name, with its quotes.
    Name(&'t str),
    /// As an item of a list.
    Item(u32),
}

/// A step of a way that values share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way<'t> {
    Name(&'t str),
    Item,
    /// A place in a list that is a row of a table.
    Position(u32),
}

/// What all values that are reached by one way have in common.
#[derive(Debug, Default)]
pub(crate) struct Shape<'t> {
    pub(crate) parent: usize,
    pub(crate) class: FieldClass,
    /// The rule that declares it, by its place in the configuration.
    pub(crate) declared: Option<usize>,
    /// Whether a list is on the way.
    pub(crate) in_list: bool,
    /// Whether this is an object that other data of a person is in.
    pub(crate) personal: bool,
    /// The last name on the way, with its quotes.
    pub(crate) name: Option<&'t str>,
    is_item: bool,
    reached: Vec<Reached>,
}

/// An object or a list.
#[derive(Clone, Copy, Debug)]
struct Node<'t> {
    parent: usize,
    key: Key<'t>,
    shape: usize,
    items: u32,
}

/// A string, a number or the name of a member that may be data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf<'t> {
    /// The value as it is written, with its quotes.
    pub(crate) token: &'t str,
    /// Where it begins in the text.
    pub(crate) at: usize,
    pub(crate) shape: usize,
    node: usize,
    key: Key<'t>,
    pub(crate) is_name: bool,
}

impl<'t> Leaf<'t> {
    pub(crate) fn is_string(&self) -> bool {
        self.token.starts_with('"')
    }

    /// The text of a string, or a number as it is written; nothing for half of a surrogate pair.
    pub(crate) fn text(&self) -> Option<Cow<'t, str>> {
        if self.is_string() { decode(self.token) } else { Some(Cow::Borrowed(self.token)) }
    }
}

/// A JSON text, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Document<'t> {
    pub(crate) leaves: Vec<Leaf<'t>>,
    pub(crate) shapes: Vec<Shape<'t>>,
    nodes: Vec<Node<'t>>,
    index: HashMap<(usize, Way<'t>), usize>,
}

impl<'t> Document<'t> {
    /// Takes `text` apart.
    ///
    /// # Errors
    ///
    /// [`Refusal::Malformed`] for what is not JSON or nested too deep.
    pub(crate) fn read(text: &'t str, engine: &Engine) -> Result<Self, Refusal> {
        let mut document = Self::default();
        let reached = vec![FieldPath::START; engine.paths.len()];
        document.shapes.push(Shape { reached, ..Shape::default() });
        let mut walk = Walk::new(text, MAX_DEPTH);
        let mut open: Vec<usize> = Vec::new();
        let mut name: Option<&'t str> = None;
        loop {
            let event = walk.advance().map_err(|error| Refusal::Malformed { reason: error.to_string() })?;
            match event {
                None => break,
                Some(Event::End) => drop(open.pop()),
                Some(Event::Name(token, at)) => {
                    name = Some(token);
                    document.name_leaf(token, at, open.last().copied());
                }
                Some(Event::Object | Event::List) => {
                    let (key, shape, parent) = document.place(open.last().copied(), name.take(), engine);
                    open.push(document.nodes.len());
                    document.nodes.push(Node { parent, key, shape, items: 0 });
                }
                Some(Event::Scalar(token, at)) => {
                    let (key, shape, node) = document.place(open.last().copied(), name.take(), engine);
                    if token.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
                        document.leaves.push(Leaf { token, at, shape, node, key, is_name: false });
                    }
                }
            }
        }
        Ok(document)
    }

    /// Notes a name that may be data itself: it has an `@` or a digit, which names of fields seldom have.
    fn name_leaf(&mut self, token: &'t str, at: usize, node: Option<usize>) {
        let is_telling = token.len() >= 8 && token.bytes().any(|byte| byte == b'@' || byte.is_ascii_digit());
        if let Some(node) = node.filter(|_| is_telling) {
            self.leaves.push(Leaf { token, at, shape: 0, node, key: Key::Name(token), is_name: true });
        }
    }

    /// Where a value stands that comes next in the node `around`: its key, its shape and that node.
    fn place(
        &mut self,
        around: Option<usize>,
        name: Option<&'t str>,
        engine: &Engine,
    ) -> (Key<'t>, usize, usize) {
        let Some((at, node)) = around.and_then(|at| Some((at, self.nodes.get_mut(at)?))) else {
            return (Key::Item(0), 0, usize::MAX);
        };
        let parent = node.shape;
        let (key, way) = match name {
            Some(name) => (Key::Name(name), Way::Name(name)),
            None => {
                let item = node.items;
                node.items += 1;
                let is_row = self.shapes.get(parent).is_some_and(|shape| shape.is_item);
                let way = if is_row { Way::Position(item.min(MAX_POSITIONS)) } else { Way::Item };
                (Key::Item(item), way)
            }
        };
        let shape = match self.index.get(&(parent, way)) {
            Some(shape) => *shape,
            None => self.add_shape(parent, way, engine),
        };
        (key, shape, at)
    }

    fn add_shape(&mut self, parent: usize, way: Way<'t>, engine: &Engine) -> usize {
        let shape = self.shapes.len();
        let Some(above) = self.shapes.get(parent) else { return 0 };
        let name = match way {
            Way::Name(name) => decode(name),
            _ => None,
        };
        let step = |(path, reached): (&FieldPath, &Reached)| path.descend(*reached, name.as_deref());
        let reached: Vec<Reached> = engine.paths.iter().zip(&above.reached).map(step).collect();
        let declared = engine.paths.iter().zip(&reached).position(|(path, reached)| path.is_there(*reached));
        let class = match &name {
            Some(name) => Self::class(name, above, engine),
            // The items of a list are what the list is called.
            None if matches!(way, Way::Item) => above.class,
            None => FieldClass::Unknown,
        };
        let written = if let Way::Name(name) = way { Some(name) } else { above.name };
        let in_list = above.in_list || name.is_none();
        let is_item = name.is_none();
        let is_personal = matches!(class, FieldClass::Kind(kind, _) if !kind.is_secret());
        let mut fresh =
            Shape { parent, class, declared, in_list, is_item, reached, name: written, personal: false };
        fresh.personal = name.is_some_and(|name| engine.lexicon.is_person(&name));
        self.shapes.push(fresh);
        self.index.insert((parent, way), shape);
        if is_personal && let Some(above) = self.shapes.get_mut(parent) {
            above.personal = true;
        }
        shape
    }

    /// What a field holds by its name and, if that says too little, by the name around it.
    fn class(name: &str, above: &Shape<'_>, engine: &Engine) -> FieldClass {
        let own = engine.lexicon.classify(name);
        let around = above.name.and_then(decode);
        let is_generic = match own {
            FieldClass::Kind(crate::Kind::Address, _) => matches!(above.class, FieldClass::Kind(..)),
            FieldClass::Kind(..) => false,
            _ => true,
        };
        let Some(around) = around.filter(|_| is_generic) else { return own };
        match engine.lexicon.classify(&format!("{around}_{name}")) {
            joined @ FieldClass::Kind(..) => joined,
            _ => own,
        }
    }

    /// Gives columns of tables whose rows are lists the names that stand beside them.
    pub(crate) fn name_positions(&mut self, engine: &Engine) {
        let rows: Vec<(usize, usize, u32)> = self
            .index
            .iter()
            .filter_map(|((parent, way), shape)| match way {
                Way::Position(position) => Some((*shape, *parent, *position)),
                _ => None,
            })
            .collect();
        let mut headers: HashMap<usize, Vec<String>> = HashMap::new();
        for (shape, row, position) in rows {
            let Some(table) = self.shapes.get(row).map(|row| row.parent) else { continue };
            let Some(around) = self.shapes.get(table).map(|table| table.parent) else { continue };
            let names = headers.entry(around).or_insert_with(|| self.headers(around));
            let name = usize::try_from(position).ok().and_then(|at| names.get(at));
            let class = name.map(|name| engine.lexicon.classify(name));
            if let Some((class, shape)) = class.zip(self.shapes.get_mut(shape)) {
                shape.class = class;
            }
        }
    }

    /// The names of columns: the items of a list `columns` or `headers` in the object `around`, or their `name`.
    fn headers(&self, around: usize) -> Vec<String> {
        const LISTS: [&str; 5] =
            ["\"columns\"", "\"headers\"", "\"header\"", "\"fields\"", "\"columnNames\""];
        let list = LISTS.iter().find_map(|name| self.index.get(&(around, Way::Name(name))));
        let Some(item) = list.and_then(|list| self.index.get(&(*list, Way::Item))).copied() else {
            return vec![];
        };
        let named = self.index.get(&(item, Way::Name("\"name\""))).copied().unwrap_or(item);
        let is_header = |leaf: &&Leaf<'_>| leaf.is_string() && !leaf.is_name && leaf.shape == named;
        let leaves = self.leaves.iter().filter(is_header).take(MAX_POSITIONS as usize);
        leaves.filter_map(|leaf| leaf.text().map(Cow::into_owned)).collect()
    }

    /// What a shape holds, with what its company says.
    pub(crate) fn class_of(&self, shape: usize) -> FieldClass {
        let Some(shape) = self.shapes.get(shape) else { return FieldClass::Unknown };
        let in_company = || self.shapes.get(shape.parent).is_some_and(|parent| parent.personal);
        match shape.class {
            FieldClass::Name if in_company() => FieldClass::Kind(crate::Kind::PersonName, "field.company"),
            class => class,
        }
    }

    /// The text of the member of `names` that stands beside the leaf `at`, few members away.
    pub(crate) fn beside(&self, at: usize, names: &[&str]) -> Option<Cow<'t, str>> {
        const REACH: usize = 32;
        let leaf = self.leaves.get(at)?;
        let is_one = |other: &&Leaf<'t>| {
            other.node == leaf.node && matches!(other.key, Key::Name(name) if names.contains(&name))
        };
        let near = self.leaves.get(at.saturating_sub(REACH)..self.leaves.len().min(at + REACH))?;
        near.iter().filter(|other| !other.is_name).find(is_one)?.text()
    }

    /// Where a leaf is, as an RFC 6901 pointer; `renamed` says how names were released that are data.
    pub(crate) fn pointer(&self, leaf: &Leaf<'t>, renamed: &HashMap<&'t str, String>) -> String {
        let mut keys = vec![leaf.key];
        let mut at = leaf.node;
        if at == usize::MAX {
            return String::new();
        }
        while let Some(node) = self.nodes.get(at) {
            if node.parent == usize::MAX {
                break;
            }
            keys.push(node.key);
            at = node.parent;
        }
        let mut pointer = String::new();
        for key in keys.iter().rev() {
            pointer.push('/');
            match key {
                Key::Item(item) => pointer.push_str(&item.to_string()),
                Key::Name(token) => {
                    let decoded = || decode(token).unwrap_or_default();
                    let name = renamed.get(token).map_or_else(decoded, |name| Cow::Owned(name.clone()));
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
            }
            if pointer.len() > MAX_POINTER {
                pointer.truncate(pointer.floor_char_boundary(MAX_POINTER));
                pointer.push('…');
                break;
            }
        }
        pointer
    }
}

/// The string that a token is.
pub(crate) fn decode(token: &str) -> Option<Cow<'_, str>> {
    let inner = token.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    let raw = quaymaster_core::Raw::read(token).ok()?;
    raw.text().map(|text| Cow::Owned(text.into_owned()))
}
