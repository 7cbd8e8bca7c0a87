//! Letters about requests for approval: made once, tried until they arrive or a day is over.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::approval::{Decider, GIVEN_UP, Letter, News, NewsEvent, Spoken, State, Verdict};
use quaymaster_core::Clock;
use quaymaster_core::clock::FixedClock;

use crate::approvals::{agree, no, parked, person, say, world};
use crate::world::World;

async fn news(world: &World) -> Vec<News> {
    world.approvals.news().await.expect("an answer")
}

async fn taken(world: &World) -> Vec<Letter> {
    world.approvals.take_letters().await.expect("an answer")
}

/// Has a letter to each of `targets` made of everything that is new; what there was.
async fn written(world: &World, targets: &[&str]) -> Vec<(NewsEvent, bool)> {
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let mut found = Vec::new();
    for news in news(world).await {
        let told: &[String] = if news.request.is_some() { &targets } else { &[] };
        world.approvals.write_letters(&news, told).await.expect("written");
        found.push((news.event, news.request.is_some()));
    }
    found
}

#[tokio::test]
async fn what_happens_to_a_request_is_news_once() {
    let (world, _) = world().await;
    let request = parked(&world, 500).await;
    assert_eq!(written(&world, &["webhook:a", "mail:manager"]).await, [(NewsEvent::Requested, true)]);
    assert_eq!(written(&world, &["webhook:a"]).await, []);
    let letters = taken(&world).await;
    let targets: Vec<&str> = letters.iter().map(Letter::target).collect();
    assert_eq!(
        (letters.len(), targets.contains(&"webhook:a"), targets.contains(&"mail:manager")),
        (2, true, true)
    );
    assert!(letters.iter().all(|letter| letter.id().starts_with("msg_") && letter.attempt() == 1));
    assert_ne!(letters[0].id(), letters[1].id());
    agree(&world, &request).await;
    assert_eq!(written(&world, &[]).await, [(NewsEvent::Decided, true)]);
    let refused = parked(&world, 600).await;
    assert_eq!(say(&world, &person("mo", "manager"), &refused, no()).await, Ok(State::Rejected));
    // It was decided before anybody looked: nobody is asked any more, and the no is its end.
    assert_eq!(written(&world, &[]).await, [(NewsEvent::Requested, false), (NewsEvent::Decided, true)]);
}

#[tokio::test]
async fn what_happened_long_ago_is_no_news() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    clock.advance(Duration::from_hours(25));
    let found = written(&world, &["webhook:a"]).await;
    assert_eq!(found, [(NewsEvent::Requested, false), (NewsEvent::Decided, false)]);
    assert_eq!(taken(&world).await.len(), 0);
}

#[tokio::test]
async fn a_letter_whose_process_was_lost_is_taken_up_by_another_under_its_id() {
    let (world, clock) = world().await;
    parked(&world, 500).await;
    written(&world, &["webhook:a"]).await;
    let lost = taken(&world).await.pop().expect("a letter");
    clock.advance(Duration::from_secs(59));
    assert_eq!(taken(&world).await.len(), 0, "somebody is at it");
    clock.advance(Duration::from_secs(1));
    let again = taken(&world).await.pop().expect("the letter");
    assert_eq!((again.id(), again.attempt()), (lost.id(), 2));
    world.approvals.letter_is_done(again).await.expect("forgotten");
    assert!(world.approvals.letter_failed(lost).await.expect("an answer").is_some());
    clock.advance(Duration::from_hours(2));
    assert_eq!(taken(&world).await.len(), 0, "it does not come back");
}

#[tokio::test]
async fn a_letter_that_nobody_takes_is_tried_more_and_more_seldom_and_given_up_after_a_day() {
    let (world, clock): (World, Arc<FixedClock>) = world().await;
    parked(&world, 500).await;
    written(&world, &["webhook:a"]).await;
    let (start, mut pauses) = (clock.now(), Vec::new());
    loop {
        let letter = taken(&world).await.pop().expect("the letter");
        match world.approvals.letter_failed(letter).await.expect("an answer") {
            Some(pause) => {
                clock.advance(pause.saturating_sub(Duration::from_micros(1)));
                assert_eq!(taken(&world).await.len(), 0, "not before its time");
                clock.advance(Duration::from_micros(1));
                pauses.push(pause);
            }
            None => break,
        }
    }
    assert!(pauses.is_sorted() && pauses.len() > 20, "{pauses:?}");
    assert!(clock.now().since(start) <= GIVEN_UP && clock.now().since(start) > Duration::from_hours(22));
    clock.advance(Duration::from_hours(48));
    assert_eq!(taken(&world).await.len(), 0);
}

#[tokio::test]
async fn a_letter_that_asks_is_of_no_use_when_the_request_is_decided_or_over() {
    let (world, clock) = world().await;
    let (first, _second) = (parked(&world, 500).await, parked(&world, 600).await);
    written(&world, &["webhook:a"]).await;
    let letters = taken(&world).await;
    let yes = Spoken { verdict: Verdict::Approve, comment: None };
    assert_eq!(say(&world, &person("mo", "manager"), &first, yes).await, Ok(State::Approved));
    let is_of_use =
        async |letter: &Letter| world.approvals.request_of(letter).await.expect("an answer").is_some();
    for letter in &letters {
        assert_eq!(is_of_use(letter).await, *letter.approval() != first);
    }
    clock.advance(Duration::from_hours(24));
    for letter in &letters {
        assert!(!is_of_use(letter).await);
    }
}

/// The news, each with the roles that are asked; letters of all of them are made.
async fn asked(world: &World) -> Vec<(NewsEvent, Vec<String>)> {
    let mut found = Vec::new();
    for news in news(world).await {
        world.approvals.write_letters(&news, &[]).await.expect("written");
        let asks = news.asks.iter().map(ToString::to_string).collect();
        found.extend(news.request.is_some().then_some((news.event, asks)));
    }
    found
}

fn gates(number: u8, demand: &str) -> String {
    format!(
        r#"@id("gate{number}") @approval("{demand}")
        forbid (principal, action, resource == Tool::"crm_refund")
        when {{ context.arguments.amount == 50 }} unless {{ context.approved }};"#
    )
}

#[tokio::test]
async fn those_to_whom_a_request_escalates_are_told_at_each_of_its_times_once() {
    let (mut world, clock) = world().await;
    let two = ["manager; escalate analyst after 2h", "manager; escalate support after 3h"];
    world.add_policy(&[gates(1, two[0]), gates(2, two[1])].join("\n"));
    let request = parked(&world, 50).await;
    let all =
        |event, roles: &[&str]| vec![(event, roles.iter().map(ToString::to_string).collect::<Vec<_>>())];
    assert_eq!(asked(&world).await, all(NewsEvent::Requested, &["manager"]));
    clock.advance(Duration::from_hours(2).saturating_sub(Duration::from_micros(1)));
    assert_eq!(asked(&world).await, []);
    clock.advance(Duration::from_micros(1));
    let (one, other) = (news(&world).await, news(&world).await);
    for news in [&one, &other] {
        world.approvals.write_letters(&news[0], &["mail:analyst".into()]).await.expect("written");
    }
    assert_eq!(taken(&world).await.len(), 1, "of two that saw it one wrote letters");
    assert_eq!(asked(&world).await, []);
    clock.advance(Duration::from_hours(1));
    assert_eq!(asked(&world).await, all(NewsEvent::Escalated, &["support"]));
    assert_eq!(asked(&world).await, []);

    // A letter that asks says nothing any more when somebody has decided.
    assert_eq!(say(&world, &person("mo", "manager"), &request, no()).await, Ok(State::Rejected));
    clock.advance(Duration::from_mins(2));
    let letter = taken(&world).await.pop().expect("the letter");
    assert_eq!(letter.event(), NewsEvent::Escalated);
    assert!(world.approvals.request_of(&letter).await.expect("an answer").is_none());
}

#[tokio::test]
async fn what_is_decided_before_its_time_escalates_to_nobody() {
    let (mut world, clock) = world().await;
    world.add_policy(&gates(1, "manager; escalate analyst after 2h"));
    let request = parked(&world, 50).await;
    assert_eq!(say(&world, &person("mo", "manager"), &request, no()).await, Ok(State::Rejected));
    asked(&world).await;
    clock.advance(Duration::from_hours(3));
    assert_eq!(asked(&world).await, []);
}

#[tokio::test]
async fn those_who_review_an_emergency_are_told_once_and_until_it_is_reviewed() {
    let (mut world, clock) = world().await;
    world.add_policy(&gates(1, "manager; quorum 2; emergency analyst; escalate support after 2h"));
    let request = parked(&world, 50).await;
    asked(&world).await;
    let hurry = Spoken { verdict: Verdict::Emergency, comment: None };
    assert_eq!(say(&world, &person("al", "analyst"), &request, hurry).await, Ok(State::Approved));
    let news = news(&world).await;
    assert_eq!(
        news.iter().map(|one| one.event).collect::<Vec<_>>(),
        [NewsEvent::Decided, NewsEvent::ReviewDue]
    );
    assert_eq!(news[1].asks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["manager"]);
    for one in &news {
        world.approvals.write_letters(one, &["mail:manager".into()]).await.expect("written");
    }
    assert_eq!(asked(&world).await, []);
    let letters = taken(&world).await;
    let of = async |event| {
        let letter = letters.iter().find(|letter| letter.event() == event).expect("a letter");
        world.approvals.request_of(letter).await.expect("an answer").is_some()
    };
    assert!(of(NewsEvent::ReviewDue).await);
    let (mo, spoken) = (person("mo", "manager"), Spoken { verdict: Verdict::Approve, comment: None });
    let decider = Decider { actor: &mo, channel: "test" };
    world.approvals.review(decider, &request, spoken, &world.evidence).await.expect("reviewed");
    assert!(!of(NewsEvent::ReviewDue).await && of(NewsEvent::Decided).await);
    clock.advance(Duration::from_hours(1));
    assert_eq!(asked(&world).await, []);
}
