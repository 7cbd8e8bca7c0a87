//! The forms of tokens, from what their providers publish about them.
//!
//! A flat table, so it may be long. A form is a beginning, an alphabet and a length; what needs
//! more than that is a pattern.

use crate::kind::Kind;

/// The characters of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// 0–9 and a–f, in either case.
    Hex,
    /// Letters and digits.
    Alnum,
    /// A–Z and 0–9.
    Upper,
    /// Letters, digits, `-` and `_`.
    Url,
    /// Letters, digits, `+`, `/`, `=`, `-` and `_`.
    Base64,
    /// Letters, digits, `-`, `_` and `.`.
    Dotted,
}

impl Alphabet {
    pub(super) fn has(self, byte: u8) -> bool {
        match self {
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
        }
    }

    /// Bits for each character below which a token of `length` characters was not drawn, but typed.
    pub(super) fn least_entropy(self, length: usize) -> f32 {
        match (self, length) {
            (_, ..=12) => 1.5,
            (Self::Hex, _) => 2.2,
            (_, ..=19) => 2.3,
            _ => 2.7,
        }
    }
}

/// A beginning, and what follows it.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) prefix: &'static str,
    pub(super) alphabet: Alphabet,
    /// Fewest characters after the beginning.
    pub(super) least: usize,
    /// Most characters after the beginning.
    pub(super) most: usize,
    pub(super) kind: Kind,
    pub(super) detector: &'static str,
}

const fn form(
    prefix: &'static str,
    (alphabet, least, most): (Alphabet, usize, usize),
    kind: Kind,
    detector: &'static str,
) -> Form {
    Form { prefix, alphabet, least, most, kind, detector }
}

use Alphabet::{Alnum, Base64, Dotted, Hex, Upper, Url};

pub(super) const FORMS: &[Form] = &[
    form("AKIA", (Upper, 16, 16), Kind::SecretAws, "secret.aws_access_key"),
    form("ASIA", (Upper, 16, 16), Kind::SecretAws, "secret.aws_access_key"),
    form("ABIA", (Upper, 16, 16), Kind::SecretAws, "secret.aws_access_key"),
    form("ACCA", (Upper, 16, 16), Kind::SecretAws, "secret.aws_access_key"),
    form("ABSK", (Base64, 109, 269), Kind::SecretAws, "secret.aws_bedrock"),
    form("ghp_", (Alnum, 36, 36), Kind::SecretGithub, "secret.github_pat"),
    form("gho_", (Alnum, 36, 36), Kind::SecretGithub, "secret.github_oauth"),
    form("ghu_", (Alnum, 36, 36), Kind::SecretGithub, "secret.github_user"),
    form("ghs_", (Dotted, 36, 520), Kind::SecretGithub, "secret.github_server"),
    form("ghr_", (Alnum, 36, 76), Kind::SecretGithub, "secret.github_refresh"),
    form("github_pat_", (Url, 82, 82), Kind::SecretGithub, "secret.github_fine_grained"),
    form("glpat-", (Dotted, 20, 320), Kind::SecretGitlab, "secret.gitlab_pat"),
    form("gldt-", (Url, 20, 64), Kind::SecretGitlab, "secret.gitlab_deploy"),
    form("glrt-", (Dotted, 20, 320), Kind::SecretGitlab, "secret.gitlab_runner"),
    form("glrtr-", (Dotted, 20, 320), Kind::SecretGitlab, "secret.gitlab_runner"),
    form("glptt-", (Hex, 40, 40), Kind::SecretGitlab, "secret.gitlab_trigger"),
    form("glsoat-", (Url, 20, 64), Kind::SecretGitlab, "secret.gitlab_scim"),
    form("glcbt-", (Url, 20, 96), Kind::SecretGitlab, "secret.gitlab_ci"),
    form("glft-", (Url, 20, 64), Kind::SecretGitlab, "secret.gitlab_feed"),
    form("glimt-", (Url, 20, 64), Kind::SecretGitlab, "secret.gitlab_mail"),
    form("glagent-", (Url, 50, 64), Kind::SecretGitlab, "secret.gitlab_agent"),
    form("gloas-", (Url, 64, 64), Kind::SecretGitlab, "secret.gitlab_oauth"),
    form("glffct-", (Url, 20, 64), Kind::SecretGitlab, "secret.gitlab_flags"),
    form("GR1348941", (Url, 20, 20), Kind::SecretGitlab, "secret.gitlab_registration"),
    form("_gitlab_session=", (Alnum, 32, 32), Kind::SecretGitlab, "secret.gitlab_session"),
    form("xoxb-", (Url, 20, 160), Kind::SecretSlack, "secret.slack_bot"),
    form("xoxp-", (Url, 20, 160), Kind::SecretSlack, "secret.slack_user"),
    form("xoxe-", (Url, 20, 260), Kind::SecretSlack, "secret.slack_refresh"),
    form("xoxe.", (Dotted, 40, 260), Kind::SecretSlack, "secret.slack_configuration"),
    form("xoxa-", (Url, 8, 160), Kind::SecretSlack, "secret.slack_legacy"),
    form("xoxr-", (Url, 8, 160), Kind::SecretSlack, "secret.slack_legacy"),
    form("xoxo-", (Url, 16, 160), Kind::SecretSlack, "secret.slack_legacy"),
    form("xoxs-", (Url, 16, 160), Kind::SecretSlack, "secret.slack_legacy"),
    form("xapp-", (Url, 20, 160), Kind::SecretSlack, "secret.slack_app"),
    form("sk_live_", (Alnum, 10, 250), Kind::SecretStripe, "secret.stripe"),
    form("sk_test_", (Alnum, 10, 250), Kind::SecretStripe, "secret.stripe"),
    form("sk_prod_", (Alnum, 10, 250), Kind::SecretStripe, "secret.stripe"),
    form("rk_live_", (Alnum, 10, 250), Kind::SecretStripe, "secret.stripe"),
    form("rk_test_", (Alnum, 10, 250), Kind::SecretStripe, "secret.stripe"),
    form("rk_prod_", (Alnum, 10, 250), Kind::SecretStripe, "secret.stripe"),
    form("whsec_", (Base64, 24, 80), Kind::SecretStripe, "secret.stripe_webhook"),
    form("AIza", (Url, 35, 35), Kind::SecretGcp, "secret.google_api"),
    form("GOCSPX-", (Url, 28, 28), Kind::SecretGcp, "secret.google_client"),
    form("ya29.", (Dotted, 20, 1024), Kind::SecretGcp, "secret.google_access"),
    form("sk-ant-api03-", (Url, 80, 120), Kind::SecretAi, "secret.anthropic"),
    form("sk-ant-admin01-", (Url, 80, 120), Kind::SecretAi, "secret.anthropic"),
    form("sk-ant-oat01-", (Url, 80, 120), Kind::SecretAi, "secret.anthropic"),
    form("sk-or-v1-", (Hex, 64, 64), Kind::SecretAi, "secret.openrouter"),
    form("hf_", (Alnum, 34, 37), Kind::SecretAi, "secret.hugging_face"),
    form("api_org_", (Alnum, 34, 34), Kind::SecretAi, "secret.hugging_face"),
    form("pplx-", (Alnum, 48, 56), Kind::SecretAi, "secret.perplexity"),
    form("gsk_", (Alnum, 48, 56), Kind::SecretAi, "secret.groq"),
    form("xai-", (Alnum, 70, 90), Kind::SecretAi, "secret.xai"),
    form("r8_", (Alnum, 37, 37), Kind::SecretAi, "secret.replicate"),
    form("npm_", (Alnum, 36, 36), Kind::SecretNpm, "secret.npm"),
    form("pypi-AgEIcHlwaS5vcmc", (Url, 50, 1000), Kind::SecretRegistry, "secret.pypi"),
    form("pypi-AgENdGVzdC5weXBpLm9yZ", (Url, 50, 1000), Kind::SecretRegistry, "secret.pypi"),
    form("rubygems_", (Hex, 48, 48), Kind::SecretRegistry, "secret.rubygems"),
    form("oy2", (Alnum, 43, 43), Kind::SecretRegistry, "secret.nuget"),
    form("cio", (Alnum, 32, 32), Kind::SecretRegistry, "secret.crates_io"),
    form("CLOJARS_", (Alnum, 60, 60), Kind::SecretRegistry, "secret.clojars"),
    form("dckr_pat_", (Url, 27, 40), Kind::SecretDocker, "secret.docker"),
    form("dckr_oat_", (Url, 27, 40), Kind::SecretDocker, "secret.docker"),
    form("AKC", (Alnum, 64, 73), Kind::SecretArtifactory, "secret.artifactory"),
    form("cmVmdGtu", (Alnum, 56, 56), Kind::SecretArtifactory, "secret.artifactory"),
    form("dop_v1_", (Hex, 64, 64), Kind::SecretDigitalocean, "secret.digitalocean"),
    form("doo_v1_", (Hex, 64, 64), Kind::SecretDigitalocean, "secret.digitalocean"),
    form("dor_v1_", (Hex, 64, 64), Kind::SecretDigitalocean, "secret.digitalocean"),
    form("HRKU-", (Url, 36, 65), Kind::SecretHeroku, "secret.heroku"),
    form("fo1_", (Url, 43, 43), Kind::SecretFly, "secret.fly"),
    form("fm1r_", (Base64, 100, 2000), Kind::SecretFly, "secret.fly"),
    form("fm1a_", (Base64, 100, 2000), Kind::SecretFly, "secret.fly"),
    form("fm2_", (Base64, 100, 2000), Kind::SecretFly, "secret.fly"),
    form("hvs.", (Url, 24, 200), Kind::SecretHashicorp, "secret.vault_service"),
    form("hvb.", (Url, 100, 400), Kind::SecretHashicorp, "secret.vault_batch"),
    form("hvr.", (Url, 24, 200), Kind::SecretHashicorp, "secret.vault_recovery"),
    form("dapi", (Hex, 32, 32), Kind::SecretDatabricks, "secret.databricks"),
    form("dp.pt.", (Alnum, 40, 44), Kind::SecretDoppler, "secret.doppler"),
    form("dp.st.", (Dotted, 40, 64), Kind::SecretDoppler, "secret.doppler"),
    form("dp.ct.", (Alnum, 40, 44), Kind::SecretDoppler, "secret.doppler"),
    form("sl.", (Url, 130, 1600), Kind::SecretDropbox, "secret.dropbox"),
    form("dt0c01.", (Dotted, 85, 100), Kind::SecretDynatrace, "secret.dynatrace"),
    form("EAACEdEose0cBA", (Alnum, 20, 300), Kind::SecretFacebook, "secret.facebook"),
    form("EAAM", (Alnum, 80, 300), Kind::SecretFacebook, "secret.facebook_page"),
    form("EAAC", (Alnum, 80, 300), Kind::SecretFacebook, "secret.facebook_page"),
    form("glc_", (Base64, 32, 400), Kind::SecretGrafana, "secret.grafana_cloud"),
    form("glsa_", (Url, 41, 41), Kind::SecretGrafana, "secret.grafana_account"),
    form("lin_api_", (Alnum, 40, 40), Kind::SecretLinear, "secret.linear"),
    form("lin_oauth_", (Alnum, 40, 64), Kind::SecretLinear, "secret.linear"),
    form("SG.", (Dotted, 60, 66), Kind::SecretMail, "secret.sendgrid"),
    form("xkeysib-", (Url, 81, 81), Kind::SecretMail, "secret.brevo"),
    form("key-", (Hex, 32, 32), Kind::SecretMail, "secret.mailgun"),
    form("re_", (Url, 30, 40), Kind::SecretMail, "secret.resend"),
    form("NRAK-", (Alnum, 27, 27), Kind::SecretNewrelic, "secret.newrelic_user"),
    form("NRJS-", (Alnum, 19, 19), Kind::SecretNewrelic, "secret.newrelic_browser"),
    form("NRII-", (Url, 32, 32), Kind::SecretNewrelic, "secret.newrelic_insert"),
    form("ntn_", (Alnum, 43, 50), Kind::SecretNotion, "secret.notion"),
    form("secret_", (Alnum, 43, 43), Kind::SecretNotion, "secret.notion"),
    form("sha256~", (Url, 43, 43), Kind::SecretOpenshift, "secret.openshift"),
    form("ops_eyJ", (Base64, 240, 1400), Kind::SecretOnePassword, "secret.1password"),
    form("A3-", (Url, 36, 40), Kind::SecretOnePassword, "secret.1password"),
    form("sq0atp-", (Url, 22, 60), Kind::SecretPayment, "secret.square"),
    form("sq0csp-", (Url, 43, 60), Kind::SecretPayment, "secret.square"),
    form("EAAAE", (Url, 55, 64), Kind::SecretPayment, "secret.square"),
    form("EAAAl", (Url, 55, 64), Kind::SecretPayment, "secret.square"),
    form("access-sandbox-", (Url, 36, 36), Kind::SecretPayment, "secret.plaid"),
    form("access-production-", (Url, 36, 36), Kind::SecretPayment, "secret.plaid"),
    form("access-development-", (Url, 36, 36), Kind::SecretPayment, "secret.plaid"),
    form("FLWSECK_TEST-", (Alnum, 12, 32), Kind::SecretPayment, "secret.flutterwave"),
    form("FLWSECK-", (Url, 32, 48), Kind::SecretPayment, "secret.flutterwave"),
    form("FLWPUBK_TEST-", (Alnum, 12, 36), Kind::SecretPayment, "secret.flutterwave"),
    form("test_", (Url, 30, 64), Kind::SecretPayment, "secret.gocardless"),
    form("live_", (Url, 35, 64), Kind::SecretPayment, "secret.gocardless"),
    form("access_token$production$", (Dotted, 40, 60), Kind::SecretPayment, "secret.paypal"),
    form("pscale_tkn_", (Dotted, 32, 64), Kind::SecretPlanetscale, "secret.planetscale"),
    form("pscale_pw_", (Dotted, 32, 64), Kind::SecretPlanetscale, "secret.planetscale"),
    form("pscale_oauth_", (Dotted, 32, 64), Kind::SecretPlanetscale, "secret.planetscale"),
    form("PMAK-", (Url, 59, 59), Kind::SecretPostman, "secret.postman"),
    form("pul-", (Hex, 40, 40), Kind::SecretPulumi, "secret.pulumi"),
    form("sntrys_eyJ", (Base64, 60, 400), Kind::SecretSentry, "secret.sentry_org"),
    form("sntryu_", (Hex, 64, 64), Kind::SecretSentry, "secret.sentry_user"),
    form("shpat_", (Hex, 32, 32), Kind::SecretShopify, "secret.shopify"),
    form("shpca_", (Hex, 32, 32), Kind::SecretShopify, "secret.shopify"),
    form("shppa_", (Hex, 32, 32), Kind::SecretShopify, "secret.shopify"),
    form("shpss_", (Hex, 32, 32), Kind::SecretShopify, "secret.shopify"),
    form("squ_", (Alnum, 40, 40), Kind::SecretSonar, "secret.sonar"),
    form("sqp_", (Alnum, 40, 40), Kind::SecretSonar, "secret.sonar"),
    form("sqa_", (Alnum, 40, 40), Kind::SecretSonar, "secret.sonar"),
    form("sbp_", (Hex, 40, 40), Kind::SecretSupabase, "secret.supabase"),
    form("sb_secret_", (Url, 31, 45), Kind::SecretSupabase, "secret.supabase"),
    form("tskey-", (Url, 20, 80), Kind::SecretTailscale, "secret.tailscale"),
    form("SK", (Hex, 32, 32), Kind::SecretTwilio, "secret.twilio"),
    form("AAAAAAAAAAAAAAAAAAAAA", (Base64, 60, 110), Kind::SecretTwitter, "secret.twitter_bearer"),
    form("LTAI", (Alnum, 12, 26), Kind::SecretAlibaba, "secret.alibaba"),
    form("AKID", (Alnum, 32, 32), Kind::SecretService, "secret.tencent"),
    form("AGE-SECRET-KEY-1", (Upper, 58, 58), Kind::SecretAge, "secret.age"),
    form("ATATT3", (Base64, 180, 220), Kind::SecretAtlassian, "secret.atlassian"),
    form("ATCTT3", (Base64, 180, 220), Kind::SecretAtlassian, "secret.atlassian"),
    form("ATBB", (Alnum, 32, 32), Kind::SecretAtlassian, "secret.bitbucket"),
    form("v1.0-", (Url, 140, 200), Kind::SecretCloudflare, "secret.cloudflare_origin"),
    form("EZAK", (Alnum, 54, 54), Kind::SecretService, "secret.easypost"),
    form("EZTK", (Alnum, 54, 54), Kind::SecretService, "secret.easypost"),
    form("aio_", (Alnum, 28, 28), Kind::SecretService, "secret.adafruit"),
    form("duffel_test_", (Base64, 43, 43), Kind::SecretService, "secret.duffel"),
    form("duffel_live_", (Base64, 43, 43), Kind::SecretService, "secret.duffel"),
    form("dnkey-", (Url, 79, 79), Kind::SecretService, "secret.defined_networking"),
    form("fio-u-", (Base64, 64, 64), Kind::SecretService, "secret.frameio"),
    form("ico-", (Alnum, 32, 32), Kind::SecretService, "secret.infracost"),
    form("pnu_", (Alnum, 36, 36), Kind::SecretService, "secret.prefect"),
    form("rdme_", (Alnum, 70, 70), Kind::SecretService, "secret.readme"),
    form("tk-us-", (Url, 48, 48), Kind::SecretService, "secret.scalingo"),
    form("shippo_live_", (Hex, 40, 40), Kind::SecretService, "secret.shippo"),
    form("shippo_test_", (Hex, 40, 40), Kind::SecretService, "secret.shippo"),
    form("sgp_", (Url, 40, 64), Kind::SecretService, "secret.sourcegraph"),
    form("slk_", (Hex, 64, 64), Kind::SecretService, "secret.sourcegraph"),
    form("tfp_", (Dotted, 59, 59), Kind::SecretService, "secret.typeform"),
    form("AQVN", (Url, 35, 38), Kind::SecretService, "secret.yandex"),
    form("YC", (Url, 38, 38), Kind::SecretService, "secret.yandex"),
    form("t1.", (Dotted, 80, 300), Kind::SecretService, "secret.yandex"),
    form("pat.", (Dotted, 64, 70), Kind::SecretService, "secret.harness"),
    form("sat.", (Dotted, 64, 70), Kind::SecretService, "secret.harness"),
    form("CFPAT-", (Url, 43, 43), Kind::SecretService, "secret.contentful"),
    form("CCIPAT_", (Url, 50, 80), Kind::SecretService, "secret.circleci"),
    form("phc_", (Alnum, 43, 43), Kind::SecretService, "secret.posthog"),
    form("phx_", (Alnum, 43, 50), Kind::SecretService, "secret.posthog"),
    form("figd_", (Url, 38, 48), Kind::SecretService, "secret.figma"),
    form("figo_", (Url, 38, 48), Kind::SecretService, "secret.figma"),
    form("rnd_", (Alnum, 32, 32), Kind::SecretService, "secret.render"),
    form("nfp_", (Alnum, 36, 40), Kind::SecretService, "secret.netlify"),
    form("snyk_uat.", (Dotted, 40, 120), Kind::SecretService, "secret.snyk"),
    form("bkua_", (Hex, 40, 40), Kind::SecretService, "secret.buildkite"),
    form("lsv2_pt_", (Url, 40, 48), Kind::SecretAi, "secret.langsmith"),
    form("lsv2_sk_", (Url, 40, 48), Kind::SecretAi, "secret.langsmith"),
    form("nvapi-", (Url, 64, 70), Kind::SecretAi, "secret.nvidia"),
    form("tvly-", (Url, 30, 50), Kind::SecretAi, "secret.tavily"),
];

/// What needs more than a beginning and an alphabet.
#[derive(Debug)]
pub(super) struct Pattern {
    /// A telling part, anywhere in the match.
    pub(super) anchor: &'static str,
    /// Most bytes of the match before the anchor.
    pub(super) lead: usize,
    /// The whole, or the secret as its first group.
    pub(super) regex: &'static str,
    pub(super) kind: Kind,
    pub(super) detector: &'static str,
}

const fn pattern(
    anchor: &'static str,
    lead: usize,
    regex: &'static str,
    kind: Kind,
    detector: &'static str,
) -> Pattern {
    Pattern { anchor, lead, regex, kind, detector }
}

pub(super) const PATTERNS: &[Pattern] = &[
    pattern(
        "curl",
        0,
        r#"(?i-u)curl\s[^\n]{0,300}?(?:-u|--user)[ =]?["']?([^\s"':$]{1,64}:[^\s"'$<]{3,128})"#,
        Kind::SecretAuthorization,
        "secret.curl_user",
    ),
    pattern(
        "-----BEGIN",
        0,
        r"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----[^-]{20,15000}(?:-----END[ A-Z0-9_]{0,60}(?:-----)?)?",
        Kind::SecretPrivateKey,
        "secret.private_key",
    ),
    pattern(
        "eyJ",
        0,
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9/_-]{8,}\.[A-Za-z0-9/_-]{10,}={0,2}|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.",
        Kind::SecretJwt,
        "secret.jwt",
    ),
    pattern("eyJrIjoi", 0, r"eyJrIjoi[A-Za-z0-9]{40,400}={0,3}", Kind::SecretGrafana, "secret.grafana_api"),
    pattern("ZXlK", 0, r"ZXlK[A-Za-z0-9+/_-]{60,}={0,2}", Kind::SecretJwt, "secret.jwt_base64"),
    pattern(
        "hooks.slack.com/",
        8,
        r"(?:https?://)?hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{43,120}",
        Kind::SecretSlack,
        "secret.slack_webhook",
    ),
    pattern(
        "/api/webhooks/",
        40,
        r"https?://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/\d{17,20}/[A-Za-z0-9_-]{60,80}",
        Kind::SecretDiscord,
        "secret.discord_webhook",
    ),
    pattern(
        "webhook.office.com/",
        40,
        r"https://[a-z0-9]+\.webhook\.office\.com/webhookb2/[a-z0-9]{8}-[a-z0-9-]{27}@[a-z0-9-]{36}/IncomingWebhook/[a-z0-9]{32}/[a-z0-9-]{36}",
        Kind::SecretMicrosoft,
        "secret.teams_webhook",
    ),
    pattern(":AA", 16, r"\b\d{5,16}:AA?[A-Za-z0-9_-]{32,34}\b", Kind::SecretTelegram, "secret.telegram"),
    pattern("-us", 32, r"\b[0-9a-f]{32}-us\d{1,2}\b", Kind::SecretMail, "secret.mailchimp"),
    pattern(
        "Q~",
        4,
        r"[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}",
        Kind::SecretAzure,
        "secret.azure_client",
    ),
    pattern(
        "AccountKey=",
        0,
        r"AccountKey=([A-Za-z0-9+/]{80,90}={0,2})",
        Kind::SecretAzure,
        "secret.azure_storage",
    ),
    pattern(
        "SharedAccessKey=",
        0,
        r"SharedAccessKey=([A-Za-z0-9+/]{40,90}={0,2})",
        Kind::SecretAzure,
        "secret.azure_shared",
    ),
    pattern("&sig=", 0, r"&sig=([A-Za-z0-9%+/_-]{40,90}={0,2})", Kind::SecretAzure, "secret.azure_sas"),
    pattern(
        "T3BlbkFJ",
        180,
        r"sk-(?:(?:proj|svcacct|admin|service)-)?[A-Za-z0-9_-]{20,160}T3BlbkFJ[A-Za-z0-9_-]{20,160}",
        Kind::SecretAi,
        "secret.openai",
    ),
    pattern("sk-proj-", 0, r"sk-proj-[A-Za-z0-9_-]{40,200}", Kind::SecretAi, "secret.openai"),
    pattern(
        ".atlasv1.",
        16,
        r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}",
        Kind::SecretHashicorp,
        "secret.terraform",
    ),
    pattern(
        "Authorization",
        0,
        r#"(?i-u)Authorization["']?\s{0,3}[:=]\s{0,3}["']?(?:Basic|Bearer|Token|ApiKey|Digest)\s{1,3}([A-Za-z0-9+/=_.~-]{12,2000})"#,
        Kind::SecretAuthorization,
        "secret.authorization",
    ),
    pattern(
        "Bearer ",
        0,
        r"(?i-u)Bearer ([A-Za-z0-9+/=_.~-]{20,2000})",
        Kind::SecretAuthorization,
        "secret.bearer",
    ),
    pattern("pat", 0, r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}", Kind::SecretAirtable, "secret.airtable"),
    pattern("FlyV1 ", 0, r"FlyV1 fm\d[a-z]?_[A-Za-z0-9+/=,_-]{80,2000}", Kind::SecretFly, "secret.fly"),
    pattern("_mmk", 32, r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk", Kind::SecretService, "secret.maxmind"),
    pattern(
        ".apps.googleusercontent.com",
        80,
        r"\d{8,14}-[a-z0-9]{32}\.apps\.googleusercontent\.com",
        Kind::SecretGcp,
        "secret.google_client_id",
    ),
    pattern("u+", 0, r"u\+[A-Za-z0-9]{32}\b", Kind::SecretService, "secret.sumologic"),
    pattern("s.", 0, r"\bs\.[A-Za-z0-9]{24}\b", Kind::SecretHashicorp, "secret.vault_legacy"),
];
