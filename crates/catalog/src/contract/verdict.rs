//! What a change means, and why.

use serde::Serialize;
use serde_json::Value;

/// What a change means for whoever relied on a contract, from harmless to not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Wording alone.
    Cosmetic,
    /// What worked still works, and something new does.
    Additive,
    /// What worked may not work, or not mean the same.
    Risky,
    /// Something that worked does not.
    Breaking,
}

impl Verdict {
    /// The word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cosmetic => "cosmetic",
            Self::Additive => "additive",
            Self::Risky => "risky",
            Self::Breaking => "breaking",
        }
    }
}

/// One difference, and what it means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// Which rule found it, such as `input.required.added`. Rules are only ever added to.
    pub rule: String,
    /// What it means by itself.
    pub verdict: Verdict,
    /// Where it is: a JSON pointer (RFC 6901) into the definition.
    pub at: String,
    /// What was there.
    pub old: Option<Value>,
    /// What is there now.
    pub new: Option<Value>,
}

impl Reason {
    /// The verdict over all of `reasons`; none if there are none.
    pub fn worst(reasons: &[Self]) -> Option<Verdict> {
        reasons.iter().map(|reason| reason.verdict).max()
    }
}
