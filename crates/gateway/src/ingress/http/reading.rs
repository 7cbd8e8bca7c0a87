//! The bodies of requests: read within a size and a time.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use crate::ingress::refusal::Refusal;

/// How much of a body that nobody wants is taken off the line, in bytes.
const MAX_DISCARD_BYTES: usize = 16 * 1024 * 1024;

/// How long taking it off the line may take.
const DISCARD_WAIT: Duration = Duration::from_secs(2);

/// Reads a body of at most `max_bytes` within `wait`.
pub(super) async fn read(mut body: Incoming, max_bytes: usize, wait: Duration) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > max_bytes as u64 {
        discard(body).await;
        return Err(too_large(max_bytes));
    }
    let Ok(collected) = timeout(wait, Limited::new(&mut body, max_bytes).collect()).await else {
        let message = format!("the body did not arrive within {} s", wait.as_secs().max(1));
        return Err(Refusal::invalid_request(StatusCode::REQUEST_TIMEOUT, message));
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            discard(body).await;
            Err(too_large(max_bytes))
        }
        Err(_) => Err(Refusal::invalid_request(StatusCode::BAD_REQUEST, "the body broke off")),
    }
}

/// Takes a body off the line that nobody wants. Closing a connection with bytes
/// unread resets it, and the client would lose the answer that says why.
pub(super) async fn discard(mut body: Incoming) {
    let mut left = MAX_DISCARD_BYTES;
    let _ = timeout(DISCARD_WAIT, async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    })
    .await;
}

fn too_large(max_bytes: usize) -> Refusal {
    Refusal::invalid_request(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {max_bytes} bytes"),
    )
}
