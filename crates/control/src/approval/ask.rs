//! Parking a call, and what the same call again is told.

use std::time::Duration;

use quaymaster_core::error::LimitLeft;
use quaymaster_core::json::ObjectWriter;
use quaymaster_core::{Actor, ApprovalId, CallError, CallRequest, ErrorCode, Gate, Timestamp};
use quaymaster_store::{ApprovalKey, ApprovalRow};

use super::document::Document;
use super::letters::next_escalation;
use super::opened::{document, names, parked, result, state, write_names};
use super::parked::Parked;
use super::record::{Step, note};
use super::told::{Words, described, none, refusal, waits};
use super::{ApprovalError, Approvals, Standing, State, StoredReply};
use crate::audit::Subject;
use crate::audit::record::Event;
use crate::stages::{Evidence, Facts};

/// How long after a result was first handed out the same call again gets it once more: the answer
/// may have been lost on its way. Later the same call is a new one.
const HANDED_OUT_AGAIN: Duration = Duration::from_mins(10);
/// When it may be asked again where too many calls wait.
const ROOM_AGAIN: Duration = Duration::from_mins(1);
/// How often a request is read again that others changed meanwhile.
const ATTEMPTS: usize = 8;

/// What a call that needs an agreement comes to.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It waits, or will not run.
    Refused(CallError, ApprovalId),
    /// Too much waits already.
    Full(CallError),
    /// It ran; here is what waited for it.
    Answered(Answer),
}

/// The result of a call that was agreed to, for whoever asked.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) id: ApprovalId,
    pub(crate) reply: StoredReply,
}

/// What an agreement is bound to, under the requester's key: whoever changes any of it asks anew.
pub(crate) fn binding(facts: &Facts, subject: &Subject) -> String {
    let request = &facts.request;
    let mut text = String::with_capacity(512);
    let mut object = ObjectWriter::begin(&mut text);
    object.string("actor", request.actor.id.as_str());
    let arguments = facts.arguments.as_ref().unwrap_or(&request.arguments);
    object.member("arguments").push_str(arguments.as_json());
    object.string("authority", &request.actor.authority());
    object.optional("contract", facts.tool.as_ref().map(|tool| tool.contract()));
    object.string("kind", request.kind.as_str());
    object.string("person", request.actor.person().as_str());
    object.string("reach", request.reach.as_str());
    object.optional("rules", facts.rules.as_deref());
    object.string("tool", facts.tool.as_ref().map_or(&request.tool, |tool| tool.name().as_str()));
    object.number("v", 1);
    object.string("workspace", request.actor.workspace.as_str());
    object.end();
    subject.commit_to("approval", text.as_bytes())
}

impl Approvals {
    /// Parks the call of `facts`, or joins the request that waits for the same one.
    pub(crate) async fn ask(
        &self,
        facts: &Facts,
        gates: &[Gate],
        evidence: &Evidence,
    ) -> Result<Asked, ApprovalError> {
        let subject = self.subjects.of(&facts.request.actor.id).await?;
        let digest = binding(facts, &subject);
        for _ in 0..ATTEMPTS {
            let found = self.store.approval(&ApprovalKey::Digest(digest.clone())).await?;
            let asked = match found {
                Some(row) => self.join(row, &subject, evidence, facts).await?,
                None => Join::Anew,
            };
            match asked {
                Join::Asked(asked) => return Ok(asked),
                Join::Changed => {}
                Join::Anew => {
                    if let Err(full) = self.room(facts, &subject).await? {
                        return Ok(Asked::Full(full));
                    }
                    let row = self.row(facts, gates, &digest, &subject).await?;
                    let why = "policy wants somebody's agreement";
                    note(Event::ApprovalRequested, &row, (&facts.request, why), evidence).await?;
                    if self.store.approval_park(&row).await? {
                        self.tell();
                        return Ok(waits(&row, State::Pending, &Words::default()));
                    }
                }
            }
        }
        Err(ApprovalError::Contended)
    }

    /// Whether one call more may wait. Calls that come at the same instant may be a few more.
    async fn room(&self, facts: &Facts, subject: &Subject) -> Result<Result<(), CallError>, ApprovalError> {
        let (bounds, workspace) = (self.bounds(), &facts.request.actor.workspace);
        let (mine, all) = self.store.approvals_open(subject.commitment(), workspace).await?;
        let (name, most, message, hint) = if mine >= bounds.per_account {
            let message = "as many calls of yours wait for somebody's agreement as may";
            let hint = "wait until some are decided, or take some back with `quaymaster approvals withdraw`";
            ("approvals.waiting.perAccount", bounds.per_account, message, hint)
        } else if all >= bounds.per_workspace {
            let message = "as many calls wait for somebody's agreement in this workspace as may";
            let hint = "wait until some are decided";
            ("approvals.waiting.perWorkspace", bounds.per_workspace, message, hint)
        } else {
            return Ok(Ok(()));
        };
        let left = LimitLeft { name: name.to_owned(), limit: format!("{most} that wait"), left: 0 };
        let error = CallError::new(ErrorCode::LimitConcurrency, message).hint(hint).limited_by(left);
        Ok(Err(error.retry_after(ROOM_AGAIN)))
    }

    async fn row(
        &self,
        facts: &Facts,
        gates: &[Gate],
        digest: &str,
        subject: &Subject,
    ) -> Result<ApprovalRow, ApprovalError> {
        let now = self.now();
        let request = &facts.request;
        let id = ApprovalId::new(self.clock.as_ref(), self.randomness.as_ref());
        let lifetime = gates.iter().map(|gate| gate.expires).min().unwrap_or_default();
        let expires = now.after(lifetime);
        let mut shown = Document::of(facts, &id, gates, expires);
        self.preview(facts, &mut shown).await;
        let text = serde_json::to_vec(&shown).unwrap_or_default();
        let asker = write_names(&request.actor);
        Ok(ApprovalRow {
            version: 0,
            workspace: request.actor.workspace.clone(),
            digest: digest.to_owned(),
            tool: facts.tool.as_ref().map_or_else(String::new, |tool| tool.name().to_string()),
            state: State::Pending.as_str().to_owned(),
            requester: self.subjects.seal_about(&request.actor.id, &names(&id), &asker).await?,
            gates: serde_json::to_string(gates).unwrap_or_default(),
            parked: Some(subject.seal_for(&parked(&id), &Parked::of(request).to_bytes())?),
            document: Some(subject.seal_for(&document(&id), &text)?),
            result: None,
            call_id: None,
            runner: None,
            lease_us: None,
            created_us: now.as_micros(),
            expires_us: expires.as_micros(),
            decided_us: None,
            ended_us: None,
            delivered_us: None,
            review: None,
            escalates_us: next_escalation(gates, now, None).map(Timestamp::as_micros),
            asker: Some(subject.commitment().to_string()),
            id,
        })
    }

    /// What the same call again comes to, given the newest request for it.
    async fn join(
        &self,
        mut row: ApprovalRow,
        subject: &Subject,
        evidence: &Evidence,
        facts: &Facts,
    ) -> Result<Join, ApprovalError> {
        let now = self.now_for(&row);
        let mut stands = state(&row)?;
        let late = now.as_micros() >= row.expires_us;
        if stands == State::Pending && late {
            if !self.expire(&row, evidence).await? {
                return Ok(Join::Changed);
            }
            stands = State::Expired;
            row.version += 1;
            stands.as_str().clone_into(&mut row.state);
            row.parked = None;
        }
        let words = self.words(&row).await?;
        if stands.is_open() {
            return Ok(Join::Asked(waits(&row, stands, &words)));
        }
        if let Some(reply) = stored(&row, subject, now)? {
            let handed_out = row.delivered_us.map(Timestamp::from_micros);
            if handed_out.is_some_and(|at| now.since(at) >= HANDED_OUT_AGAIN) {
                return Ok(Join::Anew);
            }
            let why = "the same call was made again";
            note(Event::ApprovalDelivered, &row, (&facts.request, why), evidence).await?;
            self.told(&row).await?;
            return Ok(Join::Asked(Asked::Answered(Answer { id: row.id, reply })));
        }
        // A no holds as long as the request would have waited; other ends are told once.
        let told = if stands == State::Rejected { late } else { row.delivered_us.is_some() };
        let Some(error) = refusal(&row, stands, &words).filter(|_| !told) else { return Ok(Join::Anew) };
        self.told(&row).await?;
        Ok(Join::Asked(Asked::Refused(error, row.id)))
    }

    /// Where the request `id` of whoever makes this request stands, and its result if that waits.
    ///
    /// # Errors
    ///
    /// `input.invalid` if they made no such request; `audit.unavailable` if the store or the log fails.
    pub async fn collect(
        &self,
        request: &CallRequest,
        id: &ApprovalId,
        evidence: &Evidence,
    ) -> Result<Standing, CallError> {
        let row = self.store.approval(&ApprovalKey::Id(id.clone())).await.map_err(ApprovalError::from)?;
        let row = row.ok_or_else(|| none(id))?;
        if !self.is_by(&row, &request.actor).await? {
            return Err(none(id));
        }
        let standing = self.standing(&row, &request.actor).await?;
        if !standing.0.is_open() {
            if standing.2.is_some() {
                let why = "it was waited for";
                note(Event::ApprovalDelivered, &row, (request, why), evidence).await?;
            }
            self.told(&row).await?;
        }
        Ok(standing)
    }

    /// How the request stands that `actor` made. Nothing is handed out by it, nor noted.
    ///
    /// # Errors
    ///
    /// `input.invalid` if `actor` made no such request; `audit.unavailable` if the store fails.
    pub async fn look(&self, actor: &Actor, id: &ApprovalId) -> Result<Standing, CallError> {
        let row = self.store.approval(&ApprovalKey::Id(id.clone())).await.map_err(ApprovalError::from)?;
        let row = row.ok_or_else(|| none(id))?;
        if self.is_by(&row, actor).await? { self.standing(&row, actor).await } else { Err(none(id)) }
    }

    async fn standing(&self, row: &ApprovalRow, actor: &Actor) -> Result<Standing, CallError> {
        let subject = self.subjects.of(&actor.id).await.map_err(ApprovalError::from)?;
        let (stands, reply) = (state(row)?, stored(row, &subject, self.now())?);
        let words = self.words(row).await?;
        Ok((stands, described(row, stands, &words), reply))
    }

    /// Notes that whoever asked knows. That somebody else noted it meanwhile is as good.
    pub(super) async fn told(&self, row: &ApprovalRow) -> Result<(), ApprovalError> {
        if row.delivered_us.is_none() {
            let told = ApprovalRow { delivered_us: Some(self.now_for(row).as_micros()), ..row.clone() };
            self.store.approval_save(&told, None).await?;
        }
        Ok(())
    }

    /// Ends a request that nobody decided in time. False if somebody changed it meanwhile.
    pub(super) async fn expire(&self, row: &ApprovalRow, evidence: &Evidence) -> Result<bool, ApprovalError> {
        self.end(row, State::Expired, (None, "nobody decided in time"), evidence).await
    }

    /// Ends a request without a call. What was to be called is forgotten.
    pub(super) async fn end(
        &self,
        row: &ApprovalRow,
        to: State,
        (actor, why): (Option<&Actor>, &str),
        evidence: &Evidence,
    ) -> Result<bool, ApprovalError> {
        let ended = ApprovalRow {
            state: to.as_str().to_owned(),
            parked: None,
            ended_us: Some(self.now_for(row).as_micros()),
            runner: None,
            lease_us: None,
            ..row.clone()
        };
        let step = Step::new(Event::ApprovalEnded, why).by(actor).of_call(row.call_id.as_deref());
        self.turn(row, (&ended, None), step, evidence).await
    }
}

/// The result that waits, if one does.
fn stored(
    row: &ApprovalRow,
    subject: &Subject,
    now: Timestamp,
) -> Result<Option<StoredReply>, ApprovalError> {
    let Some(sealed) = &row.result else { return Ok(None) };
    let plain = subject.open_for(&result(&row.id), sealed)?;
    let reply: StoredReply =
        serde_json::from_slice(&plain).map_err(|_| ApprovalError::Damaged("its result"))?;
    Ok(Some(reply.at(now)))
}

/// What the newest request for a call means to the same call again.
enum Join {
    Asked(Asked),
    Anew,
    Changed,
}
