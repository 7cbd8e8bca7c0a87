//! Delegations on their page: what is lent, lending, taking back.
//!
//! `quaymaster-control` says who may lend what to whom, as on the command line.

use http::StatusCode;
use quaymaster_core::setting::{DurationSetting, Slug};
use quaymaster_core::text::plain;
use quaymaster_core::{ActorId, CallError, ErrorCode, Role};

use super::form::Form;
use super::page::{self, Answer};
use super::{Visit, failed, sentence, status, view};

/// Where delegations are, and what that is called.
const PAGE: (&str, &str) = ("/delegations", "To the delegations");

/// A say that is lent, as the page shows it.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) id: String,
    pub(super) line: String,
    pub(super) roles: String,
    pub(super) until: String,
    /// Whether whoever looks has lent it, and may take it back.
    pub(super) is_mine: bool,
}

impl Visit<'_> {
    pub(super) async fn delegations(&self) -> Answer {
        let lent = match self.desk.approvals.delegations(&self.actor).await {
            Ok(lent) => lent,
            Err(error) => return failed(&error.into()),
        };
        let shown = lent.into_iter().map(|one| Lent {
            line: format!("{} lends to {}", plain(&one.giver), plain(&one.taker)),
            roles: one.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(", "),
            until: view::time(one.until),
            is_mine: one.giver == self.actor.person().as_str(),
            id: one.id,
        });
        page::delegations(self, shown.collect())
    }

    /// Lends what the form says.
    pub(super) async fn lend(&self, form: &Form) -> Answer {
        match self.lent(form).await {
            Ok(id) => page::done(self, (StatusCode::OK, &format!("It is lent, as {id}.")), PAGE),
            Err(error) => self.refused(&error),
        }
    }

    async fn lent(&self, form: &Form) -> Result<String, CallError> {
        let invalid = |message: String| CallError::new(ErrorCode::InputInvalid, message);
        let to = ActorId::parse(form.value("to").trim()).map_err(invalid)?;
        let lasts = DurationSetting::parse(form.value("for").trim()).map_err(invalid)?;
        let roles: Result<Vec<Role>, String> = form.values("role").map(Slug::parse).collect();
        let evidence = &self.desk.evidence;
        let until = evidence.clock.now().after(lasts.get());
        self.desk.approvals.delegate(&self.actor, &to, roles.map_err(invalid)?, until, evidence).await
    }

    pub(super) async fn take_back(&self, id: &str) -> Answer {
        match self.desk.approvals.take_back(&self.actor, id, &self.desk.evidence).await {
            Ok(()) => page::done(self, (StatusCode::OK, "It is taken back."), PAGE),
            Err(error) => self.refused(&error),
        }
    }

    fn refused(&self, error: &CallError) -> Answer {
        if let Some(source) = &error.source {
            tracing::error!(event = "console.delegations", %source, "a delegation could not be changed");
        }
        page::done(self, (status(error), &plain(&sentence(error))), PAGE)
    }
}
