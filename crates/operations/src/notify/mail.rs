//! Letters by mail: SMTP.
//!
//! Invariant: a header has one line. Texts of strangers have their control characters written out
//! before they come here, and addresses were read as addresses.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};

use super::config::{EmailConfig, MailTls};
use super::message::MailText;

/// How long one exchange with the server may take.
const EXCHANGE: Duration = Duration::from_secs(10);

/// Sends `text` to the addresses of `role`; `id` is the same at each try.
///
/// # Errors
///
/// Why not, without addresses and without what the mail says.
pub(super) async fn send(
    config: &EmailConfig,
    password: Option<&SecretString>,
    (role, id): (&str, &str),
    text: MailText,
) -> Result<(), String> {
    let message = message(config, (role, id), text)?;
    let sent = transport(config, password)?.send(message).await;
    sent.map(drop).map_err(|error| match error.status() {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_timeout() => "the mail server did not answer in time".to_owned(),
        None if error.is_tls() || is_of_tls(&error) => {
            "the way to the mail server could not be encrypted".to_owned()
        }
        None => "the mail server could not be reached, or did not understand".to_owned(),
    })
}

/// Whether TLS failed while it was agreed on, as by a certificate that is not the server's: the library
/// calls that an error of the connection, and TLS calls it data that is not valid.
fn is_of_tls(error: &dyn std::error::Error) -> bool {
    let sources = std::iter::successors(error.source(), |error| error.source());
    let mut of_io = sources.filter_map(|error| error.downcast_ref::<std::io::Error>());
    of_io.any(|error| error.kind() == std::io::ErrorKind::InvalidData)
}

fn message(config: &EmailConfig, (role, id): (&str, &str), text: MailText) -> Result<Message, String> {
    let unusable = |what: &str| format!("{what} cannot be used in a mail");
    let from: Mailbox = config.from.parse().map_err(|_| unusable("`from`"))?;
    let domain = from.email.domain().to_owned();
    let addresses = config.to.iter().find(|(name, _)| name.as_str() == role).map(|(_, to)| to);
    let mut mail = Message::builder().from(from).subject(text.subject);
    for address in addresses.into_iter().flatten() {
        let address: Address = address.parse().map_err(|_| unusable("an address"))?;
        mail = mail.to(address.into());
    }
    let mut message = mail
        .message_id(Some(format!("<{id}@{domain}>")))
        .multipart(MultiPart::alternative_plain_html(text.text, text.html))
        .map_err(|_| unusable("the text"))?;
    // So that nobody's absence note answers (RFC 3834, section 5).
    let header = HeaderName::new_from_ascii_str("Auto-Submitted");
    message.headers_mut().insert_raw(HeaderValue::new(header, "auto-generated".to_owned()));
    Ok(message)
}

fn transport(
    config: &EmailConfig,
    password: Option<&SecretString>,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let parameters =
        || TlsParameters::new_rustls(config.host.clone()).map_err(|_| "TLS cannot be set up".to_owned());
    let (tls, port) = match config.tls {
        MailTls::Starttls => (Tls::Required(parameters()?), 587),
        MailTls::Tls => (Tls::Wrapper(parameters()?), 465),
        MailTls::None => (Tls::None, 25),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.clone())
        .port(config.port.map_or(port, std::num::NonZeroU16::get))
        .tls(tls)
        .timeout(Some(EXCHANGE));
    if let Some((user, password)) = config.user.clone().zip(password) {
        transport = transport.credentials(Credentials::new(user, password.expose_secret().to_owned()));
    }
    Ok(transport.build())
}

#[cfg(test)]
mod tests {
    use quaymaster_core::setting::Slug;

    use super::*;

    #[test]
    fn a_header_has_one_line_whatever_a_stranger_wrote() {
        let slug = |name| Slug::parse(name).expect("a name");
        let config = EmailConfig {
            host: "localhost".into(),
            port: None,
            tls: MailTls::None,
            user: None,
            password: None,
            from: "Quaymaster <approvals@example.test>".into(),
            to: [(slug("manager"), vec!["mo@example.test".into(), "di@example.test".into()])].into(),
            workspaces: vec![slug("ops")],
        };
        let subject = quaymaster_core::text::plain("Pay\r\nBcc: evil@example.test\n\nhello \u{202e}é");
        let text = MailText { subject, text: "a\r\n.\r\nQUIT".into(), html: "<p>a</p>".into() };
        let message = message(&config, ("manager", "msg_1"), text).expect("a mail");
        let written = String::from_utf8(message.formatted()).expect("UTF-8");
        let head = written.split("\r\n\r\n").next().expect("a head");
        assert!(!head.to_ascii_lowercase().contains("\r\nbcc"), "{head}");
        assert!(head.contains("To: mo@example.test, di@example.test"), "{head}");
        assert!(head.contains("Message-ID: <msg_1@example.test>"), "{head}");
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
        assert_eq!(message.envelope().to().len(), 2);
    }
}
