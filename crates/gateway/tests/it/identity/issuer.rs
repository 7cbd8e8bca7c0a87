//! An issuer on loopback: keys that really sign, published over HTTP, and a word on tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of the issuer.
pub(crate) enum SigningKey {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl SigningKey {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    pub(crate) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    /// The public half, as it is published.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "kid": id, "use": "sig", "n": base64url(public.n), "e": base64url(public.e)})
            }
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                // A byte that says that both coordinates follow.
                let (x, y) = point.split_at(1).1.split_at(32);
                let (x, y) = (base64url(x), base64url(y));
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": x, "y": y})
            }
        }
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signed");
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).expect("signed").as_ref().to_vec(),
        }
    }

    /// A token with this header and these claims.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let signature = base64url(self.signature(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// What the issuer answers with, and what it was asked.
#[derive(Default)]
pub(crate) struct Behaviour {
    pub(crate) keys: Vec<Value>,
    pub(crate) is_down: bool,
    /// How often each path was asked for.
    pub(crate) asked: BTreeMap<String, usize>,
    /// What it says of opaque tokens.
    pub(crate) opaque: BTreeMap<String, Value>,
    pub(crate) revoked: BTreeSet<String>,
    /// The issuer that its metadata name, where that is another.
    pub(crate) calls_itself: Option<String>,
    /// Where it sends those who ask for its keys.
    pub(crate) redirects_to: Option<String>,
    /// The codes that it gave, each redeemed once.
    pub(crate) codes: BTreeMap<String, Code>,
    /// More members of its metadata.
    pub(crate) more_metadata: serde_json::Map<String, Value>,
}

/// What a code is given for.
#[derive(Clone)]
pub(crate) struct Code {
    /// The query by which it was asked for.
    pub(crate) asked: BTreeMap<String, String>,
    pub(crate) id_token: String,
}

pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) key: SigningKey,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let key = SigningKey::rsa();
        let behaviour = Arc::new(Mutex::new(Behaviour { keys: vec![key.jwk("k1")], ..Behaviour::default() }));
        let (shared, own_url) = (Arc::clone(&behaviour), url.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&shared), own_url.clone()));
            }
        });
        Self { url, key, behaviour }
    }

    pub(crate) fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often its keys were asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.behaviour().asked.get("/keys").copied().unwrap_or_default()
    }
}

async fn answer(mut stream: TcpStream, behaviour: Arc<Mutex<Behaviour>>, own_url: String) {
    let Some((head, body)) = request(&mut stream).await else { return };
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, location, text) = {
        let mut behaviour = behaviour.lock().unwrap_or_else(PoisonError::into_inner);
        *behaviour.asked.entry(path.clone()).or_default() += 1;
        let location = behaviour.redirects_to.clone().filter(|_| path == "/keys");
        let text = document(&mut behaviour, &path, (&head, &body), &own_url);
        let status = match (&location, behaviour.is_down, &text) {
            (Some(_), ..) => "302 Found",
            (None, true, _) => "503 Service Unavailable",
            (None, false, None) if path == "/token" => "400 Bad Request",
            (None, false, None) => "404 Not Found",
            (None, false, Some(_)) => "200 OK",
        };
        (status, location, text.unwrap_or_default())
    };
    let mut response =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n", text.len());
    if let Some(location) = location {
        let _ = write!(response, "location: {location}\r\n");
    }
    let _ = stream.write_all(format!("{response}\r\n{text}").as_bytes()).await;
}

/// The fields of a form or a query.
pub(crate) fn fields(text: &str) -> BTreeMap<String, String> {
    let form = quaymaster_operations::console::Form::parse(text);
    let names = text.split('&').filter_map(|pair| pair.split_once('='));
    names.filter_map(|(name, _)| Some((name.to_owned(), form.once(name)?.to_owned()))).collect()
}

fn document(
    behaviour: &mut Behaviour,
    path: &str,
    (head, body): (&str, &str),
    own_url: &str,
) -> Option<String> {
    match path {
        "/.well-known/openid-configuration" => {
            let issuer = behaviour.calls_itself.clone().unwrap_or_else(|| own_url.to_owned());
            let (keys, introspection) = (format!("{own_url}/keys"), format!("{own_url}/introspect"));
            let mut metadata = json!({
                "issuer": issuer, "jwks_uri": keys, "introspection_endpoint": introspection,
                "authorization_endpoint": format!("{own_url}/auth?tenant=a"), "token_endpoint": format!("{own_url}/token"),
            });
            metadata.as_object_mut().expect("an object").extend(behaviour.more_metadata.clone());
            Some(metadata.to_string())
        }
        "/token" => {
            let form = fields(body);
            let code = behaviour.codes.remove(form.get("code")?)?;
            let digest =
                aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, form.get("code_verifier")?.as_bytes());
            let is_bound = code.asked.get("code_challenge") == Some(&base64url(digest));
            // The console has a secret, the command line has none.
            let secret = base64::engine::general_purpose::STANDARD.encode("console:s3cret");
            let is_known = match form.get("client_id") {
                Some(client) => client == "terminal",
                None => head.contains(&format!("authorization: Basic {secret}")),
            };
            let is_same = form.get("redirect_uri") == code.asked.get("redirect_uri");
            let fits = is_bound && is_known && is_same && form.get("grant_type")? == "authorization_code";
            fits.then(|| {
                json!({"id_token": code.id_token, "access_token": "x", "token_type": "Bearer"}).to_string()
            })
        }
        "/keys" => Some(json!({"keys": behaviour.keys}).to_string()),
        "/introspect" => {
            let expected = format!(
                "authorization: Basic {}",
                base64::engine::general_purpose::STANDARD.encode("gate%20way:s3cret")
            );
            let token = body.strip_prefix("token=")?.strip_suffix("&token_type_hint=access_token")?;
            if !head.contains(&expected) || behaviour.revoked.contains(token) {
                return Some(r#"{"active":false}"#.into());
            }
            let is_jwt = token.contains('.').then(|| json!({"active": true}));
            let known = behaviour.opaque.get(token).cloned().or(is_jwt);
            Some(known.unwrap_or_else(|| json!({"active": false})).to_string())
        }
        _ => None,
    }
}

/// The head and the body of a request.
async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0_usize) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}
