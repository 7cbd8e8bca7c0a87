//! The console's pages: who decides on them, and what nobody gets by them.

use quaymaster_control::incident::{Stop, Target};
use quaymaster_core::Status;
use quaymaster_gateway::{Gateway, Office};

use crate::harbour_office::{Answer, Browser, Harbour, PATIENCE, code};
use crate::installation::{folder, options, start};
use crate::routes::records;

/// What is not to be read as markup.
const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{202e}";

fn headers_are_strict(answer: &Answer) {
    for header in [
        "content-security-policy: default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        "x-frame-options: DENY",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
    ] {
        assert!(answer.head.contains(header), "{header}: {}", answer.head);
    }
}

fn nothing_is_markup(answer: &Answer) {
    for markup in ["<script", "<img", "onerror=alert(1)>", "\u{202e}", "<b>"] {
        assert!(!answer.body.contains(markup), "{markup}: {}", answer.body);
    }
}

/// Where a request stands, as its page says.
async fn state(browser: &mut Browser, id: &str) -> String {
    let page = browser.get(&format!("/approvals/{id}")).await;
    let (_, rest) = page.body.split_once(r#"<span class="tag state">"#).expect("a state");
    rest.split('<').next().expect("a state").to_owned()
}

#[tokio::test]
async fn a_person_logs_in_with_a_code_reads_a_request_and_approves_and_its_call_runs() {
    let harbour = Harbour::start("").await;
    let robot = harbour.somebody("robot").await;
    let id = harbour.asked(&robot, "the quay").await;
    let mut browser = harbour.browser();
    let first = browser.get(&format!("/approvals/{id}")).await;
    assert_eq!(first.status, 403, "nobody is logged in");
    assert!(first.body.contains("One-time code") && !first.body.contains("the quay"), "{}", first.body);
    headers_are_strict(&first);

    let code = harbour.code().await;
    let logged_in = browser.sign_in(&code).await;
    assert_eq!(logged_in.status, 303);
    assert!(logged_in.head.contains("location: /approvals\r\n"), "{}", logged_in.head);
    assert!(
        logged_in.head.contains("Path=/; Max-Age=28800; HttpOnly; SameSite=Strict"),
        "{}",
        logged_in.head
    );
    let list = browser.get("/approvals").await;
    assert!(list.status == 200 && list.body.contains("Greet the quay"), "{}", list.body);
    headers_are_strict(&list);
    let page = browser.get(&format!("/approvals/{id}")).await;
    for told in
        ["Greet the quay", "robot (analyst) in sales", "greetings_greet (read)", "manager", "Your answer"]
    {
        assert!(page.body.contains(told), "{told}: {}", page.body);
    }
    let document = browser.get(&format!("/approvals/{id}.json")).await;
    assert!(document.body.contains(r#""requester": "robot""#), "{}", document.body);

    let told = browser.answer(&id, "approve", "fine\r\nby me").await;
    assert!(told.status == 200 && told.body.contains("the call is about to run"), "{}", told.body);
    let ran = async {
        loop {
            let reply = harbour.greet(&robot, "the quay").await;
            if reply.status == Status::Success {
                return reply;
            }
            tokio::task::yield_now().await;
        }
    };
    let reply = tokio::time::timeout(PATIENCE, ran).await.expect("it runs");
    assert!(reply.result.contains("the quay"), "{}", reply.result);
    let page = browser.get(&format!("/approvals/{id}")).await;
    assert!(
        page.body.contains("agreed, by page") && page.body.contains("<blockquote>by me"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("Your answer"), "{}", page.body);

    let word = page.word();
    assert_eq!(browser.post("/sign-out", &[("word", &word)]).await.status, 303);
    assert_eq!(browser.get("/approvals").await.status, 403);
    let folder = harbour.end().await;
    let records = records(folder.path()).await;
    let told = |event: &str| records.iter().filter(|record| record["event"] == event).count();
    for event in ["console.code_created", "console.signed_in", "console.signed_out"] {
        assert_eq!(told(event), 1, "{event}");
    }
}

/// Makes an incident switch for `target`.
async fn stop(harbour: &Harbour, target: Target) -> String {
    let office = Office::open(options(harbour.folder.path())).await.expect("an office");
    let by = office.local_id().expect("a local user");
    let (lifetime, reason) = (PATIENCE, "the secret reason".to_owned());
    let switch =
        office.stop_calls(Stop { target, lifetime, reason, cancels: false, by }).await.expect("made");
    office.close().await;
    switch.id.to_string()
}

/// The page, once it shows the switch that was made: what is known of the store may be 80 ms old.
async fn page_with(browser: &mut Browser, page: &str, switch: &str) -> String {
    let looking = async {
        loop {
            let body = browser.get(page).await.body;
            if body.contains(switch) {
                return body;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it is shown")
}

#[tokio::test]
async fn every_page_says_what_is_stopped_and_a_request_whether_its_call_is() {
    let harbour = Harbour::start("").await;
    let robot = harbour.somebody("robot").await;
    let id = harbour.asked(&robot, "the quay").await;
    let mut browser = harbour.signed_in().await;
    let request = format!("/approvals/{id}");
    let pages = ["/approvals", "/delegations", &request];
    for page in pages {
        assert!(!browser.get(page).await.body.contains("stopped until"), "{page}");
    }
    let of_robot = stop(&harbour, Target { actor: Some("robot".into()), ..Target::default() }).await;
    for page in ["/approvals", "/delegations"] {
        assert!(!browser.get(page).await.body.contains(&of_robot), "{page}: somebody else is stopped");
    }
    let shown = page_with(&mut browser, &request, &of_robot).await;
    let told = "this does not run now. Calls like the one that is asked for are stopped until";
    assert!(shown.contains(told), "{shown}");
    let writes = stop(&harbour, Target { writes: true, ..Target::default() }).await;
    assert!(!browser.get("/approvals").await.body.contains(&writes), "there are no writes in the workspace");
    let greet = Target { tool: Some("greetings_greet".into()), ..Target::default() };
    let of_tool = stop(&harbour, greet).await;
    for page in pages {
        let shown = page_with(&mut browser, page, &of_tool).await;
        assert!(shown.contains("Calls of the tool greetings_greet are stopped until "), "{page}: {shown}");
        assert!(!shown.contains("the secret reason") && !shown.contains(&writes), "{page}: {shown}");
    }
    let mut stranger = harbour.browser();
    assert!(!stranger.get("/approvals").await.body.contains(&of_tool), "nobody is logged in");
    harbour.end().await;
}

#[tokio::test]
async fn what_strangers_write_is_shown_as_it_is_and_never_markup() {
    let harbour = Harbour::start("").await;
    let robot = harbour.somebody("<script>robot</script>").await;
    let id = harbour.asked(&robot, SCRIPT).await;
    let mut browser = harbour.signed_in().await;
    let pages = [
        browser.get("/approvals").await,
        browser.get(&format!("/approvals/{id}")).await,
        browser.answer(&id, "reject", SCRIPT).await,
        browser.get(&format!("/approvals/{id}")).await,
        browser.get(&format!("/approvals?show={}", "%3Cscript%3E")).await,
        browser.get("/%3Cscript%3E").await,
        browser.post("/sign-in", &[("code", SCRIPT), ("to", SCRIPT)]).await,
    ];
    for page in &pages {
        nothing_is_markup(page);
        headers_are_strict(page);
    }
    assert!(pages[1].body.contains("\\u{202e}"), "what turns a text round is seen: {}", pages[1].body);
    assert!(pages[3].body.contains("said no, by page"), "{}", pages[3].body);
    harbour.end().await;
}

#[tokio::test]
async fn a_form_that_the_page_did_not_send_does_nothing() {
    let harbour = Harbour::start("").await;
    let robot = harbour.somebody("robot").await;
    let id = harbour.asked(&robot, "the quay").await;
    let mut browser = harbour.signed_in().await;
    let path = format!("/approvals/{id}");
    let word = browser.get(&path).await.word();
    let another = harbour.signed_in().await.get(&path).await.word();
    let own = format!("http://{}", harbour.address);
    let foreign: [&[(&str, &str)]; 5] = [
        &[],
        &[("origin", "http://evil.example.test")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
        &[("origin", &own), ("sec-fetch-site", "cross-site")],
    ];
    for headers in foreign {
        let fields = [("word", word.as_str()), ("answer", "approve")];
        assert_eq!(browser.post_from(&path, headers, &fields).await.status, 403, "{headers:?}");
    }
    for word in ["", "x", another.as_str()] {
        let answer = browser.post(&path, &[("word", word), ("answer", "approve")]).await;
        assert_eq!(answer.status, 403, "{word}");
    }
    let nobody = harbour.browser().post(&path, &[("word", &word), ("answer", "approve")]).await;
    assert_eq!(nobody.status, 403, "the word without the session");
    let json = [("origin", own.as_str()), ("content-type", "text/plain")];
    let body = format!("word={word}&answer=approve");
    assert_eq!(browser.send("POST", &path, &json, &body).await.status, 403);
    assert_eq!(browser.send("PUT", &path, &json, &body).await.status, 405);
    let nonsense = browser.post(&path, &[("word", &word), ("answer", "agree")]).await;
    assert_eq!(nonsense.status, 409);
    assert_eq!(state(&mut browser, &id).await, "pending");
    harbour.end().await;
}

#[tokio::test]
async fn a_link_alone_decides_nothing_and_suggests_only_what_we_wrote() {
    let harbour = Harbour::start("").await;
    let robot = harbour.somebody("robot").await;
    let (id, other) = (harbour.asked(&robot, "the quay").await, harbour.asked(&robot, "the sea").await);
    let link = harbour.gateway.answer_link(&id, "approve").expect("a link");
    let path = link.strip_prefix(&format!("http://{}", harbour.address)).expect("the console's").to_owned();
    assert_eq!(harbour.browser().get(&path).await.status, 403, "nobody is logged in");
    let mut browser = harbour.signed_in().await;
    let page = browser.get(&path).await;
    let checked = |page: &Answer| page.body.contains(r#"value="approve" required checked"#);
    assert!(checked(&page) && page.body.contains("Nothing is decided until you send it"), "{}", page.body);
    for forged in [
        path.replace("intent=approve", "intent=reject"),
        path.replace(&id, &other),
        path.split("&sig").next().expect("a link").to_owned(),
        format!("{path}A"),
    ] {
        let page = browser.get(&forged).await;
        assert!(!page.body.contains("checked"), "{forged}");
    }
    assert_eq!(state(&mut browser, &id).await, "pending");
    harbour.end().await;
}

#[tokio::test]
async fn nobody_decides_on_what_they_asked_for_with_whatever_account() {
    let harbour = Harbour::start("").await;
    let local = harbour.gateway.local_user().expect("a local user");
    let ada = harbour.somebody("ada@example.test").await;
    let mut browser = harbour.signed_in().await;
    let mine = harbour.asked(&local, "me").await;
    let page = browser.get(&format!("/approvals/{mine}")).await;
    assert!(page.body.contains("Take it back") && !page.body.contains("Approve"), "{}", page.body);
    let of_ada = harbour.asked(&ada, "ada").await;
    let page = browser.get(&format!("/approvals/{of_ada}")).await;
    assert!(page.body.contains("You asked for this") && !page.body.contains("Your answer"), "{}", page.body);
    for id in [&mine, &of_ada] {
        for answer in ["approve", "reject", "emergency"] {
            let told = browser.answer(id, answer, "").await;
            assert_eq!(told.status, 403, "{}", told.body);
        }
        assert_eq!(state(&mut browser, id).await, "pending");
    }
    assert_eq!(
        browser.answer(&of_ada, "withdraw", "").await.status,
        403,
        "that is for the account that asked"
    );
    assert_eq!(browser.answer(&mine, "withdraw", "").await.status, 200);
    assert_eq!(state(&mut browser, &mine).await, "withdrawn");
    harbour.end().await;
}

#[tokio::test]
async fn a_code_counts_once_and_few_are_tried_and_no_session_is_taken_over() {
    let harbour = Harbour::start("").await;
    let code = harbour.code().await;
    let mut victim = harbour.browser();
    victim.cookie = Some("quaymaster=chosen-by-an-attacker".into());
    assert_eq!(victim.sign_in(&code.to_lowercase().replace('-', " ")).await.status, 303);
    assert_ne!(victim.cookie.as_deref(), Some("quaymaster=chosen-by-an-attacker"));
    let mut attacker = harbour.browser();
    attacker.cookie = Some("quaymaster=chosen-by-an-attacker".into());
    assert_eq!(attacker.get("/approvals").await.status, 403);
    // A log-in puts the session away that came with it.
    let before = victim.clone();
    assert_eq!(victim.sign_in(&harbour.code().await).await.status, 303);
    assert_eq!(before.clone().get("/approvals").await.status, 403);
    assert_eq!(attacker.sign_in(&code).await.status, 403, "it was used");
    assert_eq!(attacker.sign_in("AAAA").await.status, 403);
    assert_eq!(attacker.sign_in("BBBB").await.status, 403);
    let right = harbour.code().await;
    assert_eq!(attacker.sign_in(&right).await.status, 429, "five a minute, right or wrong");
    assert_eq!(victim.get("/approvals").await.status, 200);
    let elsewhere = victim.post("/sign-in", &[("code", "x"), ("to", "//evil.example.test")]).await;
    assert!(!elsewhere.body.contains("evil"), "{}", elsewhere.body);
    harbour.end().await;
}

#[tokio::test]
async fn the_console_is_for_its_own_host_and_absent_unless_it_is_configured() {
    let harbour = Harbour::start("").await;
    let mut stranger = Browser { address: harbour.address.clone(), cookie: None };
    let rebound = stranger.send("GET", "/approvals", &[("host", "evil.example.test")], "").await;
    assert!(rebound.status == 400 || rebound.status == 403, "{}", rebound.status);
    let too_large = "x".repeat(70_000);
    let origin = format!("http://{}", harbour.address);
    let headers = [("origin", origin.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(stranger.send("POST", "/sign-in", &headers, &too_large).await.status, 400);
    assert_eq!(stranger.get("/metrics").await.status, 404);
    assert_eq!(stranger.get("/style.css").await.status, 200);
    harbour.end().await;
    let folder = folder();
    let gateway: std::sync::Arc<Gateway> = start(folder.path()).await.expect("started");
    assert!(gateway.listen_for_console().await.expect("nothing to open").is_none());
    gateway.shutdown().await;
}

#[tokio::test]
async fn whoever_has_a_token_logs_in_with_it_until_it_is_revoked() {
    let harbour = Harbour::start("").await;
    let local = harbour.gateway.local_user().expect("a local user");
    let (mo, token) = harbour.with_token("mo@example.test", "manager").await;
    let (first, second) = (harbour.asked(&local, "me").await, harbour.asked(&local, "you").await);
    let mut browser = harbour.browser();
    let code = code(harbour.folder.path(), Some(&token)).await;
    assert_eq!(browser.sign_in(&code).await.status, 303);
    assert!(browser.get("/approvals").await.body.contains("mo@example.test in sales"));
    assert_eq!(browser.answer(&first, "approve", "").await.status, 200);
    let word = browser.get(&format!("/approvals/{second}")).await.word();
    let office = Office::open(options(harbour.folder.path())).await.expect("an office");
    assert!(office.revoke_token(mo.authentication.token().expect("a token")).await.expect("revoked"));
    office.close().await;
    let path = format!("/approvals/{second}");
    let told = browser.post(&path, &[("word", &word), ("answer", "approve")]).await;
    assert!(told.status == 403 && told.body.contains("One-time code"), "{}", told.body);
    let mut local = harbour.signed_in().await;
    assert_eq!(state(&mut local, &second).await, "pending");
    harbour.end().await;
}

#[tokio::test]
async fn a_say_is_lent_and_taken_back_on_a_page_by_the_rules_of_the_command_line() {
    let harbour = Harbour::start("").await;
    let (_, token) = harbour.with_token("di@example.test", "analyst").await;
    let robot = harbour.somebody("robot").await;
    let (first, second) = (harbour.asked(&robot, "the quay").await, harbour.asked(&robot, "the sea").await);
    let mut taker = harbour.browser();
    assert_eq!(taker.sign_in(&code(harbour.folder.path(), Some(&token)).await).await.status, 303);
    assert_eq!(taker.get(&format!("/approvals/{first}")).await.status, 404, "it is not hers");
    assert_eq!(harbour.browser().get("/delegations").await.status, 403);

    let mut giver = harbour.signed_in().await;
    let word = giver.get("/delegations").await.word();
    let whole = [("word", word.as_str()), ("to", "di@example.test"), ("role", "manager"), ("for", "8h")];
    let with = |name: &'static str, value: &'static str| {
        whole.map(|(known, kept)| if known == name { (known, value) } else { (known, kept) })
    };
    for (fields, status) in [
        (with("word", ""), 403),
        (with("role", "boss"), 403),
        (with("to", "ada@example.test"), 409),
        (with("to", ""), 409),
        (with("role", "<b>"), 409),
        (with("for", "91d"), 409),
        (with("for", "soon"), 409),
    ] {
        let answer = giver.post("/delegations", &fields).await;
        assert_eq!(answer.status, status, "{fields:?}: {}", answer.body);
        nothing_is_markup(&answer);
    }
    assert_eq!(
        giver.post_from("/delegations", &[("origin", "http://evil.example.test")], &whole).await.status,
        403
    );
    assert!(giver.get("/delegations").await.body.contains("Nothing is lent"));
    assert_eq!(giver.post("/delegations", &whole).await.status, 200);

    let seen = taker.get("/delegations").await;
    assert!(seen.body.contains("ada@example.test lends to di@example.test"), "{}", seen.body);
    assert!(!seen.body.contains("Take it back"), "it is not hers to take back");
    assert_eq!(taker.answer(&first, "approve", "in her stead").await.status, 200);
    let own = giver.get("/delegations").await;
    let (_, rest) = own.body.split_once(r#"action="/delegations/"#).expect("a form");
    let path = format!("/delegations/{}", rest.split('"').next().expect("an id"));
    let theirs = seen.word();
    assert_eq!(taker.post(&path, &[("word", &theirs)]).await.status, 409);
    assert_eq!(giver.post(&path, &[("word", &word)]).await.status, 200);
    assert_eq!(giver.post(&path, &[("word", &word)]).await.status, 409, "it was taken back");
    assert_eq!(taker.get(&format!("/approvals/{second}")).await.status, 404);
    harbour.end().await;
}
