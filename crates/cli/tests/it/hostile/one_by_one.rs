//! That each bad server leaves nothing behind: connected, called and taken away while a gateway
//! runs on with its good neighbours. One case is one behaviour, in both eras side by side.

use std::sync::Mutex;

use super::behaviour::{Behaviour, Over};
use super::footprint::Visits;
use super::installation::{Gateway, Upstream};
use super::servers::{one_round, shows, upstreams};

/// How many gateways share the cases of one transport. Much of the time of a case is waiting.
const GATEWAYS: usize = 6;

/// Whether it makes much of whatever holds it, so that a leak shows when it comes again.
fn is_hungry(behaviour: Behaviour) -> bool {
    use Behaviour as B;
    matches!(
        behaviour,
        B::AnswersDeep
            | B::AnswersHuge
            | B::AnswersWithoutEnd
            | B::Floods
            | B::AsksWithoutEnd
            | B::EventsWithoutEnd
            | B::Compresses
            | B::HugeHeader
            | B::ManyHeaders
            | B::FloodsForEver
            | B::PagesWithoutEnd
            | B::HugeTool
            | B::DeepTool
            | B::ChainedTool
            | B::RepeatedTool
    )
}

/// Those that a gateway waits for come first, so that the others go on meanwhile.
fn patience(behaviour: Behaviour) -> u8 {
    match behaviour {
        Behaviour::NeverReads | Behaviour::Silent => 0,
        Behaviour::FickleTools | Behaviour::Stays => 1,
        _ => 2,
    }
}

fn each_leaves_nothing(over: Over) {
    let mut cases: Vec<[Upstream; 2]> = upstreams(over).as_chunks().0.to_vec();
    cases.sort_by_key(|[upstream, _]| std::cmp::Reverse(patience(upstream.behaviour)));
    let cases = Mutex::new(cases);
    let next = || cases.lock().expect("nobody panics with it").pop();
    std::thread::scope(|scope| {
        let gateways: Vec<_> = (0..GATEWAYS).map(|_| scope.spawn(|| one_gateway(next))).collect();
        for gateway in gateways {
            gateway.join().expect("nothing is left");
        }
    });
}

fn one_gateway(next: impl Fn() -> Option<[Upstream; 2]>) {
    let gateway = Gateway::start();
    let (caller, others) = (gateway.caller("ana"), gateway.caller("bo"));
    Gateway::settle(&others);
    let visits = Visits::of(&gateway);
    while let Some(eras) = next() {
        let behaviour = eras[0].behaviour;
        let may_time_out = eras.iter().any(|upstream| shows(*upstream).may_time_out());
        visits.receive(&behaviour.name(), is_hungry(behaviour), || {
            Gateway::others_are_served_during(&others, || {
                gateway.connect(&eras, if may_time_out { "500ms" } else { "30s" });
                let wrong = one_round(&caller, &eras);
                assert!(wrong.is_empty(), "{wrong:#?}\n{}", gateway.log());
                gateway.disconnect(&eras);
            });
        });
    }
    Gateway::is_good(&others);
    visits.end();
}

#[test]
fn each_bad_server_over_standard_streams_leaves_nothing() {
    each_leaves_nothing(Over::Stdio);
}

#[test]
fn each_bad_server_over_http_leaves_nothing() {
    each_leaves_nothing(Over::Http);
}
