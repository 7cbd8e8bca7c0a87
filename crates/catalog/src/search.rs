//! Finding a tool among many by what it does.
//!
//! A caller who may see more tools than a model's context should hold is given a
//! way to look for them instead of the list. This module ranks the tools of one
//! [`View`] for a query (BM25F: Robertson, Zaragoza, "The Probabilistic Relevance
//! Framework", 2009, section 3.6) and makes the short list. When it is used, and
//! how a found tool is called, is in `quaymaster-gateway`.
//!
//! Invariants:
//! - Nothing but the view's own tools has an influence on an answer: how rare a
//!   word is, is counted among them, so a hidden tool can be neither found nor
//!   measured by the scores of others.
//! - The same view and query have the same answer in the same order.
//! - The index is made once for each view, by who first searches it.

mod text;
mod tools;
mod words;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use quaymaster_core::Effect;

use self::text::{EVEN, FIELDS, PerField, Text, WEIGHT};
pub use self::tools::{CALL_TOOL, DEFAULT_FOUND, FIND_TOOLS, is_reserved};
use crate::own::await_approval;
use crate::{Tool, View};

/// Most bytes of a query.
pub const MAX_QUERY_BYTES: usize = 400;

/// Most tools that one search gives.
pub const MAX_FOUND: usize = 20;

/// How soon more of the same word counts for less.
const SATURATION: f64 = 1.2;

/// What a likely form of a word counts against the word itself.
const ALIKE: f64 = 0.4;

/// What a score counts for by the effect of the tool: where two fit alike, the
/// one that does less harm comes first.
fn caution(effect: Effect) -> f64 {
    match effect {
        Effect::Read => 1.0,
        Effect::Write => 0.98,
        Effect::Destructive => 0.95,
    }
}

/// Most words of a query that are looked for.
const MAX_QUERY_WORDS: usize = 32;

/// Most likely forms of one word that are looked for.
const MAX_ALIKE: usize = 16;

/// What somebody looks for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// What the tool should do, in words, or its name.
    pub text: &'a str,
    /// Only tools of this connector.
    pub connector: Option<&'a str>,
    /// Most tools to give.
    pub limit: usize,
}

/// A tool that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The tool.
    pub tool: Arc<Tool>,
    /// How well it fits. Only to be compared with others of the same answer.
    pub score: f64,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The best tools, best first.
    pub hits: Vec<Hit>,
    /// How many tools fit at all.
    pub total: usize,
}

/// What a view keeps for searches.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    index: OnceLock<Index>,
    short: OnceLock<Arc<str>>,
}

impl View {
    /// The tools that fit `query`, best first. One that is called by its name
    /// comes before all others; equals come in the order of their names.
    pub fn search(&self, query: Query<'_>) -> Found {
        let index = self.lookup.index.get_or_init(|| Index::of(self.tools()));
        let text = query.text.get(..query.text.floor_char_boundary(MAX_QUERY_BYTES)).unwrap_or_default();
        let scores = index.scores(text);
        let named: Vec<String> = text.split([' ', ',', '`', '"', '\'']).map(str::to_lowercase).collect();
        let is_named = |tool: &Tool| named.iter().any(|name| name == tool.name().as_str());
        let mut hits: Vec<(bool, Hit)> = self
            .tools()
            .zip(scores)
            .filter(|(tool, _)| {
                query.connector.is_none_or(|only| only == tool.declaration().connector.as_str())
            })
            .map(|(tool, score)| {
                let score = score * caution(tool.effect());
                (is_named(tool), Hit { tool: Arc::clone(tool), score })
            })
            .filter(|(named, hit)| *named || hit.score > 0.0)
            .collect();
        let total = hits.len();
        // The sort is stable, and the tools come in the order of their names.
        hits.sort_by(|one, other| order(other, one));
        let hits = hits.into_iter().take(query.limit.min(MAX_FOUND)).map(|(_, hit)| hit).collect();
        Found { hits, total }
    }

    /// The list for a client that searches: how to find and to call tools, and
    /// the tools that are `pinned`. A JSON array of `Tool` objects.
    pub fn short_listing(&self, pinned: impl Fn(&Tool) -> bool) -> Arc<str> {
        let make = || {
            let [call, find] = tools::objects(self);
            let waiting = self.awaits().then(|| await_approval().to_string());
            let kept = self.tools().filter(|tool| pinned(tool)).map(|tool| tool.listing().to_owned());
            let objects: Vec<String> = waiting.into_iter().chain([call, find]).chain(kept).collect();
            format!("[{}]", objects.join(",")).into()
        };
        Arc::clone(self.lookup.short.get_or_init(make))
    }
}

fn order((one_named, one): &(bool, Hit), (other_named, other): &(bool, Hit)) -> Ordering {
    one_named.cmp(other_named).then(one.score.total_cmp(&other.score))
}

/// Where each word stands.
#[derive(Debug, Default)]
struct Index {
    tools: usize,
    words: BTreeMap<String, Vec<Posting>>,
}

/// How much a word says of one tool.
#[derive(Clone, Copy, Debug)]
struct Posting {
    tool: usize,
    weight: f64,
}

impl Index {
    fn of<'a>(tools: impl Iterator<Item = &'a Arc<Tool>>) -> Self {
        let texts: Vec<Text> = tools.map(|tool| Text::of(tool)).collect();
        let mean = mean_lengths(&texts);
        let mut index = Self { tools: texts.len(), words: BTreeMap::new() };
        for (tool, text) in texts.into_iter().enumerate() {
            let worth = worth(&text.lengths, &mean);
            for (word, counts) in text.counts {
                let weight = counts.iter().zip(worth).map(|(count, worth)| count * worth).sum();
                index.words.entry(word).or_default().push(Posting { tool, weight });
            }
        }
        index
    }

    /// A score for each tool, in their order.
    fn scores(&self, query: &str) -> Vec<f64> {
        let mut scores = vec![0.0; self.tools];
        for word in words::distinct(query).iter().take(MAX_QUERY_WORDS) {
            let mut weights = vec![0.0; self.tools];
            for (share, posting) in self.postings(word) {
                if let Some(weight) = weights.get_mut(posting.tool) {
                    *weight += share * posting.weight;
                }
            }
            let holders = weights.iter().filter(|weight| **weight > 0.0).count();
            let rarity = rarity(self.tools, holders);
            for (score, weight) in scores.iter_mut().zip(weights) {
                *score += rarity * weight * (SATURATION + 1.0) / (weight + SATURATION);
            }
        }
        scores
    }

    /// Where a word stands, and where likely forms of it do.
    fn postings<'a>(&'a self, word: &'a str) -> impl Iterator<Item = (f64, &'a Posting)> + 'a {
        let own = self.words.get(word).map(|postings| (1.0, postings));
        let beginning = word.get(..words::MIN_SHARED);
        let forms = beginning.into_iter().flat_map(move |beginning| {
            let near = self.words.range(beginning.to_owned()..);
            near.take_while(move |(other, _)| other.starts_with(beginning))
                .filter(move |(other, _)| *other != word && words::alike(word, other))
                .take(MAX_ALIKE)
                .map(|(_, postings)| (ALIKE, postings))
        });
        let deeds = words::deeds(word).filter_map(|deed| Some((ALIKE, self.words.get(deed)?)));
        own.into_iter()
            .chain(forms)
            .chain(deeds)
            .flat_map(|(share, postings)| postings.iter().map(move |p| (share, p)))
    }
}

fn mean_lengths(texts: &[Text]) -> PerField {
    let mut mean = [0.0; FIELDS];
    for text in texts {
        for (sum, length) in mean.iter_mut().zip(text.lengths) {
            *sum += length;
        }
    }
    let count = as_number(texts.len()).max(1.0);
    mean.map(|sum| (sum / count).max(1.0))
}

/// What one word in each place of a text of these lengths is worth.
fn worth(lengths: &PerField, mean: &PerField) -> PerField {
    let mut worth = WEIGHT;
    for ((worth, even), (length, mean)) in worth.iter_mut().zip(EVEN).zip(lengths.iter().zip(mean)) {
        *worth /= 1.0 - even + even * length / mean;
    }
    worth
}

/// A word that few tools have says more than one that many have.
fn rarity(tools: usize, holders: usize) -> f64 {
    let (tools, holders) = (as_number(tools), as_number(holders));
    (1.0 + (tools - holders + 0.5) / (holders + 0.5)).ln()
}

fn as_number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
