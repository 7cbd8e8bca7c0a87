//! Server-sent events, read as they arrive (WHATWG HTML, section 9.2).
//!
//! Splits a stream of bytes into events and nothing else; what an event means
//! is decided by `streamable` and `http_sse`.
//!
//! Invariants:
//! - How the bytes were cut into chunks makes no difference.
//! - No more is held than one event of the allowed size.

use std::time::Duration;

use super::failure::Failure;

const MAX_ID_BYTES: usize = 1024;
const MAX_NAME_BYTES: usize = 64;
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
/// An event with more data is a long one.
const LONG_BYTES: usize = 64 * 1024;
/// The beginning of a line that says whether it is data: a byte order mark, the field's name, a space.
const HEAD_BYTES: usize = 9;

/// The events of one stream.
#[derive(Debug)]
pub(super) struct Events {
    limit_bytes: usize,
    /// What has come of a line, unless that is data: this goes where it belongs at once, as it may be long.
    line: Vec<u8>,
    /// What has come of an event's data, if any has.
    data: Option<Vec<u8>>,
    is_data_line: bool,
    is_first_line: bool,
    /// The last line ended with CR, so that a LF which follows belongs to it.
    after_cr: bool,
    last_id: Vec<u8>,
    /// The names of the event that is being read and of the one that was given last.
    next_name: Vec<u8>,
    name: Vec<u8>,
    retry: Option<Duration>,
}

impl Events {
    /// The events of a stream, none of which may hold more than `limit_bytes`.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            line: Vec::new(),
            data: None,
            is_data_line: false,
            is_first_line: true,
            after_cr: false,
            last_id: Vec::new(),
            next_name: Vec::new(),
            name: Vec::new(),
            retry: None,
        }
    }

    /// The id of the last event that had one; empty if none had.
    pub(super) fn last_id(&self) -> &[u8] {
        &self.last_id
    }

    /// The name of the event that was given last; empty if it had none. Of a long one, the beginning.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// How long the server wants a client to wait before it connects again.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Starts over on a new connection that continues the stream.
    pub(super) fn reconnected(&mut self) {
        (self.is_data_line, self.is_first_line, self.after_cr) = (false, true, false);
        self.line.clear();
        self.data = None;
        self.next_name.clear();
    }

    /// Takes from `chunk` what belongs to the next event and gives the event's
    /// data, or `None` when the chunk is used up before an event is complete.
    pub(super) fn next(&mut self, chunk: &mut &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        while let Some(&first) = chunk.first() {
            if self.after_cr && first == b'\n' {
                self.after_cr = false;
                *chunk = chunk.get(1..).unwrap_or_default();
                continue;
            }
            self.after_cr = false;
            let end = memchr::memchr2(b'\n', b'\r', chunk);
            let (text, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
            let held = self.line.len() + self.data.as_ref().map_or(0, Vec::len);
            if held + text.len() > self.limit_bytes {
                return Err(Failure::TooLarge { limit_bytes: self.limit_bytes });
            }
            self.take(text);
            *chunk = rest.get(1..).unwrap_or_default();
            if end.is_some() {
                self.after_cr = rest.first() == Some(&b'\r');
                if let Some(event) = self.end_line() {
                    return Ok(Some(event));
                }
            }
        }
        Ok(None)
    }

    /// Takes a piece of a line.
    fn take(&mut self, text: &[u8]) {
        if self.is_data_line {
            return self.take_data(text);
        }
        let open = HEAD_BYTES.saturating_sub(self.line.len());
        let Some((head, rest)) = text.split_at_checked(open).filter(|_| open > 0) else {
            return self.line.extend_from_slice(text);
        };
        self.line.extend_from_slice(head);
        let line = std::mem::take(&mut self.line);
        let text = self.without_mark(&line);
        if text.starts_with(b"data:") {
            self.field(text);
            self.is_data_line = true;
            self.take_data(rest);
        }
        self.line = line;
        if self.is_data_line { self.line.clear() } else { self.line.extend_from_slice(rest) }
    }

    /// Room for a long event is made once: nobody knows how long it will be, and pages to which
    /// nothing is written cost nothing.
    fn take_data(&mut self, text: &[u8]) {
        let data = self.data.get_or_insert_default();
        if data.capacity() - data.len() < text.len() && data.len() >= LONG_BYTES {
            data.reserve_exact(self.limit_bytes.saturating_sub(data.len()));
        }
        data.extend_from_slice(text);
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        let text = self.without_mark(&line);
        self.is_first_line = false;
        let event = match (std::mem::take(&mut self.is_data_line), text) {
            (true, _) => None,
            (false, []) => self.dispatch(),
            (false, field) => {
                self.field(field);
                None
            }
        };
        self.line = line;
        self.line.clear();
        event
    }

    /// The text of a line: the first of a stream may have a byte order mark before it.
    fn without_mark<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        if self.is_first_line { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line }
    }

    fn dispatch(&mut self) -> Option<Vec<u8>> {
        self.name = std::mem::take(&mut self.next_name);
        self.data.take()
    }

    fn field(&mut self, line: &[u8]) {
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if let Some(data) = &mut self.data {
                    data.push(b'\n');
                }
                self.data.get_or_insert_default().extend_from_slice(value);
            }
            b"event" => {
                value.get(..MAX_NAME_BYTES).unwrap_or(value).clone_into(&mut self.next_name);
            }
            b"id" if value.len() <= MAX_ID_BYTES && !value.contains(&0) => {
                value.clone_into(&mut self.last_id);
            }
            b"retry" => {
                if let Some(millis) = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()) {
                    self.retry = Some(Duration::from_millis(millis));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &[&[u8]]) -> (Vec<String>, Events) {
        let mut events = Events::new(1024);
        let mut all = Vec::new();
        for chunk in chunks {
            let mut chunk = *chunk;
            while let Some(data) = events.next(&mut chunk).expect("within the limit") {
                all.push(String::from_utf8(data).expect("text"));
            }
        }
        (all, events)
    }

    #[test]
    fn data_ids_and_retry_are_read_and_all_else_is_skipped() {
        let text = b"\xef\xbb\xbf: hello\nid: s1_4\nevent: message\nretry: 500\ndata: {\"a\":\ndata:1}\n\n\
                     data\n\nretry: soon\nid: bad\0id\nfoo: bar\n\ndata: cut off";
        let (all, events) = read(&[text]);
        assert_eq!(all, ["{\"a\":\n1}", ""]);
        assert_eq!(events.last_id(), b"s1_4");
        assert_eq!(events.retry(), Some(Duration::from_millis(500)));
    }

    #[test]
    fn a_name_is_that_of_its_own_event() {
        let text = b"event: endpoint\ndata: a\n\ndata: b\n\nevent: lost\n\ndata: c\n\nevent: x\nevent: y\ndata: d\n\n";
        let (mut events, mut chunk, mut names) = (Events::new(1024), &text[..], Vec::new());
        while events.next(&mut chunk).expect("within the limit").is_some() {
            names.push(String::from_utf8(events.name().to_vec()).expect("text"));
        }
        assert_eq!(names, ["endpoint", "", "", "y"]);
    }

    #[test]
    fn all_three_ends_of_line_are_known() {
        assert_eq!(read(&[b"data: a\r\ndata: b\r\n\r\ndata: c\r\rdata: d\n\n"]).0, ["a\nb", "c", "d"]);
        assert_eq!(read(&[b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n"]).0, ["a\nb"]);
    }

    #[test]
    fn an_event_beyond_the_limit_is_refused_before_it_is_held() {
        for text in ["data: ".to_owned() + &"x".repeat(100), "data: x\n".repeat(100), "y".repeat(100)] {
            let mut events = Events::new(64);
            let refused = events.next(&mut text.as_bytes());
            assert_eq!(refused, Err(Failure::TooLarge { limit_bytes: 64 }), "{text}");
        }
    }

    /// The data of all events, as the standard describes it: a line after the other.
    fn by_the_book(text: &str) -> Vec<String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
        let Some((whole, _)) = text.rsplit_once('\n') else { return vec![] };
        let (mut all, mut data) = (vec![], vec![]);
        for line in whole.split('\n') {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            match name {
                "data" => data.push(value.strip_prefix(' ').unwrap_or(value)),
                "" if line.is_empty() && !data.is_empty() => all.push(std::mem::take(&mut data).join("\n")),
                _ => {}
            }
        }
        all
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(
            text in "\u{feff}?(data: ?[a-c ]{0,9}|id: [0-9]|:|\r\n|\r|\n|data|event: [a-c]{0,9}){0,20}",
            cuts in prop::collection::vec(0_usize..64, 0..8),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let (whole, cut) = (read(&[bytes]), read(&chunks));
            prop_assert_eq!(&whole.0, &cut.0);
            prop_assert_eq!(whole.1.last_id(), cut.1.last_id());
            prop_assert_eq!(whole.1.name(), cut.1.name());
            prop_assert_eq!(whole.0, by_the_book(&text));
        }
    }
}
