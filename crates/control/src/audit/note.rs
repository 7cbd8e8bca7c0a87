//! Signed notes and the keys of a log (C2SP signed-note 1.0, Ed25519).
//!
//! The private key is a file of its own beside the sealing key. Its public half, a
//! verifier key, is for those who check the log, and is worth something to them
//! only if they have it from elsewhere than the log.
//!
//! Invariants:
//! - A text counts only with a signature by the key that was asked for, and a wrong
//!   one under its name and id condemns the note.
//! - The private key is in no output and no error.

use std::fmt;
use std::fs;
use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use quaymaster_core::Randomness;
use quaymaster_core::arguments::push_hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::CryptoError;
use crate::keyfile::{create_once, only_for_owner};

/// The signature type of Ed25519 (signed-note, "Signature types").
const ED25519_TYPE: u8 = 1;
const KEY_BYTES: usize = 32;
/// Longest name of a key, in bytes.
const MAX_NAME: usize = 255;
/// Longest note that is read, in bytes.
pub const MAX_NOTE: usize = 16 * 1024;
/// What a signature line begins with: an em dash and a space.
const SIGNED: &str = "\u{2014} ";

/// Why a note or a verifier key is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The text is no verifier key.
    #[error("this is no verifier key: {0}")]
    NoKey(&'static str),
    /// The text is no signed note.
    #[error("this is no signed note: {0}")]
    Malformed(&'static str),
    /// No signature is by the key that was asked for.
    #[error("it is not signed by the key `{0}`")]
    NotSigned(String),
    /// A signature under the key's name and id does not fit the text.
    #[error("its signature by the key `{0}` is wrong: the text was changed, or another key signed it")]
    WrongSignature(String),
}

/// The public half of a log's key.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    public: [u8; KEY_BYTES],
}

impl VerifierKey {
    fn new(name: String, public: [u8; KEY_BYTES]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(name.as_bytes());
        hasher.update([b'\n', ED25519_TYPE]);
        hasher.update(public);
        let digest: [u8; 32] = hasher.finalize().into();
        let [a, b, c, d, ..] = digest;
        Self { name, id: [a, b, c, d], public }
    }

    /// Reads `<name>+<id>+<key>` (signed-note, "Verifier keys").
    ///
    /// # Errors
    ///
    /// [`NoteError::NoKey`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let no = |what| Err(NoteError::NoKey(what));
        let text = text.trim();
        let Some((name, rest)) = text.split_once('+') else { return no("it has no `+`") };
        let Some((id, key)) = rest.split_once('+') else { return no("it has one `+`") };
        if !is_name(name) {
            return no("its name is empty, too long or has a space in it");
        }
        let Ok(bytes) = STANDARD.decode(key) else { return no("its key is not base64") };
        let Some((&ED25519_TYPE, public)) = bytes.split_first() else {
            return no("its key is not of Ed25519");
        };
        let Ok(public) = public.try_into() else { return no("its key has another length") };
        let key = Self::new(name.to_owned(), public);
        if key.id_text() == id { Ok(key) } else { no("its id is not that of its name and key") }
    }

    /// The name: the origin of the log's checkpoints.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id_text(&self) -> String {
        let mut text = String::new();
        push_hex(&mut text, &self.id);
        text
    }

    /// The text of a note that this key has signed.
    ///
    /// # Errors
    ///
    /// [`NoteError`] if it is no note, or not signed by this key. Signatures by others are ignored.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let (text, signatures) = parts(note)?;
        let mut signed = false;
        for line in signatures.lines() {
            let line = line.strip_prefix(SIGNED).ok_or(NoteError::Malformed("a signature line is none"))?;
            let malformed = NoteError::Malformed("a signature line has no signature");
            let (name, signature) = line.split_once(' ').ok_or(malformed.clone())?;
            let bytes = STANDARD.decode(signature).map_err(|_| malformed.clone())?;
            let (id, signature) = bytes.split_first_chunk::<4>().ok_or(malformed)?;
            if name != self.name || *id != self.id {
                continue;
            }
            let key = UnparsedPublicKey::new(&ED25519, &self.public);
            if key.verify(text.as_bytes(), signature).is_err() {
                return Err(NoteError::WrongSignature(self.to_string()));
            }
            signed = true;
        }
        if signed { Ok(text) } else { Err(NoteError::NotSigned(self.to_string())) }
    }
}

/// As it is written for people and other programs.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, self.id_text(), STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// The text of a note, with its last line break, and its signature lines.
///
/// # Errors
///
/// [`NoteError::Malformed`]. Nothing is said of signatures.
pub fn parts(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > MAX_NOTE {
        return Err(NoteError::Malformed("it is too long"));
    }
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(NoteError::Malformed("it has control characters"));
    }
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed("it has no empty line"))?;
    let (text, rest) = note.split_at(at + 1);
    let signatures = rest.strip_prefix('\n').unwrap_or_default();
    if signatures.is_empty() || !signatures.ends_with('\n') {
        return Err(NoteError::Malformed("it has no signature line, or the last one is cut"));
    }
    Ok((text, signatures))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// The key of a log, as its file holds it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KeyFile {
    name: String,
    /// The public half, for people.
    public: String,
    /// The 32 bytes of the seed (RFC 8032, section 5.1.5) in base64url.
    secret: String,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// The private key of a log.
pub struct LogKey {
    pair: Ed25519KeyPair,
    public: VerifierKey,
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogKey({})", self.public)
    }
}

impl LogKey {
    /// Reads the key of this installation, or makes it on the first start (mode 0600), and says whether
    /// it was made just now.
    ///
    /// # Errors
    ///
    /// [`CryptoError::KeyFile`] if the file is no key, is open to others, or cannot be made.
    pub fn open_or_create(path: &Path, randomness: &dyn Randomness) -> Result<(Self, bool), CryptoError> {
        let fault = |reason: String| CryptoError::KeyFile { path: path.display().to_string(), reason };
        let mut made = false;
        if !path.exists() {
            let mut seed = Zeroizing::new([0_u8; KEY_BYTES]);
            randomness.fill(seed.as_mut());
            let key = Self::of_seed(&seed, None).map_err(|()| fault("no key could be made".into()))?;
            let text = key.to_file(&seed).map_err(fault)?;
            create_once(path, text.as_bytes()).map_err(|e| fault(e.to_string()))?;
            made = true;
        }
        only_for_owner(path).map_err(fault)?;
        let text = fs::read(path).map(Zeroizing::new).map_err(|e| fault(e.to_string()))?;
        // The parser's own message could repeat what it read.
        let file: KeyFile =
            serde_json::from_slice(&text).map_err(|_| fault("it is no key of a log".into()))?;
        let seed = URL_SAFE_NO_PAD.decode(file.secret.as_bytes()).map(Zeroizing::new);
        let seed = seed.ok().and_then(|seed| <[u8; KEY_BYTES]>::try_from(seed.as_slice()).ok());
        let seed = Zeroizing::new(seed.ok_or_else(|| fault("its secret is no key".into()))?);
        let key = Self::of_seed(&seed, Some(file.name.clone())).map_err(|()| fault("it is no key".into()))?;
        if key.public.to_string() != file.public {
            return Err(fault("its public half is not that of its secret".into()));
        }
        Ok((key, made))
    }

    /// The public half of the key in a file, if there is a file.
    ///
    /// # Errors
    ///
    /// [`CryptoError::KeyFile`] if it cannot be read or is no key.
    pub fn read_public(path: &Path) -> Result<Option<VerifierKey>, CryptoError> {
        let fault =
            |reason: &str| CryptoError::KeyFile { path: path.display().to_string(), reason: reason.into() };
        let text = match fs::read(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(&error.to_string())),
        };
        let file: KeyFile = serde_json::from_slice(&text).map_err(|_| fault("it is no key of a log"))?;
        VerifierKey::parse(&file.public).map(Some).map_err(|error| fault(&error.to_string()))
    }

    fn of_seed(seed: &[u8; KEY_BYTES], name: Option<String>) -> Result<Self, ()> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(drop)?;
        let public: [u8; KEY_BYTES] = pair.public_key().as_ref().try_into().map_err(drop)?;
        let name = name.unwrap_or_else(|| new_name(&public));
        if !is_name(&name) {
            return Err(());
        }
        Ok(Self { pair, public: VerifierKey::new(name, public) })
    }

    fn to_file(&self, seed: &[u8; KEY_BYTES]) -> Result<Zeroizing<String>, String> {
        let file = KeyFile {
            name: self.public.name.clone(),
            public: self.public.to_string(),
            secret: URL_SAFE_NO_PAD.encode(seed),
        };
        serde_json::to_string(&file).map(|text| Zeroizing::new(text + "\n")).map_err(|e| e.to_string())
    }

    /// The public half.
    pub fn public(&self) -> &VerifierKey {
        &self.public
    }

    /// `text`, which ends with a line break, as a signed note.
    pub fn sign(&self, text: &str) -> String {
        let mut signature = self.public.id.to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{SIGNED}{} {}\n", self.public.name, STANDARD.encode(signature))
    }
}

/// The name of a new log: a schema-less URL that is told apart by its key. Nothing is there to be reached.
fn new_name(public: &[u8; KEY_BYTES]) -> String {
    let digest: [u8; 32] = Sha256::digest(public).into();
    let mut name = "quaymaster.dev/log/".to_owned();
    push_hex(&mut name, digest.first_chunk::<8>().unwrap_or(&[0; 8]));
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandomness;

    /// The example of the specification.
    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    fn key() -> (tempfile::TempDir, LogKey) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.key");
        let (key, made) = LogKey::open_or_create(&path, &SystemRandomness).expect("made");
        assert!(made);
        (folder, key)
    }

    #[test]
    fn the_example_of_the_specification_is_opened_by_its_key() {
        let key = VerifierKey::parse(VKEY).expect("a key");
        assert_eq!(key.open(NOTE), Ok("This is an example message.\n"));
        assert_eq!(key.to_string(), VKEY);
    }

    #[test]
    fn a_text_that_was_changed_or_signed_by_another_key_is_not_opened() {
        let key = VerifierKey::parse(VKEY).expect("a key");
        let changed = NOTE.replace("an example", "another");
        assert!(key.open(&changed).is_err_and(|e| e.to_string().contains("the text was changed")));
        let (_folder, other) = self::key();
        assert!(matches!(key.open(&other.sign("text\n")), Err(NoteError::NotSigned(_))));
        let both = format!("{NOTE}\u{2014} other AAAAAAAA\n");
        assert!(key.open(&both).is_ok(), "signatures of unknown keys are ignored");
        for none in ["", "text\n", "text\n\n", "a\n\nno dash\n", "a\n\n\u{2014} x\n", &NOTE[..NOTE.len() - 1]]
        {
            assert!(matches!(key.open(none), Err(NoteError::Malformed(_))), "{none:?}");
        }
    }

    #[test]
    fn a_key_that_was_made_is_read_again_and_signs_what_its_public_half_opens() {
        let (folder, made) = key();
        let path = folder.path().join("audit.key");
        let (read, again) = LogKey::open_or_create(&path, &SystemRandomness).expect("read");
        assert!(!again);
        assert_eq!(read.public(), made.public());
        let public = VerifierKey::parse(&format!("{}\n", made.public())).expect("a key");
        assert_eq!(public.open(&read.sign("some\ntext\n")), Ok("some\ntext\n"));
        assert!(!format!("{read:?}").contains("secret"));
    }

    #[test]
    fn a_file_that_is_no_key_or_open_to_others_is_refused() {
        let (folder, _) = key();
        let path = folder.path().join("audit.key");
        let text = fs::read_to_string(&path).expect("the file");
        let mut value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        value["name"] = "another".into();
        fs::write(&path, value.to_string()).expect("written");
        let error = LogKey::open_or_create(&path, &SystemRandomness).expect_err("another name");
        assert!(error.to_string().contains("its public half"), "{error}");
        fs::write(&path, "{\"secret\": \"hunter2\"}").expect("written");
        let error = LogKey::open_or_create(&path, &SystemRandomness).expect_err("no key");
        assert!(!error.to_string().contains("hunter2"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
            let error = LogKey::open_or_create(&path, &SystemRandomness).expect_err("open to others");
            assert!(error.to_string().contains("chmod 600"));
        }
    }

    #[test]
    fn what_is_no_verifier_key_is_told_why() {
        let wrong_id = VKEY.replace("530d903a", "530d903b");
        let reasons =
            ["x", "x+y", "+00000000+AA==", "a b+00000000+AA==", "a+00000000+!", "a+00000000+AgA=", &wrong_id]
                .map(|text| VerifierKey::parse(text).expect_err(text).to_string());
        insta::assert_snapshot!(reasons.join("\n"), @r"
        this is no verifier key: it has no `+`
        this is no verifier key: it has one `+`
        this is no verifier key: its name is empty, too long or has a space in it
        this is no verifier key: its name is empty, too long or has a space in it
        this is no verifier key: its key is not base64
        this is no verifier key: its key is not of Ed25519
        this is no verifier key: its id is not that of its name and key
        ");
    }
}
