//! What is personal or secret in a text, and what is put in its place.
//!
//! One [`Engine`] serves results, errors, logs, traces, audit, approval texts and stored payloads. It
//! is pure: no I/O, no clock, no randomness, no async runtime. It decides nothing about who may see what
//! (`quaymaster-control`) and keeps no value (a [`Vault`] does).
//!
//! Layers, in the order in which they are asked: declared fields ([`RedactionConfig::fields`]), names of
//! fields (`field`), the content of every string (`scan`, and below it `numeric`, `words`, `internet`,
//! `street`, `secrets`, `labels`), columns and repetitions (`items`), what is encoded in a string (`pass`).
//!
//! Invariants:
//! - A text is either redacted whole or refused; nothing is released that was not looked at.
//! - JSON stays JSON of the same shape; what is not changed keeps its spelling to the byte.
//! - No finding, refusal or message holds what was found.
//! - Everything has a bound: bytes, depth, layers, findings.

mod action;
mod checksum;
mod config;
mod context;
mod dates;
mod document;
mod engine;
mod field;
mod finding;
mod hit;
mod internet;
mod items;
mod kind;
mod labels;
mod ner;
mod numeric;
mod pass;
mod path;
mod plain;
mod restore;
mod scan;
mod scope;
mod secrets;
mod street;
mod table;
mod words;

pub use action::Action;
pub use config::{
    BinaryAction, BinaryConfig, ColumnsConfig, ConfigProblem, FieldConfig, KindAction, LexiconConfig,
    NestedConfig, RedactionConfig,
};
pub use engine::{Engine, MAX_TEXT_BYTES};
pub use field::FieldWords;
pub use finding::{Finding, Redacted, Refusal};
pub use kind::{Family, Kind, KindSet};
pub use ner::Recogniser;
pub use restore::{Restored, restore_json, restore_text};
pub use scope::{KEY_BYTES, Key, MemoryVault, Placeholder, Scope, Vault, VaultError};

/// The names of all detectors, as findings have them and a configuration can turn them off.
pub fn detectors() -> Vec<&'static str> {
    const OTHERS: &[&str] = &[
        "address",
        "column",
        "credit_card",
        "crypto.base58",
        "crypto.bech32",
        "crypto.ethereum",
        "date",
        "date.words",
        "echo",
        "email",
        "field.company",
        "field.own",
        "field.person",
        "field.role",
        "gps",
        "iban",
        "imei",
        "ip.v4",
        "ip.v6",
        "label",
        "mac",
        "bic",
        "phone.br",
        "phone.cn",
        "phone.dialled",
        "phone.e164",
        "phone.nanp",
        "phone.number",
        "phone.trunk",
        "recogniser",
        "secret.aws_secret",
        "secret.named",
        "secret.of_provider",
        "secret.password",
        "secret.url",
        "national_id.es_dni",
        "national_id.es_nie",
        "national_id.fi_hetu",
        "national_id.ie_pps",
        "national_id.it_codice_fiscale",
        "national_id.mx_curp",
        "national_id.sg_nric",
        "national_id.uk_nino",
        "tax_id.es_cif",
        "tax_id.eu_vat",
        "tax_id.in_pan",
        "vehicle_id.vin",
    ];
    let mut names = OTHERS.to_vec();
    names.extend(numeric::detectors().chain(secrets::detectors()).chain(field::detectors()));
    names.sort_unstable();
    names.dedup();
    names
}
