//! Asking issuers of access tokens and keepers of secrets: the network that `quaymaster_control::identity`
//! and `quaymaster_control::secrets` need.
//!
//! The rules are those of `egress`: no redirect is followed, no proxy is taken from the
//! environment, and `http` is for loopback alone.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use quaymaster_control::identity::web::{ANSWER_LIMIT, Answer, Form, MAX_ANSWER_BYTES, Web, WebError};
use quaymaster_control::secrets::web::{self as secrets, Question, SecretWeb, Told};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::egress::{Egress, Payload, address};

/// Most addresses whose connections are kept.
const MAX_KEPT: usize = 64;

/// The way to issuers, or to keepers of secrets.
#[derive(Default)]
pub struct IssuerWeb {
    kept: Mutex<HashMap<String, Egress>>,
}

/// Shows nothing of its connections.
impl std::fmt::Debug for IssuerWeb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerWeb").finish_non_exhaustive()
    }
}

impl Web for IssuerWeb {
    fn ask<'a>(&'a self, text: &'a str, form: Option<Form>) -> Answer<'a> {
        Box::pin(async move {
            let answer = timeout(ANSWER_LIMIT, self.exchange(text, form)).await;
            answer.unwrap_or_else(|_| Err(WebError::NoAnswer(format!("within {} s", ANSWER_LIMIT.as_secs()))))
        })
    }
}

impl IssuerWeb {
    async fn exchange(&self, text: &str, form: Option<Form>) -> Result<String, WebError> {
        let uri = address(text).map_err(WebError::Address)?;
        let egress = self.way(text, &uri)?;
        let request = request(&uri, form).ok_or_else(|| WebError::Address("it has no host".into()))?;
        let sent = egress.send(request).await;
        let response = sent.map_err(|error| WebError::NoAnswer(error.to_string()))?;
        let (head, body) = response.into_parts();
        // Read all the same: the connection serves the next question only then.
        let body =
            body.read(MAX_ANSWER_BYTES).await.map_err(|error| WebError::Unreadable(error.to_string()))?;
        if head.status != StatusCode::OK {
            return Err(WebError::Status(head.status.as_u16()));
        }
        String::from_utf8(body.into()).map_err(|_| WebError::Unreadable("not UTF-8".into()))
    }

    async fn question(&self, question: Question) -> Result<Told, String> {
        let uri = address(&question.url)?;
        let request = of_question(&uri, question).ok_or("a header or the address cannot be sent")?;
        let target = uri.path_and_query().cloned().ok_or("the address has no path")?;
        // One way for all questions to a server, whatever their paths.
        let root =
            uri.authority().map(|authority| (uri.scheme_str().unwrap_or_default(), authority.as_str()));
        let (scheme, authority) = root.ok_or("the address has no host")?;
        let root = format!("{scheme}://{authority}/");
        let egress = self.way(&root, &uri).map_err(|error| error.to_string())?.at(target);
        let response = egress.send(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let text =
            response.into_body().read(secrets::MAX_ANSWER_BYTES).await.map_err(|error| error.to_string())?;
        Ok(Told { status, text: Zeroizing::new(text.to_vec()) })
    }

    fn way(&self, text: &str, uri: &Uri) -> Result<Egress, WebError> {
        if let Some(kept) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(kept.clone());
        }
        // Not under the lock: reading the machine's certificates takes a while.
        let made = Egress::try_new(uri).map_err(WebError::NoAnswer)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(text.to_owned(), made.clone());
        Ok(made)
    }
}

impl SecretWeb for IssuerWeb {
    fn send(&self, question: Question) -> secrets::Answer<'_> {
        Box::pin(async move {
            let answer = timeout(secrets::ANSWER_LIMIT, self.question(question)).await;
            answer.unwrap_or_else(|_| Err(format!("no answer within {} s", secrets::ANSWER_LIMIT.as_secs())))
        })
    }
}

fn of_question(uri: &Uri, question: Question) -> Option<Request<Payload>> {
    let mut request = request(uri, None)?;
    for (name, value) in &question.headers {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    if let Some(body) = question.body {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Payload::new(Cursor::new(body.as_str().to_owned()));
        *request.method_mut() = Method::POST;
    }
    Some(request)
}

fn request(uri: &Uri, form: Option<Form>) -> Option<Request<Payload>> {
    let mut request = Request::new(Payload::new(Cursor::new(String::new())));
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(uri.authority()?.as_str()).ok()?);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(form) = form {
        if let Some(authorization) = &form.authorization {
            let mut authorization = HeaderValue::from_str(authorization).ok()?;
            authorization.set_sensitive(true);
            headers.insert(AUTHORIZATION, authorization);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        *request.body_mut() = Payload::new(Cursor::new(form.fields.as_str().to_owned()));
        *request.method_mut() = Method::POST;
    }
    Some(request)
}
