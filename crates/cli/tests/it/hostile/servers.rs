//! What comes of each bad server, over both transports and in both eras, and that many at once
//! take no other down. That each leaves nothing is in `one_by_one`.

use std::time::{Duration, Instant};

use serde_json::json;

use super::behaviour::{Behaviour, Era, Over};
use super::caller::{Caller, PATIENCE, UNREADABLE};
use super::footprint::{Footprint, peak_is_bounded};
use super::installation::{Gateway, Upstream};

/// What others see of a bad server.
pub(super) enum Shows {
    /// Its tool is there. Each call ends with one of these codes; an empty one is an answer.
    Calls(&'static [&'static str]),
    /// It is missing in the list, for one of these reasons.
    Missing(&'static [&'static str]),
    /// It is up, and its tool is left out.
    Nothing,
}

impl Shows {
    pub(super) fn may_time_out(&self) -> bool {
        matches!(self, Self::Calls(codes) if codes.contains(&"upstream.timeout"))
    }
}

/// How often each tool is called in one round.
const CALLS: u64 = 2;

#[expect(clippy::match_same_arms, reason = "in the order of the table of behaviours")]
pub(super) fn shows(upstream: Upstream) -> Shows {
    use Behaviour as B;
    use Shows::{Calls, Missing, Nothing};
    let is_http = upstream.over == Over::Http;
    match upstream.behaviour {
        B::Good | B::TellsProgress => Calls(&[""]),
        B::NeverAnswers => Calls(&["upstream.timeout"]),
        B::AnswersTwice => Calls(&[""]),
        B::AnswersForeignId if is_http => Calls(&["upstream.error"]),
        B::AnswersForeignId => Calls(&["upstream.timeout"]),
        B::AnswersBoth | B::AnswersNeither => Calls(&["upstream.error"]),
        B::AnswersNoText if is_http => Calls(&["upstream.error"]),
        B::AnswersNoText => Calls(&["upstream.timeout"]),
        // Nobody reads it on the way, so it is passed on.
        B::AnswersDeep => Calls(&[UNREADABLE]),
        B::AnswersHuge | B::AnswersWithoutEnd => {
            Calls(&["upstream.error", "upstream.unavailable", "upstream.timeout"])
        }
        B::Trickles => Calls(&["upstream.timeout"]),
        B::Floods => Calls(&["", "tool.quarantined", "upstream.timeout", "upstream.unavailable"]),
        B::AsksWithoutEnd if upstream.era == Era::Modern => Calls(&["client.capability"]),
        B::AsksWithoutEnd => Calls(&["upstream.timeout", "tool.quarantined", "upstream.unavailable"]),
        B::StopsMidAnswer if is_http => Calls(&["upstream.error"]),
        B::StopsMidAnswer => Calls(&["upstream.unavailable"]),
        B::EventsWithoutEnd => Calls(&["upstream.timeout", "tool.quarantined"]),
        B::ResumesWithoutEnd => Calls(&["upstream.unavailable", "upstream.timeout"]),
        B::Compresses => Calls(&["upstream.error"]),
        B::Redirects => Calls(&["upstream.error"]),
        B::HugeHeader | B::ManyHeaders => Calls(&["upstream.unavailable", "upstream.timeout"]),
        B::ContinuesWithoutEnd | B::HeadAlone => Calls(&["upstream.timeout"]),
        B::RetryAfterAges => Calls(&["upstream.unavailable"]),
        B::FickleTools => Missing(&["quarantined"]),
        // One who comes after the rug was pulled is told of it, or that an argument is new.
        B::PullsTheRug => Calls(&["", "tool.quarantined"]),
        B::FloodsForEver if is_http => Calls(&[""]),
        // There it has no time to read.
        B::FloodsForEver => Calls(&["upstream.timeout", "upstream.unavailable"]),
        B::SameCursor | B::PagesWithoutEnd | B::HugeTool => Missing(&["unreachable", "quarantined"]),
        B::LoopingTool => Calls(&[""]),
        B::DoublingTool | B::ChainedTool => Nothing,
        B::DeepTool | B::RepeatedTool => Missing(&["no_tools"]),
        B::SlowPattern => Calls(&["", "input.invalid"]),
        B::RestlessStream => Calls(&[""]),
        B::NeverReads | B::Silent => Missing(&["starting", "unreachable"]),
        B::ExitsAtStart | B::StopsAtHandshake | B::StopsAtList => Missing(&["unreachable"]),
        B::StopsMidList => Missing(&["unreachable", "quarantined"]),
        B::ExitsWhenInitialized if upstream.era == Era::Legacy => Missing(&["unreachable"]),
        B::ExitsWhenInitialized => Calls(&[""]),
        B::OddRevision => Missing(&["incompatible"]),
        B::SpacedSession | B::BinarySession | B::LongSession | B::EmptySession
            if upstream.era == Era::Legacy =>
        {
            Missing(&["incompatible"])
        }
        B::SpacedSession | B::BinarySession | B::LongSession | B::EmptySession => Calls(&[""]),
        B::RefusesForAges => Missing(&["unreachable"]),
        B::Stays => Calls(&[""]),
    }
}

/// All bad servers over one transport.
pub(super) fn upstreams(over: Over) -> Vec<Upstream> {
    let wanted = Behaviour::ALL.iter().copied().filter(|behaviour| *behaviour != Behaviour::Good);
    let here = wanted.filter(|behaviour| behaviour.over() == over || behaviour.over() == Over::Both);
    here.flat_map(|behaviour| [Era::Legacy, Era::Modern].map(|era| Upstream { behaviour, era, over }))
        .collect()
}

/// All bad servers over one transport at once: what is expected of each, others are served, and
/// nothing is left.
fn survive(over: Over) {
    let gateway = Gateway::start();
    let (caller, others) = (gateway.caller("ana"), gateway.caller("bo"));
    let upstreams = upstreams(over);
    Gateway::settle(&others);
    let before = Footprint::of(&gateway);
    Gateway::others_are_served_during(&others, || {
        let (slow, quick): (Vec<_>, Vec<_>) =
            upstreams.iter().copied().partition(|upstream| shows(*upstream).may_time_out());
        gateway.connect(&slow, "1s");
        gateway.connect(&quick, "30s");
        let wrong = one_round(&caller, &upstreams);
        assert!(wrong.is_empty(), "{wrong:#?}\n{}", gateway.log());
        gateway.disconnect(&upstreams);
    });
    before.is_back(&gateway, "all at once");
    Gateway::is_good(&others);
    peak_is_bounded(&gateway);
    for era in [Era::Legacy, Era::Modern] {
        let asked = gateway.requests(&format!("/restless_stream/{}/mcp", era.name()));
        assert!(asked.0 + asked.1 < 150, "a stream that ends is not asked for again at once: {asked:?}");
    }
}

/// Waits until the tools of `upstreams` that should have one are listed.
pub(super) fn settled(caller: &Caller, upstreams: &[Upstream]) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (tools, missing) = caller.list();
        let awaited = upstreams.iter().filter(|u| matches!(shows(**u), Shows::Calls(_)));
        let unlisted: Vec<String> = awaited.map(|u| u.tool()).filter(|tool| !tools.contains(tool)).collect();
        if unlisted.is_empty() {
            return unlisted;
        }
        if Instant::now() > deadline {
            return unlisted.into_iter().map(|tool| format!("{tool} is not listed: {missing:?}")).collect();
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Calls the tools of `upstreams`, all at once; what was not as expected.
pub(super) fn one_round(caller: &Caller, upstreams: &[Upstream]) -> Vec<String> {
    let mut wrong = settled(caller, upstreams);
    let unexpected = std::thread::scope(|scope| {
        let calls: Vec<_> =
            upstreams.iter().map(|upstream| scope.spawn(|| called(caller, *upstream))).collect();
        calls.into_iter().flat_map(|call| call.join().expect("no panic")).collect::<Vec<_>>()
    });
    wrong.extend(unexpected);
    let deadline = Instant::now() + PATIENCE;
    let mut left: Vec<Upstream> = upstreams.to_vec();
    loop {
        let (tools, missing) = caller.list();
        left.retain(|upstream| {
            let state = missing.iter().find(|(name, _)| *name == upstream.name()).map(|(_, state)| state);
            match shows(*upstream) {
                Shows::Calls(_) => false,
                Shows::Missing(states) => !state.is_some_and(|state| states.contains(&state.as_str())),
                Shows::Nothing => tools.contains(&upstream.tool()) || state.is_some(),
            }
        });
        if left.is_empty() {
            return wrong;
        }
        if Instant::now() > deadline {
            wrong.extend(left.iter().map(|upstream| {
                let state = missing.iter().find(|(name, _)| *name == upstream.name());
                format!("{}: {state:?}", upstream.name())
            }));
            return wrong;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Calls the tool of `upstream` as often as that is to be; what was not as expected.
fn called(caller: &Caller, upstream: Upstream) -> Vec<String> {
    let Shows::Calls(codes) = shows(upstream) else { return Vec::new() };
    let slow = format!("{}!", "a".repeat(2_000));
    let outcomes = (0..CALLS).map(|n| caller.call(&upstream.tool(), &json!({"n": n, "text": slow})));
    let unexpected = outcomes.filter(|code| !codes.contains(&code.as_str()));
    unexpected.map(|code| format!("{}: `{code}`", upstream.tool())).collect()
}

#[test]
fn many_bad_servers_at_once_over_standard_streams_harm_nobody() {
    survive(Over::Stdio);
}

#[test]
fn many_bad_servers_at_once_over_http_harm_nobody() {
    survive(Over::Http);
}
