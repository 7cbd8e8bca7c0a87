//! Single messages to programs that are told of something, such as webhooks.
//!
//! The same rules as for connectors: `https` or loopback, no redirect, no proxy, a limit on
//! connecting. Of the answer the status is read and nothing else; how long it all may take is the
//! caller's limit.

use std::io::Cursor;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;

use super::{Egress, address};

/// Posts `body`, which is JSON, to `url` with `headers`, and gives the status of the answer.
///
/// # Errors
///
/// Why there is no answer; never the address, which may let in by itself.
pub async fn post(url: &str, headers: Vec<(&'static str, String)>, body: String) -> Result<u16, String> {
    let uri = address(url)?;
    let egress = Egress::try_new(&uri)?;
    let unusable = |_| "a header cannot be sent".to_owned();
    let mut request = Request::new(Full::new(Cursor::new(String::new())));
    *request.method_mut() = Method::POST;
    let all = request.headers_mut();
    for (name, value) in headers {
        all.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).map_err(unusable)?);
    }
    let host = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    all.insert(HOST, HeaderValue::from_str(host).map_err(unusable)?);
    all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    all.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    all.insert(USER_AGENT, HeaderValue::from_static(concat!("quaymaster/", env!("CARGO_PKG_VERSION"))));
    *request.body_mut() = Full::new(Cursor::new(body));
    let response = egress.send(request).await.map_err(|error| error.to_string())?;
    Ok(response.status().as_u16())
}
