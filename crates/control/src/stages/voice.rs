//! Whether the system behind a tool may speak to the client while a call runs.
//!
//! What it asks or tells in the middle of a call is content like a result, and has
//! no fields to take out: it passes only where nothing would have to be. Whoever may
//! hear it is labelled beforehand. What the client answers is sent on only if the call
//! would still be permitted to whoever has seen what they have seen by then.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_catalog::Tool;
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{Arguments, CallRequest, SessionId};

use super::Rulebook;
use super::permit::Permit;
use super::release::Sieve;
use crate::flow::{Flow, of_words};
use crate::policy::{Circumstances, DecisionEffect, Policies};

/// What one call's system may say before its result.
#[derive(Clone, Debug)]
pub struct Voice {
    may_speak: bool,
    /// What is asked again before an answer goes out, where labels matter.
    asked: Option<Arc<Asked>>,
}

/// How the client of a call listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listening {
    /// It hears of the result alone.
    ToNothing,
    /// It can be asked, or is told how the call goes.
    Meanwhile,
    /// The same, as the holder of a task, who may look later.
    AsTask,
}

/// How long a client may leave the result of a task before it fetches it, at most.
const TASKS_LAST: Duration = Duration::from_hours(24);

impl Listening {
    /// How much later than its call a client may be given what came of it.
    pub(super) fn longer(self) -> Duration {
        match self {
            Self::AsTask => TASKS_LAST,
            Self::ToNothing | Self::Meanwhile => Duration::ZERO,
        }
    }
}

/// The call that is decided on again.
#[derive(Debug)]
struct Asked {
    request: CallRequest,
    tool: Arc<Tool>,
    arguments: Arguments,
    reason: Option<String>,
    was: DecisionEffect,
    policies: Arc<Policies>,
    flow: Flow,
}

/// What the rules let the system behind `permit` say. Nothing, if it cannot be noted that it was heard.
pub async fn voice(permit: &Permit, rulebook: &Rulebook, flow: &Flow, listening: Listening) -> Voice {
    let facts = permit.facts();
    let may_speak =
        Sieve::of(facts, rulebook).is_some_and(|sieve| sieve.lets_all_through() && !sieve.withholds_kinds());
    let parts = facts.tool.as_ref().zip(facts.decision.as_ref());
    let Some((tool, decision)) = parts.filter(|_| may_speak && listening != Listening::ToNothing) else {
        return Voice { may_speak, asked: None };
    };
    if tool.declaration().form != ResultForm::Upstream {
        return Voice { may_speak, asked: None };
    }
    let labels = of_words(tool, facts.class_of_words(), &decision.obligations.labels);
    match Box::pin(flow.raise(&facts.request, &labels, listening.longer())).await {
        Ok(new) => {
            // There is one voice for each call.
            let _ = facts.heard.set(new);
        }
        Err(error) => {
            tracing::error!(event = "flow.voice", call = %facts.request.id, %error, "a system may not speak, because it cannot be noted that it was heard");
            return Voice { may_speak: false, asked: None };
        }
    }
    let asked = rulebook.policies().asks_labels(tool).then(|| {
        Arc::new(Asked {
            request: facts.request.clone(),
            tool: Arc::clone(tool),
            arguments: facts.arguments.clone().unwrap_or_default(),
            reason: facts.reason.clone(),
            was: decision.effect.clone(),
            policies: Arc::clone(rulebook.policies()),
            flow: flow.clone(),
        })
    });
    Voice { may_speak, asked }
}

impl Voice {
    /// Whether the system may say nothing at all.
    pub fn is_mute(&self) -> bool {
        !self.may_speak
    }

    /// The way to the client, if that may be spoken to.
    pub fn over<T: ?Sized>(&self, way: Option<Arc<T>>) -> Option<Arc<T>> {
        way.filter(|_| self.may_speak)
    }

    /// Whether what the client has just answered may be sent on: whether the call would still be decided on
    /// as it was, after whatever was released meanwhile.
    pub async fn may_answer(&self) -> bool {
        match &self.asked {
            Some(asked) => asked.holds().await,
            None => self.may_speak,
        }
    }
}

impl Asked {
    async fn holds(&self) -> bool {
        let request = &self.request;
        let Ok(seen) = Box::pin(self.flow.seen_by(request, true)).await else { return false };
        let circumstances = Circumstances {
            session: request.session.as_ref().map(SessionId::as_str),
            reason: self.reason.as_deref(),
            labels: seen.as_deref().map(crate::flow::Seen::names).unwrap_or_default(),
            ..Circumstances::new(&request.agent, request.received)
        };
        let decision = self.policies.decide(&request.actor, &self.tool, &self.arguments, &circumstances);
        let holds = decision.effect == DecisionEffect::Allow || decision.effect == self.was;
        if !holds {
            tracing::warn!(event = "flow.answer", call = %request.id, policies = ?decision.policies, "an answer in the middle of a call is not sent on");
        }
        holds
    }
}
