//! What kinds of data are known: a closed list with stable names.
//!
//! This file is a flat table, so it may be long. A kind is named the same in findings,
//! placeholders, `classification.yaml` and the audit; names are added and never changed.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! kinds {
    ($($name:ident = $text:literal, $family:ident, $doc:literal;)*) => {
        /// A kind of data that is found and acted on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Kind { $(#[doc = $doc] $name,)* }

        impl Kind {
            /// Every kind, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The kind as it is written everywhere, such as `credit_card`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether it is of a person or a secret.
            pub const fn family(self) -> Family {
                match self { $(Self::$name => Family::$family,)* }
            }

            /// What it is, in a few words.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

/// What a kind is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Data of a person.
    Personal,
    /// Something that opens a door.
    Secret,
}

kinds! {
    Email = "email", Personal, "an e-mail address";
    Phone = "phone", Personal, "a telephone number";
    CreditCard = "credit_card", Personal, "the number of a payment card";
    CardSecurityCode = "card_security_code", Personal, "the security code of a payment card";
    CardExpiry = "card_expiry", Personal, "when a payment card ends";
    Iban = "iban", Personal, "an international bank account number (ISO 13616)";
    BankAccount = "bank_account", Personal, "a bank account or routing number of one country";
    Bic = "bic", Personal, "a bank identifier (ISO 9362)";
    Ip = "ip", Personal, "an IPv4 or IPv6 address";
    Mac = "mac", Personal, "the hardware address of a network device";
    Gps = "gps", Personal, "geographical coordinates";
    Ssn = "ssn", Personal, "a social security number of the United States";
    NationalId = "national_id", Personal, "a number by which a state knows a person";
    TaxId = "tax_id", Personal, "a number for taxes, such as an EU VAT number";
    Passport = "passport", Personal, "the number of a passport or a machine-readable zone";
    DrivingLicence = "driving_licence", Personal, "the number of a driving licence";
    VehicleId = "vehicle_id", Personal, "the number of a vehicle, or its plate";
    DeviceId = "device_id", Personal, "the number of a device or SIM, such as an IMEI";
    PersonName = "person_name", Personal, "the name of a person";
    Username = "username", Personal, "the name by which a person logs in";
    Address = "address", Personal, "a postal address or its street";
    PostalCode = "postal_code", Personal, "a postal code";
    DateOfBirth = "date_of_birth", Personal, "when a person was born";
    Age = "age", Personal, "how old a person is";
    Gender = "gender", Personal, "the gender of a person";
    Nationality = "nationality", Personal, "the nationality of a person";
    CryptoAddress = "crypto_address", Personal, "an address of a cryptocurrency";
    SecretPassword = "secret_password", Secret, "a password";
    SecretPrivateKey = "secret_private_key", Secret, "a private key";
    SecretJwt = "secret_jwt", Secret, "a signed JSON Web Token";
    SecretAuthorization = "secret_authorization", Secret, "the credentials of an HTTP header";
    SecretUrl = "secret_url", Secret, "the user and password of a URL";
    SecretGeneric = "secret_generic", Secret, "a secret of no known provider, by its name and its randomness";
    SecretAge = "secret_age", Secret, "a key of age";
    SecretAi = "secret_ai", Secret, "a key of a service of language models";
    SecretAirtable = "secret_airtable", Secret, "a token of Airtable";
    SecretAlibaba = "secret_alibaba", Secret, "a key of Alibaba Cloud";
    SecretArtifactory = "secret_artifactory", Secret, "a key of Artifactory";
    SecretAtlassian = "secret_atlassian", Secret, "a token of Atlassian";
    SecretAws = "secret_aws", Secret, "a key of Amazon Web Services";
    SecretAzure = "secret_azure", Secret, "a key of Microsoft Azure";
    SecretCloudflare = "secret_cloudflare", Secret, "a key of Cloudflare";
    SecretDatabricks = "secret_databricks", Secret, "a token of Databricks";
    SecretDigitalocean = "secret_digitalocean", Secret, "a token of `DigitalOcean`";
    SecretDiscord = "secret_discord", Secret, "a token or webhook of Discord";
    SecretDocker = "secret_docker", Secret, "a token of Docker Hub";
    SecretDoppler = "secret_doppler", Secret, "a token of Doppler";
    SecretDropbox = "secret_dropbox", Secret, "a token of Dropbox";
    SecretDynatrace = "secret_dynatrace", Secret, "a token of Dynatrace";
    SecretFacebook = "secret_facebook", Secret, "a token of Facebook";
    SecretFly = "secret_fly", Secret, "a token of Fly.io";
    SecretGcp = "secret_gcp", Secret, "a key of Google";
    SecretGithub = "secret_github", Secret, "a token of GitHub";
    SecretGitlab = "secret_gitlab", Secret, "a token of GitLab";
    SecretGrafana = "secret_grafana", Secret, "a token of Grafana";
    SecretHashicorp = "secret_hashicorp", Secret, "a token of Vault or Terraform";
    SecretHeroku = "secret_heroku", Secret, "a key of Heroku";
    SecretLinear = "secret_linear", Secret, "a key of Linear";
    SecretMail = "secret_mail", Secret, "a key of a service that sends mail";
    SecretMicrosoft = "secret_microsoft", Secret, "a webhook of Microsoft Teams";
    SecretNewrelic = "secret_newrelic", Secret, "a key of New Relic";
    SecretNotion = "secret_notion", Secret, "a token of Notion";
    SecretNpm = "secret_npm", Secret, "a token of npm";
    SecretOkta = "secret_okta", Secret, "a token of Okta";
    SecretOpenshift = "secret_openshift", Secret, "a token of `OpenShift`";
    SecretOnePassword = "secret_1password", Secret, "a key or token of 1Password";
    SecretPayment = "secret_payment", Secret, "a key of a payment service";
    SecretPlanetscale = "secret_planetscale", Secret, "a token of `PlanetScale`";
    SecretPostman = "secret_postman", Secret, "a key of Postman";
    SecretPulumi = "secret_pulumi", Secret, "a token of Pulumi";
    SecretRegistry = "secret_registry", Secret, "a token of a package registry";
    SecretSentry = "secret_sentry", Secret, "a token of Sentry";
    SecretShopify = "secret_shopify", Secret, "a token of Shopify";
    SecretSlack = "secret_slack", Secret, "a token or webhook of Slack";
    SecretSonar = "secret_sonar", Secret, "a token of `SonarQube`";
    SecretStripe = "secret_stripe", Secret, "a key of Stripe";
    SecretSupabase = "secret_supabase", Secret, "a token of Supabase";
    SecretTailscale = "secret_tailscale", Secret, "a key of Tailscale";
    SecretTelegram = "secret_telegram", Secret, "a token of a Telegram bot";
    SecretTwilio = "secret_twilio", Secret, "a key of Twilio";
    SecretTwitter = "secret_twitter", Secret, "a token of X";
    SecretService = "secret_service", Secret, "a token of another service whose tokens have a form of their own";
}

impl Kind {
    /// The kind that is written as `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// Whether it is a secret.
    pub fn is_secret(self) -> bool {
        self.family() == Family::Secret
    }

    const fn bit(self) -> u128 {
        1 << (self as u8)
    }
}

const _: () = assert!(Kind::ALL.len() <= 128, "a set of kinds is 128 bits");

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| {
            let near = quaymaster_core::suggest::nearest(&name, Self::ALL.iter().map(|kind| kind.as_str()));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            de::Error::custom(format!("`{}` is no kind of data{hint}", name.escape_debug()))
        })
    }
}

impl JsonSchema for Kind {
    fn schema_name() -> Cow<'static, str> {
        "Kind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
        json_schema!({ "type": "string", "enum": names, "description": "A kind of data." })
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KindSet(u128);

impl KindSet {
    /// No kind.
    pub const NONE: Self = Self(0);

    /// This set with `kind` in it.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | kind.bit())
    }

    /// Whether `kind` is in it.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// The kinds, in the order of the reference.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| self.has(*kind))
    }
}

impl FromIterator<Kind> for KindSet {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_its_kind_and_no_two_are_alike() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
            assert_eq!(kind.is_secret(), kind.as_str().starts_with("secret_"));
        }
        assert_eq!(Kind::parse("e-mail"), None);
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: KindSet = [Kind::Email, Kind::SecretService].into_iter().collect();
        assert!(set.has(Kind::SecretService) && !set.has(Kind::Phone));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Kind::Email, Kind::SecretService]);
    }
}
