//! `quaymaster approvals`: reads requests for approval and decides on them, from a terminal.
//!
//! Whoever decides is the local user, or whoever a token or a log-in says: nobody decides without being
//! somebody.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use quaymaster_control::approval::{Approvals as Requests, Decider, Request, Said, Spoken, Verdict, Wanted};
use quaymaster_core::setting::{DurationSetting, Slug};
use quaymaster_core::text::{as_sentence, plain};
use quaymaster_core::{Actor, ActorId, ApprovalId, Clock as _, SystemClock};
use quaymaster_gateway::Office;
use serde_json::{Value, json};

use super::login::Logins;
use super::place::Place;
use crate::failure::Failure;
use crate::out;

/// Reads requests for approval and decides on them.
#[derive(Debug, Args)]
pub(crate) struct Approvals {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the requests that you made or may decide on: those that wait for a review, then newest first.
    List(List),
    /// Shows one request: what will happen, why, to what, and what was said.
    Show(Show),
    /// Says yes. The call runs when everybody needed has agreed.
    Approve(Answer),
    /// Says no. The call does not run.
    Reject(Answer),
    /// Lets a call run at once, where your role may do so in an emergency. Somebody else reviews it.
    Emergency(Answer),
    /// Reviews a call that was let through in an emergency.
    Review(Review),
    /// Takes your own request back.
    Withdraw(One),
    /// Lends your say to somebody else, until an end.
    Delegate(Delegate),
    /// Lists what you lent and what was lent to you.
    Delegations(Viewer),
    /// Takes back what you lent.
    TakeBack(TakeBack),
}

/// Who looks or decides.
#[derive(Debug, Args)]
pub(super) struct Viewer {
    #[command(flatten)]
    place: Place,
    /// A file with a token that says who you are; `-` for standard input. If absent: whoever you logged
    /// in as (`quaymaster login`), else the local user.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    viewer: Viewer,
    /// Also those that are over, as far as they are still kept.
    #[arg(long)]
    all: bool,
    /// Where to go on, as the end of the page before says it.
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    one: One,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct One {
    #[command(flatten)]
    viewer: Viewer,
    /// The request's id, as `approvals list` shows it.
    id: ApprovalId,
}

#[derive(Debug, Args)]
struct Answer {
    #[command(flatten)]
    one: One,
    /// What whoever asked and the auditors read.
    #[arg(long, short = 'm')]
    comment: Option<String>,
}

#[derive(Debug, Args)]
struct Review {
    #[command(flatten)]
    answer: Answer,
    /// Whether it was right to let the call through.
    #[arg(long, value_enum)]
    verdict: Right,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Right {
    Right,
    Wrong,
}

#[derive(Debug, Args)]
struct Delegate {
    #[command(flatten)]
    viewer: Viewer,
    /// Who decides in your stead, such as `di@example.test`.
    #[arg(long, value_parser = ActorId::parse)]
    to: ActorId,
    /// A role that you have and lend; repeat for more.
    #[arg(long = "role", required = true, value_parser = Slug::parse)]
    roles: Vec<Slug>,
    /// For how long, such as `8h` or `14d`; 90 days at most.
    #[arg(long = "for", value_name = "TIME", value_parser = DurationSetting::parse)]
    lasts: DurationSetting,
}

#[derive(Debug, Args)]
struct TakeBack {
    #[command(flatten)]
    viewer: Viewer,
    /// The id, as `approvals delegations` shows it.
    id: String,
}

impl Approvals {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List(list) => list.run().await,
            Action::Show(show) => show.run().await,
            Action::Approve(answer) => answer.give(Verdict::Approve).await,
            Action::Reject(answer) => answer.give(Verdict::Reject).await,
            Action::Emergency(answer) => answer.give(Verdict::Emergency).await,
            Action::Review(review) => review.run().await,
            Action::Withdraw(one) => one.withdraw().await,
            Action::Delegate(delegate) => delegate.run().await,
            Action::Delegations(viewer) => viewer.delegations().await,
            Action::TakeBack(take_back) => take_back.run().await,
        }
    }
}

/// Somebody at the counter.
pub(super) struct Visit {
    pub(super) office: Office,
    pub(super) actor: Arc<Actor>,
}

impl Visit {
    fn requests(&self) -> &Requests {
        self.office.approvals()
    }
}

impl Viewer {
    pub(super) async fn enter(&self) -> Result<Visit, Failure> {
        let token = match &self.token_file {
            None => None,
            Some(path) if path.as_os_str() == "-" => Some(std::io::read_to_string(std::io::stdin())),
            Some(path) => Some(std::fs::read_to_string(path)),
        };
        let token = token.transpose().map_err(|e| Failure::Usage(format!("--token-file: {e}")))?;
        let office = Office::open(self.place.options()).await?;
        let login = match &token {
            // Without a home nobody logged in.
            None => {
                Logins::of_process().ok().map(|logins| logins.find(&self.place.config)).transpose()?.flatten()
            }
            Some(_) => None,
        };
        let actor = match login {
            Some(login) => office.visitor_by_login(&login)?,
            None => office.visitor(token.as_deref().map(str::trim)).await?,
        };
        Ok(Visit { office, actor })
    }

    async fn delegations(self) -> Result<(), Failure> {
        let visit = self.enter().await?;
        let lent = visit.requests().delegations(&visit.actor).await.map_err(Failure::outside)?;
        visit.office.close().await;
        for one in lent {
            let roles: Vec<String> = one.roles.iter().map(ToString::to_string).collect();
            let (giver, taker) = (plain(&one.giver), plain(&one.taker));
            out::line(format!("{}  {giver} -> {taker}  {}  until {}", one.id, roles.join(","), one.until))?;
        }
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let visit = self.viewer.enter().await?;
        let wanted = if self.all { Wanted::All } else { Wanted::Open };
        let listed = visit.requests().list(&visit.actor, wanted, self.after.as_deref()).await;
        let stopped = visit.office.stopped(&visit.actor, None).await;
        visit.office.close().await;
        let (listed, stopped) = (listed.map_err(Failure::outside)?, stopped?);
        if !self.json {
            stopped.iter().try_for_each(|notice| out::line(as_sentence(&notice.to_string())))?;
        }
        for request in &listed.requests {
            if self.json {
                out::json(&described(request))?;
                continue;
            }
            let review = if request.review_due { " (review due)" } else { "" };
            let (requester, action) = (plain(request.requester.as_str()), &request.document.action);
            out::line(format!("{}  {}{review}  {requester}  {action}", request.id, request.state.as_str()))?;
        }
        match listed.next {
            Some(next) if self.json => out::json(&json!({ "next": next })),
            Some(next) => out::line(format!("there are more: --after {next}")),
            None => Ok(()),
        }
    }
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let visit = self.one.viewer.enter().await?;
        let found = visit.requests().show(&visit.actor, &self.one.id).await;
        let stopped = visit.office.stopped(&visit.actor, found.as_ref().ok().and_then(Option::as_ref)).await;
        visit.office.close().await;
        let (found, stopped) = (found.map_err(Failure::outside)?, stopped?);
        let Some(request) = found else {
            out::line(format!("there is no request {} for you", self.one.id))?;
            return Err(Failure::Told);
        };
        if self.json {
            let mut described = described(&request);
            described.as_object_mut().map(|members| members.insert("stopped".into(), json!(stopped)));
            return out::json(&described);
        }
        out::line(format!("{}State         {}", request.document.to_text(), request.state.as_str()))?;
        for said in &request.said {
            out::line(format!("Said          {}", one_said(said)))?;
        }
        stopped.iter().try_for_each(|notice| out::line(format!("Stopped       {notice}")))
    }
}

impl Answer {
    async fn give(self, verdict: Verdict) -> Result<(), Failure> {
        let visit = self.one.viewer.enter().await?;
        let evidence = visit.office.evidence().await?;
        let decider = Decider { actor: &visit.actor, channel: "cli" };
        let spoken = Spoken { verdict, comment: self.comment };
        let answered = visit.requests().decide(decider, &self.one.id, spoken, &evidence).await;
        evidence.audit.close().await;
        visit.office.close().await;
        let state = answered?;
        out::line(format!("{} is {}", self.one.id, state.as_str()))
    }
}

impl Review {
    async fn run(self) -> Result<(), Failure> {
        let Answer { one, comment } = self.answer;
        let visit = one.viewer.enter().await?;
        let evidence = visit.office.evidence().await?;
        let decider = Decider { actor: &visit.actor, channel: "cli" };
        let verdict = match self.verdict {
            Right::Right => Verdict::Approve,
            Right::Wrong => Verdict::Reject,
        };
        let reviewed =
            visit.requests().review(decider, &one.id, Spoken { verdict, comment }, &evidence).await;
        evidence.audit.close().await;
        visit.office.close().await;
        reviewed?;
        out::line(format!("{} is reviewed", one.id))
    }
}

impl One {
    async fn withdraw(self) -> Result<(), Failure> {
        let visit = self.viewer.enter().await?;
        let evidence = visit.office.evidence().await?;
        let withdrawn = visit.requests().withdraw(&visit.actor, &self.id, &evidence).await;
        evidence.audit.close().await;
        visit.office.close().await;
        withdrawn?;
        out::line(format!("{} is withdrawn", self.id))
    }
}

impl Delegate {
    async fn run(self) -> Result<(), Failure> {
        let visit = self.viewer.enter().await?;
        let evidence = visit.office.evidence().await?;
        let until = SystemClock.now().after(self.lasts.get());
        let lent = visit.requests().delegate(&visit.actor, &self.to, self.roles, until, &evidence).await;
        evidence.audit.close().await;
        visit.office.close().await;
        out::line(lent?)
    }
}

impl TakeBack {
    async fn run(self) -> Result<(), Failure> {
        let visit = self.viewer.enter().await?;
        let evidence = visit.office.evidence().await?;
        let taken = visit.requests().take_back(&visit.actor, &self.id, &evidence).await;
        evidence.audit.close().await;
        visit.office.close().await;
        taken?;
        out::line(format!("{} is taken back", self.id))
    }
}

fn one_said(said: &Said) -> String {
    let roles: Vec<String> = said.roles.iter().map(ToString::to_string).collect();
    let what = if said.review { "review: " } else { "" };
    let comment = said.comment.as_deref().map(|comment| format!(": {}", plain(comment))).unwrap_or_default();
    let (by, verdict) = (plain(&said.by), said.verdict.as_str());
    format!("{}  {by} ({}) {what}{verdict} by {}{comment}", said.at, roles.join(","), plain(&said.channel))
}

fn described(request: &Request) -> Value {
    let said: Vec<Value> = request.said.iter().map(described_said).collect();
    json!({
        "id": request.id,
        "state": request.state.as_str(),
        "requester": request.requester,
        "workspace": request.workspace,
        "created": request.created.to_string(),
        "expires": request.expires.to_string(),
        "gates": request.gates,
        "document": request.document,
        "said": said,
        "review_due": request.review_due,
        "call": request.call,
    })
}

fn described_said(said: &Said) -> Value {
    json!({
        "by": said.by,
        "roles": said.roles,
        "verdict": said.verdict.as_str(),
        "review": said.review,
        "comment": said.comment,
        "channel": said.channel,
        "at": said.at.to_string(),
    })
}
