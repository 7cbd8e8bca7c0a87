//! A catalogue of a thousand tools that is the same every time: 25 systems with
//! eight kinds of things each, and five tools for each kind.
//!
//! It stands in for a company that connected everything. The systems overlap as
//! real ones do: several have groups, certificates, reports and comments.

use quaymaster_core::connector::Access;
use quaymaster_core::setting::Slug;
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{Classification, DataClass, Effect, Offer, ToolDeclaration, ToolName};
use serde_json::{Map, Value, json};

/// A system: its name, what it is, and the things in it with what they are.
type System = (&'static str, &'static str, [(&'static str, &'static str); 8]);

/// One tool of the catalogue.
pub(crate) struct Definition {
    /// The system, which is also the prefix of the name.
    pub(crate) system: &'static str,
    /// The name without the prefix.
    pub(crate) name: String,
    /// A short name for people.
    pub(crate) title: String,
    /// When to use it.
    pub(crate) description: String,
    /// What it does to the world.
    pub(crate) effect: Effect,
    /// The arguments.
    pub(crate) schema: Value,
}

impl Definition {
    /// The name under which agents know the tool.
    pub(crate) fn full_name(&self) -> String {
        format!("{}_{}", self.system, self.name)
    }

    /// The tool as a connector would declare it.
    pub(crate) fn declare(&self) -> ToolDeclaration {
        let classification = Classification { default: DataClass::Internal, columns: vec![], fields: vec![] };
        ToolDeclaration {
            offer: Offer::Tool,
            connector: Slug::parse(self.system).expect("a slug"),
            version: "1.0.0".into(),
            workspaces: [Slug::parse("sales").expect("a slug")].into(),
            name: ToolName::parse(&self.full_name()).expect("a name"),
            local_name: self.name.clone(),
            title: Some(self.title.clone()),
            description: self.description.clone(),
            effect: self.effect,
            input_schema: self.schema.clone(),
            output_schema: None,
            form: ResultForm::Upstream,
            access: Access { roles: vec![], workspaces: None },
            approval: None,
            idempotency: None,
            fixed: Map::new(),
            defaults: Map::new(),
            classification: classification.into(),
            passed_on: Map::new(),
        }
    }
}

/// All of them.
pub(crate) fn definitions() -> Vec<Definition> {
    let mut all = Vec::new();
    for (system, purpose, things) in SYSTEMS {
        for (thing, what) in things {
            all.extend(tools_of((system, purpose), (thing, what)));
        }
    }
    all
}

fn tools_of((system, purpose): (&'static str, &str), (thing, what): (&'static str, &str)) -> [Definition; 5] {
    let (words, things) = (thing.replace('_', " "), plural(thing));
    let id = format!("{thing}_id");
    let an_id = json!({"type": "string", "description": format!("The id of the {words}, as {system}_list_{things} gives it.")});
    let fields = json!({
        "name": {"type": "string", "maxLength": 200, "description": format!("What the {words} is called.")},
        "description": {"type": "string", "description": "Further details, as plain text."},
        "owner": {"type": "string", "description": "E-mail address of whoever looks after it."},
        "labels": {"type": "array", "items": {"type": "string"}, "maxItems": 20, "description": "Free labels."},
    });
    let with_id = |rest: &Value| {
        let mut properties = Map::from_iter([(id.clone(), an_id.clone())]);
        properties.extend(rest.as_object().cloned().unwrap_or_default());
        json!({"type": "object", "properties": properties, "required": [&id], "additionalProperties": false})
    };
    let define = |verb: &str, object: &str, description: String, effect, schema| Definition {
        system,
        name: format!("{verb}_{object}"),
        title: capital(&format!("{verb} {}", object.replace('_', " "))),
        description,
        effect,
        schema,
    };
    let list = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "Words to look for in name and description."},
            "status": {"type": "string", "enum": ["active", "archived", "any"], "default": "active"},
            "created_after": {"type": "string", "format": "date", "description": "First day, included."},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
            "cursor": {"type": "string", "description": "Where the last page ended."}
        },
        "additionalProperties": false
    });
    let get = with_id(&json!({"include": {
        "type": "array", "items": {"type": "string", "enum": ["history", "links", "permissions"]},
        "description": "What else to give."
    }}));
    let create = json!({
        "type": "object", "properties": &fields, "required": ["name"], "additionalProperties": false
    });
    let delete = with_id(&json!({"reason": {"type": "string", "description": "Why, for the log."}}));
    let purpose_text = format!("{} ({purpose})", capital(system));
    [
        define(
            "list",
            &things,
            format!(
                "Lists or searches {} in {purpose_text}, newest first. One is {what}. Not for a single one: use {system}_get_{thing}.",
                things.replace('_', " ")
            ),
            Effect::Read,
            list,
        ),
        define(
            "get",
            thing,
            format!(
                "Reads one {words} of {purpose_text}: {what}. Gives all of its fields and who changed it last."
            ),
            Effect::Read,
            get,
        ),
        define(
            "create",
            thing,
            format!(
                "Adds a {words}, {what}, to {purpose_text} and gives its id. People who watch it are told."
            ),
            Effect::Write,
            create,
        ),
        define(
            "update",
            thing,
            format!(
                "Changes a {words}, {what}, in {purpose_text}. Fields that are left out stay as they are."
            ),
            Effect::Write,
            with_id(&fields),
        ),
        define(
            "delete",
            thing,
            format!(
                "Removes a {words}, {what}, from {purpose_text} for good. Archive it instead if it may be needed again."
            ),
            Effect::Destructive,
            delete,
        ),
    ]
}

fn plural(thing: &str) -> String {
    match thing {
        _ if thing.ends_with("ey") || thing.ends_with("ay") => format!("{thing}s"),
        _ if thing.ends_with('y') => format!("{}ies", thing.trim_end_matches('y')),
        _ if thing.ends_with('x') || thing.ends_with("ch") => format!("{thing}es"),
        _ => format!("{thing}s"),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

const SYSTEMS: [System; 25] = [
    (
        "crm",
        "customers and sales",
        [
            ("account", "a company that buys from us"),
            ("contact", "a person at a customer"),
            ("lead", "somebody who may become a customer"),
            ("opportunity", "a deal that may be won"),
            ("quote", "an offer with prices for a customer"),
            ("campaign", "a mailing or event that reaches many people"),
            ("activity", "a call, meeting or note with a customer"),
            ("territory", "a region that one seller looks after"),
        ],
    ),
    (
        "billing",
        "invoices and payments",
        [
            ("invoice", "a bill that a customer has to pay"),
            ("payment", "money that a customer paid"),
            ("refund", "money that a customer gets back"),
            ("subscription", "a plan that is paid every month or year"),
            ("coupon", "a discount code for customers"),
            ("tax_rate", "the VAT of a country"),
            ("credit_note", "a correction of an invoice"),
            ("payout", "a transfer to our bank account"),
        ],
    ),
    (
        "helpdesk",
        "customer support",
        [
            ("ticket", "a question or complaint of a customer"),
            ("reply_macro", "an answer that is written in advance"),
            ("queue", "tickets that wait for one team"),
            ("sla_policy", "how fast tickets must be answered"),
            ("satisfaction_rating", "how content a customer was with the support"),
            ("support_agent", "a person who answers tickets"),
            ("help_article", "a page that answers a frequent question"),
            ("support_level", "a team to which a ticket can be escalated"),
        ],
    ),
    (
        "tracker",
        "work of development teams",
        [
            ("issue", "a bug, task or story that somebody works on"),
            ("sprint", "two weeks of planned work"),
            ("epic", "a large piece of work that issues belong to"),
            ("board", "a view of issues by their state"),
            ("milestone", "a date by which something is done"),
            ("worklog", "time that somebody spent on an issue"),
            ("component", "a part of the product that issues belong to"),
            ("release_note", "what changed in a version, for users"),
        ],
    ),
    (
        "repo",
        "source code",
        [
            ("repository", "a project with its history in git"),
            ("branch", "a line of development"),
            ("pull_request", "a change to the code that is proposed for review and merge"),
            ("review_comment", "a remark on a line of a proposed change"),
            ("commit_status", "whether the checks of a commit passed"),
            ("code_owner", "who must review changes to a folder"),
            ("deploy_key", "an SSH key with which a machine reads the code"),
            ("tag", "a name for a version of the code"),
        ],
    ),
    (
        "ci",
        "builds and deployments",
        [
            ("pipeline", "the steps from a commit to a release"),
            ("build", "one run of a pipeline with its log and failure"),
            ("artifact", "a file that a build made"),
            ("runner", "a machine that runs builds"),
            ("environment_variable", "a value that builds are given"),
            ("build_schedule", "when a pipeline runs by itself"),
            ("test_report", "which tests passed and failed"),
            ("deployment", "a version that was brought to production or staging"),
        ],
    ),
    (
        "cloud",
        "machines and networks",
        [
            ("virtual_machine", "a server that is rented by the hour"),
            ("disk", "storage of a server"),
            ("load_balancer", "what spreads requests over servers"),
            ("firewall_rule", "which traffic may pass"),
            ("dns_record", "where a host name leads"),
            ("disk_snapshot", "a copy of a disk at a moment"),
            ("kubernetes_cluster", "machines that run containers"),
            ("database_instance", "a managed PostgreSQL or MySQL"),
        ],
    ),
    (
        "monitoring",
        "health of production",
        [
            ("alert", "a rule that tells people of trouble"),
            ("dashboard", "charts of metrics"),
            ("metric", "a number over time, such as latency"),
            ("incident", "an outage and who works on it"),
            ("on_call_shift", "who is woken up when, by week"),
            ("silence", "a time in which an alert is muted"),
            ("uptime_check", "a request that is sent every minute from outside"),
            ("log_query", "a saved search in logs"),
        ],
    ),
    (
        "wiki",
        "what the company knows",
        [
            ("page", "a document that many people edit"),
            ("space", "pages that belong together"),
            ("attachment", "a file on a page"),
            ("page_template", "a form for new pages"),
            ("page_comment", "a remark on a page"),
            ("page_label", "a word by which pages are found"),
            ("draft", "a page that is not published"),
            ("page_permission", "who may read or edit a page"),
        ],
    ),
    (
        "chat",
        "messages between colleagues",
        [
            ("channel", "a room for messages on one topic"),
            ("message", "a text that is posted to a channel or person"),
            ("reaction", "an emoji on a message"),
            ("user_group", "people who are addressed together"),
            ("reminder", "a message to oneself at a later time"),
            ("pinned_item", "a message that stays on top of a channel"),
            ("incoming_webhook", "an address to which programs post"),
            ("thread", "the replies to a message"),
        ],
    ),
    (
        "mail",
        "electronic mail",
        [
            ("mailbox", "where the mail of a person or team arrives"),
            ("email", "a message with subject, recipients and attachments"),
            ("mail_filter", "a rule that sorts incoming mail"),
            ("mail_signature", "the text at the end of each message"),
            ("distribution_list", "an address that reaches many people"),
            ("mail_folder", "a place for messages"),
            ("auto_reply", "what is answered while somebody is out of the office"),
            ("blocked_sender", "an address whose mail is refused"),
        ],
    ),
    (
        "calendar",
        "meetings and time",
        [
            ("event", "a meeting with time and place"),
            ("room", "a meeting room that can be booked"),
            ("availability", "when a person is free or busy"),
            ("holiday", "a day on which nobody works"),
            ("attendee", "a person who was invited to a meeting"),
            ("meeting_series", "a meeting that repeats"),
            ("booking_page", "where outsiders choose a time"),
            ("time_zone", "where a person works"),
        ],
    ),
    (
        "hr",
        "people of the company",
        [
            ("employee", "a person who works here, with position and manager"),
            ("vacation_request", "time off that a manager has to approve"),
            ("payslip", "what somebody earned in a month"),
            ("job_posting", "a position that is to be filled"),
            ("candidate", "a person who applied for a job"),
            ("interview", "a talk with an applicant"),
            ("performance_review", "a yearly talk about results and goals"),
            ("org_unit", "a department or team"),
        ],
    ),
    (
        "finance",
        "the books",
        [
            ("ledger_entry", "a booking with debit and credit"),
            ("expense_report", "what an employee spent on a trip and gets back"),
            ("budget", "how much a team may spend in a year"),
            ("cost_center", "where costs are booked to"),
            ("purchase_order", "what we order from a supplier at which price"),
            ("supplier", "a company that we buy from"),
            ("bank_account", "an account of the company with its balance"),
            ("fiscal_period", "a month that is open or closed for bookings"),
        ],
    ),
    (
        "warehouse",
        "goods and deliveries",
        [
            ("stock_item", "an article with the quantity that is there"),
            ("shipment", "a parcel on its way to a customer, with tracking number"),
            ("bin_location", "a shelf in the warehouse"),
            ("goods_receipt", "what a supplier delivered"),
            ("stock_count", "an inventory of what is really there"),
            ("carrier", "a company that delivers parcels"),
            ("return_parcel", "goods that a customer sent back"),
            ("packing_list", "what goes into a parcel"),
        ],
    ),
    (
        "shop",
        "the online store",
        [
            ("product", "an article that is for sale"),
            ("order", "what a customer bought"),
            ("cart", "what a customer has not yet paid"),
            ("price_list", "prices for a group of customers"),
            ("category", "products that are shown together"),
            ("product_review", "stars and text of a buyer"),
            ("gift_card", "prepaid credit for the store"),
            ("shipping_rate", "what delivery costs by country"),
        ],
    ),
    (
        "identity",
        "log-in and access",
        [
            ("user", "an account with which a person logs in"),
            ("role", "a set of permissions"),
            ("login_session", "a browser or device that is logged in"),
            ("api_token", "a credential for programs"),
            ("mfa_device", "a phone or key for the second factor"),
            ("access_review", "a check of who has which permissions"),
            ("group", "users that have roles together"),
            ("password_policy", "how long and how old passwords may be"),
        ],
    ),
    (
        "security",
        "risks and defence",
        [
            ("vulnerability", "a weakness that a scanner found in software"),
            ("scan", "a run of a scanner over hosts or code"),
            ("risk_exception", "a weakness that is accepted until a date"),
            ("certificate", "a TLS certificate of a host, with its expiry"),
            ("secret_rotation", "when a password or key was last renewed"),
            ("audit_event", "who did what and when"),
            ("firewall_request", "an opening in the firewall that somebody asks for"),
            ("phishing_report", "a suspicious message that an employee reported"),
        ],
    ),
    (
        "legal",
        "contracts and obligations",
        [
            ("contract", "an agreement with a customer or supplier"),
            ("clause", "a paragraph that is used in many agreements"),
            ("signature_request", "a document that waits to be signed by both sides"),
            ("obligation", "what we must do by a date"),
            ("confidentiality_agreement", "an NDA with another company"),
            ("court_case", "a dispute before a court"),
            ("trademark", "a protected name or logo"),
            ("data_request", "a person who wants to see or erase personal data under the GDPR"),
        ],
    ),
    (
        "storage",
        "files",
        [
            ("file", "a document, picture or archive"),
            ("folder", "a place for files"),
            ("share_link", "an address under which others may download a file"),
            ("file_version", "an earlier state of a file"),
            ("quota", "how much space somebody may use"),
            ("trash_item", "a file that was deleted and can be restored"),
            ("upload", "a large file that arrives in parts"),
            ("retention_rule", "how long files are kept"),
        ],
    ),
    (
        "analytics",
        "figures about users",
        [
            ("report", "a table or chart that is made every week"),
            ("segment", "users with something in common"),
            ("funnel", "the steps to a purchase and how many get there"),
            ("event_stream", "what users do, as it happens"),
            ("experiment", "an A/B test of two variants"),
            ("cohort", "users who began in the same week"),
            ("data_source", "a database or file that figures come from"),
            ("saved_query", "an SQL statement with a name"),
        ],
    ),
    (
        "marketing",
        "what the public sees",
        [
            ("newsletter", "an e-mail to all subscribers"),
            ("landing_page", "a web page for one offer"),
            ("audience", "people who are shown something"),
            ("advertisement", "a paid picture or text"),
            ("social_post", "a text on a social network"),
            ("keyword", "a search term that we pay for"),
            ("brand_asset", "a logo or picture that may be used"),
            ("survey", "questions to customers"),
        ],
    ),
    (
        "facilities",
        "buildings and offices",
        [
            ("desk_booking", "a place to work in the office for a day"),
            ("badge", "a card that opens doors"),
            ("visitor", "a guest who comes to the office"),
            ("maintenance_job", "something in the building that has to be repaired"),
            ("parking_space", "a place for a car"),
            ("room_device", "a screen or camera in a meeting room"),
            ("cleaning_plan", "when which floor is cleaned"),
            ("key_handover", "who has which key"),
        ],
    ),
    (
        "fleet",
        "cars and drivers",
        [
            ("vehicle", "a car or truck of the company"),
            ("trip", "a journey with distance and purpose"),
            ("driver", "a person with a licence for company cars"),
            ("fuel_card", "a card that pays for petrol"),
            ("inspection", "a yearly technical check of a car"),
            ("toll", "a fee for a road"),
            ("charging_session", "how long an electric car was charged and where"),
            ("accident_report", "damage to a car and who was involved"),
        ],
    ),
    (
        "learning",
        "training of employees",
        [
            ("course", "a training that employees can take"),
            ("enrolment", "an employee who signed up for a course"),
            ("quiz", "questions at the end of a course"),
            ("completion_certificate", "proof that somebody passed"),
            ("instructor", "a person who teaches"),
            ("learning_path", "courses in an order"),
            ("training_session", "a date and place of a course"),
            ("feedback_form", "what participants thought"),
        ],
    ),
];
