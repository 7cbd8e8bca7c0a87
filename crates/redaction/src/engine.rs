//! The engine: made once of a configuration, asked for every text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use crate::action::Action;
use crate::config::{BinaryAction, ConfigProblem, FieldConfig, KindAction, RedactionConfig};
use crate::field::{FieldClass, Lexicon};
use crate::finding::{Finding, Redacted, Refusal};
use crate::kind::{Kind, KindSet};
use crate::ner::Recogniser;
use crate::pass::{Pass, apply};
use crate::path::FieldPath;
use crate::scope::Scope;

/// Longest text that is looked at, in bytes.
pub const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;

/// Most fields, words and types of a configuration.
const MAX_RULES: usize = 1_000;

/// What finds personal data and secrets and does with them what is configured.
///
/// Making one compiles its rules; asking it changes nothing in it, so one serves all threads.
#[derive(Debug)]
pub struct Engine {
    actions: Vec<Action>,
    pub(crate) wanted: KindSet,
    off: HashSet<String>,
    pub(crate) fields: Vec<FieldConfig>,
    pub(crate) paths: Vec<FieldPath>,
    pub(crate) lexicon: Lexicon,
    /// Fewest values of a column, and how many of 100 are of a kind.
    pub(crate) columns: (usize, usize),
    pub(crate) max_nested: u32,
    pub(crate) binary: BinaryAction,
    media: Vec<String>,
    pub(crate) recogniser: Option<Arc<dyn Recogniser>>,
}

impl Engine {
    /// An engine for `config`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the configuration.
    pub fn new(config: &RedactionConfig) -> Result<Self, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        check(config, &mut problems);
        let mut paths = Vec::new();
        for (at, field) in config.fields.iter().enumerate() {
            match FieldPath::parse(&field.matches) {
                Ok(path) => paths.push(path),
                Err(message) => problems.push(ConfigProblem { path: format!("fields[{at}].match"), message }),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let of_kind = |kind: Kind| config.kinds.get(&kind).copied();
        let usual = |kind: Kind| if kind.is_secret() { config.secrets } else { config.default };
        let action = |kind: Kind| of_kind(kind).and_then(KindAction::action).unwrap_or_else(|| usual(kind));
        let is_wanted = |kind: &Kind| of_kind(*kind).is_none_or(|action| action.action().is_some());
        let own = config
            .lexicon
            .iter()
            .flat_map(|entry| entry.names.iter().map(|name| (name.as_str(), entry.kind)));
        Ok(Self {
            actions: Kind::ALL.iter().map(|kind| action(*kind)).collect(),
            wanted: Kind::ALL.iter().copied().filter(is_wanted).collect(),
            off: config.detectors_off.iter().cloned().collect(),
            fields: config.fields.clone(),
            paths,
            lexicon: Lexicon::new(own),
            columns: (config.columns.min_values.max(2) as usize, config.columns.percent as usize),
            max_nested: config.nested.max_depth,
            binary: config.binary.otherwise,
            media: config.binary.allow.clone(),
            recogniser: None,
        })
    }

    /// This engine with something that knows names in free text.
    #[must_use]
    pub fn with_recogniser(self, recogniser: Arc<dyn Recogniser>) -> Self {
        Self { recogniser: Some(recogniser), ..self }
    }

    /// Redacts a JSON text. Shape, order of members and the spelling of all that stays are kept.
    ///
    /// # Errors
    ///
    /// [`Refusal`], and then nothing may be released.
    pub fn redact_json<'t>(&self, text: &'t str, scope: &Scope<'_>) -> Result<Redacted<'t>, Refusal> {
        within_limit(text)?;
        let (mut edits, findings) = Pass::new(self, scope).document(text)?;
        if edits.is_empty() {
            return Ok(Redacted { text: Cow::Borrowed(text), findings });
        }
        edits.sort_by_key(|edit| edit.start);
        Ok(Redacted { text: Cow::Owned(apply(text, &edits)), findings })
    }

    /// Redacts a text that is not known to be JSON: a message, a log line, a reason.
    ///
    /// # Errors
    ///
    /// [`Refusal`], and then nothing may be released.
    pub fn redact_text<'t>(&self, text: &'t str, scope: &Scope<'_>) -> Result<Redacted<'t>, Refusal> {
        within_limit(text)?;
        let outcome = Pass::new(self, scope).text(text, FieldClass::Unknown, 0)?;
        let finding = |spot: &crate::pass::Spot| Finding {
            path: String::new(),
            class: spot.kind,
            action: spot.action,
            detector: spot.detector,
            start: spot.start,
            end: spot.end,
        };
        let findings = outcome.spots.iter().map(finding).collect();
        let text = if outcome.edits.is_empty() {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(apply(text, &outcome.edits))
        };
        Ok(Redacted { text, findings })
    }

    /// Whether data of `kind` is looked for.
    pub fn looks_for(&self, kind: Kind) -> bool {
        self.wanted.has(kind)
    }

    /// What is done with data of `kind`.
    pub fn action(&self, kind: Kind) -> Action {
        self.actions.get(kind as usize).copied().unwrap_or(Action::Drop)
    }

    /// Whether a detector is not to be used.
    pub(crate) fn is_off(&self, detector: &str) -> bool {
        !self.off.is_empty() && self.off.contains(detector)
    }

    /// Whether content of a media type is let through.
    pub(crate) fn lets_through(&self, kind: &str) -> bool {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let fits = |pattern: &String| match pattern.strip_suffix("/*") {
            Some(family) => kind.split('/').next().is_some_and(|f| f.eq_ignore_ascii_case(family)),
            None => pattern.eq_ignore_ascii_case(kind),
        };
        self.media.iter().any(fits)
    }
}

fn within_limit(text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_TEXT_BYTES { Err(Refusal::TooLong { max: MAX_TEXT_BYTES }) } else { Ok(()) }
}

fn check(config: &RedactionConfig, problems: &mut Vec<ConfigProblem>) {
    let mut problem =
        |path: String, message: &str| problems.push(ConfigProblem { path, message: message.to_owned() });
    for (at, field) in config.fields.iter().enumerate() {
        if field.kind.is_none() && field.action != Some(Action::Allow) {
            problem(format!("fields[{at}]"), "a field needs a `kind`, unless its action is `allow`");
        }
    }
    for (at, entry) in config.lexicon.iter().enumerate() {
        let is_empty = entry.names.is_empty() || entry.names.iter().any(|n| !n.contains(char::is_alphabetic));
        if is_empty {
            problem(format!("lexicon[{at}].names"), "names have letters, and there is at least one");
        }
    }
    if !(1..=100).contains(&config.columns.percent) {
        problem("columns.percent".into(), "a share is 1 to 100");
    }
    if config.nested.max_depth > 8 {
        problem("nested.maxDepth".into(), "at most 8 layers are looked into");
    }
    let known = crate::detectors();
    for (at, detector) in config.detectors_off.iter().enumerate() {
        if !known.contains(&detector.as_str()) {
            let near = quaymaster_core::suggest::nearest(detector, known.iter().copied());
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            problem(format!("detectorsOff[{at}]"), &format!("there is no detector of this name{hint}"));
        }
    }
    for (at, kind) in config.binary.allow.iter().enumerate() {
        let is_type = kind.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && a != "*");
        if !is_type {
            problem(format!("binary.allow[{at}]"), "a media type is `type/subtype` or `type/*`");
        }
    }
    for (name, count) in [
        ("fields", config.fields.len()),
        ("lexicon", config.lexicon.len()),
        ("binary.allow", config.binary.allow.len()),
    ] {
        if count > MAX_RULES {
            problem(name.into(), "there are more than 1,000 entries");
        }
    }
}
