//! A small company: two tools, two roles, one workspace, on a real SQLite store.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_catalog::{Call, Catalogue};
use quaymaster_control::approval::{Approvals, Bounds, Grant, Terms};
use quaymaster_control::audit::writer::AuditSettings;
use quaymaster_control::audit::{Audit, Subjects};
use quaymaster_control::classification::{Classes, ClassificationConfig, KnownNames};
use quaymaster_control::crypto::{SealingKey, SystemRandomness};
use quaymaster_control::flow::{Flow, Labels, WINDOW};
use quaymaster_control::identity::{Declared, Identity, Roles, TokenRequest, create_token};
use quaymaster_control::incident::Incidents;
use quaymaster_control::ledger::Ledger;
use quaymaster_control::limits::{Counts, Limits};
use quaymaster_control::output::SafeOutput;
use quaymaster_control::policy::{Known, PolicyFile};
use quaymaster_control::redaction::{Placeholders, Redactor};
use quaymaster_control::{
    Ended, Evidence, Guards, Listening, Permit, Receipt, Refused, Rulebook, approve, authorize, close, label,
    label_again, record, reserve,
};
use quaymaster_core::actor::RoleConfig;
use quaymaster_core::class::FieldRule;
use quaymaster_core::connector::{Access, IdempotencyConfig, LookupConfig};
use quaymaster_core::setting::Slug;
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{
    Actor, ActorId, AgentClaims, Arguments, Authentication, CallError, CallId, CallRequest, Classification,
    Clock, ConfigVersion, DataClass, Effect, Handling, Randomness, Reach, Reply, SystemClock, TokenId,
    ToolDeclaration, ToolName, WriterId,
};
use quaymaster_redaction::Engine;
use quaymaster_store::{Store, StoreTarget};
use serde_json::{Map, Value, json};

pub(crate) const POLICY: &str = r#"
@id("analysts-read")
permit (principal in Role::"analyst", action == Action::"call", resource in Connector::"crm");

@id("big-needs-a-manager") @approval("manager")
permit (principal in Role::"support", action == Action::"call", resource == Tool::"crm_refund")
when { context.arguments.amount > 100 };

@id("small-refunds") @reason("support may refund up to 100")
permit (principal in Role::"support", action == Action::"call", resource == Tool::"crm_refund")
when { context.arguments.amount <= 100 };

@id("never-negative") @reason("a refund is positive")
forbid (principal, action, resource == Tool::"crm_refund") when { context.arguments.amount < 1 };
"#;

pub(crate) fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

pub(crate) fn classification() -> Classification {
    let rule = |matches: &str, class, action| FieldRule { matches: matches.into(), class, action };
    Classification {
        default: DataClass::Internal,
        columns: vec![
            rule("*.email", DataClass::Confidential, Handling::Allow),
            rule("*.bank_account", DataClass::Restricted, Handling::Drop),
        ],
        fields: vec![
            rule("$..email", DataClass::Confidential, Handling::Allow),
            rule("$..bank_account", DataClass::Restricted, Handling::Drop),
        ],
    }
}

fn declaration(local: &str, effect: Effect, form: ResultForm, input_schema: Value) -> ToolDeclaration {
    ToolDeclaration {
        offer: quaymaster_core::Offer::Tool,
        connector: slug("crm"),
        version: "1.0.0".into(),
        workspaces: [slug("sales")].into(),
        name: ToolName::parse(&format!("crm_{local}")).expect("a tool name"),
        local_name: local.into(),
        title: None,
        description: "A tool of the customer database.".into(),
        effect,
        input_schema,
        output_schema: None,
        form,
        access: Access { roles: vec![], workspaces: None },
        approval: None,
        briefing: Arc::default(),
        idempotency: None,
        fixed: Map::new(),
        defaults: Map::new(),
        classification: Arc::new(classification()),
        passed_on: Map::new(),
        tasks: false,
        definition: None,
        quarantined: None,
        trust: quaymaster_core::Trust::Internal,
        destination: quaymaster_core::Destination::Internal,
    }
}

pub(crate) fn declarations() -> Vec<ToolDeclaration> {
    let by_id =
        json!({"type": "object", "properties": {"id": {"type": "string"}}, "additionalProperties": false});
    let refund = json!({
        "type": "object",
        "properties": {"id": {"type": "string"}, "amount": {"type": "integer"}, "key": {"type": "string"}},
        "required": ["id", "amount", "key"],
        "additionalProperties": false
    });
    let mut refund = declaration("refund", Effect::Write, ResultForm::Upstream, refund);
    refund.idempotency = Some(IdempotencyConfig {
        from: vec!["id".into(), "amount".into()],
        argument: "key".into(),
        window: None,
        lookup: Some(LookupConfig {
            tool: "crm_refunded".into(),
            arguments: Map::from_iter([("key".into(), json!("${key}"))]),
            found: "/refund".into(),
        }),
    });
    let mut public = declaration("status", Effect::Read, ResultForm::Upstream, by_id.clone());
    public.classification =
        Arc::new(Classification { default: DataClass::Public, columns: vec![], fields: vec![] });
    vec![
        declaration("account", Effect::Read, ResultForm::Upstream, by_id.clone()),
        declaration("table", Effect::Read, ResultForm::Envelope, by_id),
        public,
        refund,
    ]
}

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) catalogue: Catalogue,
    pub(crate) rulebook: Rulebook,
    pub(crate) evidence: Evidence,
    pub(crate) approvals: Approvals,
    pub(crate) guards: Guards,
    pub(crate) identity: Arc<Identity>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(declarations()).await
    }

    pub(crate) async fn with(declarations: Vec<ToolDeclaration>) -> Self {
        Self::at(Arc::new(SystemClock), declarations).await
    }

    /// The same at another time.
    pub(crate) async fn at(clock: Arc<dyn Clock>, declarations: Vec<ToolDeclaration>) -> Self {
        Self::put_together(clock, declarations, POLICY).await
    }

    /// The same under other policies.
    pub(crate) async fn governed(declarations: Vec<ToolDeclaration>, policy: &str) -> Self {
        Self::put_together(Arc::new(SystemClock), declarations, policy).await
    }

    async fn put_together(clock: Arc<dyn Clock>, declarations: Vec<ToolDeclaration>, policy: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(StoreTarget::Sqlite { path: folder.path().join("quaymaster.db") })
            .await
            .expect("a store");
        let evidence = evidence(folder.path(), store.clone(), clock).await;
        let (catalogue, problems) = Catalogue::build(declarations);
        assert_eq!(problems, vec![]);
        let rulebook = rulebook(&catalogue, policy, None);
        let catalogue = catalogue.with_rules(|tool| rulebook.told(tool));
        let time_and_chance: (Arc<dyn Clock>, Arc<dyn Randomness>) =
            (Arc::clone(&evidence.clock), Arc::new(SystemRandomness));
        let subjects = Arc::clone(&evidence.subjects);
        let approvals = Approvals::new(store.clone(), subjects, time_and_chance, "a test");
        let identity = Arc::new(Identity::new(store.clone(), Arc::clone(&evidence.clock), declared()));
        let incidents = Arc::new(Incidents::new(store.clone(), Arc::clone(&evidence.clock)));
        let counts = Arc::new(Counts::new(store.clone(), Arc::clone(&evidence.clock)));
        let chance = Arc::new(SystemRandomness);
        let subjects = Arc::clone(&evidence.subjects);
        let ledger = Ledger::new(store.clone(), subjects, Arc::clone(&evidence.clock), chance);
        let labels = Labels::open(store.clone(), Arc::clone(&evidence.clock)).await.expect("labels");
        let flow = Flow::new(Arc::new(labels), WINDOW, rulebook.policies().ask_labels());
        let limits = Limits::new(vec![], counts);
        let guards = Guards { incidents, ledger: Arc::new(ledger), limits, flow };
        let world = Self { folder, store, catalogue, rulebook, evidence, approvals, guards, identity };
        world.bound(Bounds::default());
        world
    }

    /// Answers a call that did not run.
    pub(crate) async fn answer(&self, ended: impl Into<Ended>) -> Reply {
        let ended = label_again(ended.into(), &self.guards.flow, Listening::ToNothing).await;
        close(ended, &self.evidence).await
    }

    /// Ends a call that ran.
    pub(crate) async fn end(&self, receipt: Receipt, outcome: Result<SafeOutput, CallError>) -> Reply {
        close(label(receipt, outcome, &self.guards.flow).await, &self.evidence).await
    }

    /// Has approvals obey what there is now, within `bounds`.
    pub(crate) fn bound(&self, bounds: Bounds) {
        let (policies, identity) = (Arc::clone(self.rulebook.policies()), Arc::clone(&self.identity));
        self.approvals.obey(Terms { policies, identity, bounds });
    }

    /// Makes a token of an account, for an hour.
    pub(crate) async fn let_in(&self, name: &str, person: Option<&str>, role: &str) -> TokenId {
        let id = |name: &str| ActorId::parse(name).expect("a name");
        let request = TokenRequest {
            actor: id(name),
            person: person.map(id),
            roles: vec![slug(role)],
            workspace: slug("sales"),
            lifetime: Duration::from_hours(24 * 30),
            note: None,
        };
        let clock = self.evidence.clock.as_ref();
        create_token(&self.store, request, clock, &SystemRandomness).await.expect("a token").row.id
    }

    /// The same tools in another environment.
    pub(crate) fn move_to(&mut self, environment: &str) {
        self.rulebook = rulebook(&self.catalogue, POLICY, Some(environment));
        self.bound(Bounds::default());
    }

    /// Other policies for the same tools.
    pub(crate) fn govern(&mut self, policy: &str) {
        self.rulebook = rulebook(&self.catalogue, policy, None);
        self.bound(Bounds::default());
    }

    /// Other tools under other policies.
    pub(crate) fn offer_under(&mut self, tools: impl Iterator<Item = ToolDeclaration>, policy: &str) {
        let (catalogue, problems) = Catalogue::build(tools);
        assert_eq!(problems, vec![]);
        self.rulebook = rulebook(&catalogue, policy, None);
        self.catalogue = catalogue.with_rules(|tool| self.rulebook.told(tool));
        self.bound(Bounds::default());
    }

    /// The same tools under a classification, and `policy` beside the usual ones; the workspace is in `place`.
    pub(crate) fn classify(&mut self, config: Value, place: Option<&str>, policy: &str) {
        let config: ClassificationConfig = serde_json::from_value(config).expect("a classification");
        let engine = Engine::new(&config.redaction).expect("an engine");
        let known = KnownNames {
            connectors: ["crm".to_owned()].into(),
            tools: self.catalogue.offers().map(|tool| tool.name().to_string()).collect(),
            roles: ["analyst", "support", "manager"].map(str::to_owned).into(),
            workspaces: [(slug("sales"), place.map(slug))].into(),
        };
        let classes = Arc::new(Classes::new(&config, &engine, Some(&known)).expect("a classification"));
        let policies = format!("{POLICY}\n{policy}");
        let redactor = Redactor::new(Arc::new(engine), Arc::clone(self.evidence.subjects.sealing_key()));
        let keys = Arc::clone(self.evidence.subjects.sealing_key());
        let placeholders = Placeholders::new(keys, Arc::clone(&self.evidence.clock));
        let redactor = redactor.keeping(Arc::new(placeholders));
        self.rulebook = classified(&self.catalogue, &policies, None, classes).redacting(Some(redactor));
        self.bound(Bounds::default());
    }

    /// Other tools under the same policies.
    pub(crate) fn offer(&mut self, declarations: Vec<ToolDeclaration>) {
        let (catalogue, problems) = Catalogue::build(declarations);
        assert_eq!(problems, vec![]);
        self.rulebook = rulebook(&catalogue, POLICY, None);
        self.catalogue = catalogue.with_rules(|tool| self.rulebook.told(tool));
        self.bound(Bounds::default());
    }

    pub(crate) fn request(role: &str, clearance: DataClass, tool: &str, arguments: &Value) -> CallRequest {
        let actor = Actor {
            id: ActorId::parse(&format!("{role}@example.test")).expect("an id"),
            person: None,
            roles: [slug(role)].into(),
            groups: [].into(),
            workspace: slug("sales"),
            clearance,
            authentication: Authentication::LocalUser,
        };
        CallRequest {
            kind: quaymaster_core::Kind::Tool,
            id: CallId::new(&SystemClock, &SystemRandomness),
            received: SystemClock.now(),
            actor: Arc::new(actor),
            reach: Reach::All,
            session: None,
            agent: AgentClaims::default(),
            trace_id: None,
            sampled: false,
            correlation_id: None,
            idempotency_key: None,
            tool: tool.into(),
            arguments: Arguments::from_map(arguments.as_object().cloned().unwrap_or_default()),
        }
    }

    pub(crate) fn resolve(&self, request: CallRequest) -> Result<Call, Refused> {
        let actor = Arc::clone(&request.actor);
        let view = self.catalogue.view(|tool| self.rulebook.policies().could_permit(&actor, tool));
        Ok(view.resolve(request)?)
    }

    pub(crate) async fn permit(&self, request: CallRequest) -> Result<Permit, Refused> {
        match self.path(request, None).await {
            Ok(permit) => Ok(permit),
            Err(Ended::Refused(refused)) => Err(refused),
            Err(ended) => panic!("{ended:?}"),
        }
    }

    /// Puts one more policy to work.
    pub(crate) fn add_policy(&mut self, text: &str) {
        self.rulebook = rulebook(&self.catalogue, &format!("{POLICY}\n{text}"), None);
        self.bound(Bounds::default());
    }

    /// The path of a call up to its permit.
    pub(crate) async fn path(&self, request: CallRequest, grant: Option<&Grant>) -> Result<Permit, Ended> {
        let authorized = authorize(self.resolve(request)?, &self.rulebook, &self.guards).await?;
        let approved = approve(authorized, grant, &self.approvals, &self.evidence).await?;
        let reserved = reserve(approved, &self.guards.ledger, &self.evidence).await?;
        Ok(record(reserved, &self.evidence).await?)
    }

    pub(crate) async fn records(&self) -> Vec<Value> {
        let stored = self.store.audit_read(0, 1_000).await.expect("records");
        stored.iter().map(|r| serde_json::from_slice(&r.body).expect("JSON")).collect()
    }
}

fn declared() -> Declared {
    let role = |name: &str| (slug(name), RoleConfig { clearance: DataClass::Internal, description: None });
    let roles = Roles::from(["analyst", "support", "manager"].map(role));
    Declared { roles, workspaces: [slug("sales")].into(), default_workspace: slug("sales") }
}

fn rulebook(catalogue: &Catalogue, policies: &str, environment: Option<&str>) -> Rulebook {
    classified(catalogue, policies, environment, Arc::default())
}

fn classified(
    catalogue: &Catalogue,
    policies: &str,
    environment: Option<&str>,
    classes: Arc<Classes>,
) -> Rulebook {
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let known = Known {
        roles: set(&["analyst", "support", "manager"]),
        workspaces: set(&["sales"]),
        connectors: set(&["crm"]),
        tools: set(&["crm_account", "crm_table", "crm_status", "crm_refund"]),
        environments: environment.map(|name| ("sales".to_owned(), name.to_owned())).into_iter().collect(),
        classes,
        ..Known::default()
    };
    let file = PolicyFile { path: "crm.cedar".into(), text: policies.into() };
    let (rulebook, problems) = Rulebook::build(&[file], catalogue, &known);
    assert_eq!(problems, vec![]);
    rulebook
}

pub(crate) async fn evidence(folder: &std::path::Path, store: Store, clock: Arc<dyn Clock>) -> Evidence {
    let randomness = Arc::new(SystemRandomness);
    let sealing = SealingKey::open_or_create(&folder.join("seal.key"), randomness.clone()).expect("a key");
    let settings = AuditSettings { batch_window: Duration::from_millis(1), ..AuditSettings::default() };
    let writer = WriterId::new(&SystemClock, &SystemRandomness);
    let audit = Audit::open(store.clone(), writer, settings, Arc::clone(&clock)).await.expect("an audit log");
    Evidence {
        audit: Arc::new(audit),
        subjects: Arc::new(Subjects::new(store, Arc::new(sealing), Arc::clone(&clock), randomness)),
        clock,
        config: ConfigVersion::new(&SystemClock, &SystemRandomness),
    }
}
