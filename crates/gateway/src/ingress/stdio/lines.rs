//! Lines of a stream, bounded.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Message(Vec<u8>),
    /// A line beyond the limit; it was skipped.
    TooLong,
    /// Nothing any more.
    End,
}

/// Reads lines of at most `limit` bytes.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: BufReader<R>,
    limit: usize,
    partial: Vec<u8>,
    skipping: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// The lines of `input`.
    pub(super) fn new(input: R, limit: usize) -> Self {
        Self {
            input: BufReader::with_capacity(64 * 1024, input),
            limit,
            partial: Vec::new(),
            skipping: false,
        }
    }

    /// The next line. Nothing is lost when the wait for it is given up.
    pub(super) async fn next(&mut self) -> io::Result<Line> {
        loop {
            let available = self.input.fill_buf().await?;
            if available.is_empty() {
                let unfinished = self.skipping || !self.partial.is_empty();
                return Ok(if unfinished { self.finish() } else { Line::End });
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            if self.partial.len() + part.len() > self.limit {
                self.skipping = true;
                self.partial = Vec::new();
            }
            if !self.skipping {
                self.partial.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                return Ok(self.finish());
            }
        }
    }

    fn finish(&mut self) -> Line {
        let line = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.skipping) { Line::TooLong } else { Line::Message(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &[u8], limit: usize) -> Vec<String> {
        let mut lines = Lines::new(text, limit);
        let mut seen = Vec::new();
        loop {
            match lines.next().await.expect("memory can be read") {
                Line::Message(line) => seen.push(String::from_utf8_lossy(&line).into_owned()),
                Line::TooLong => seen.push("(too long)".into()),
                Line::End => return seen,
            }
        }
    }

    #[tokio::test]
    async fn a_line_ends_at_its_break_or_with_the_stream() {
        assert_eq!(read(b"a\nbc\n\nd", 8).await, ["a", "bc", "", "d"]);
        assert!(read(b"", 8).await.is_empty());
    }

    #[tokio::test]
    async fn a_line_beyond_the_limit_is_skipped_and_the_next_is_read() {
        assert_eq!(read(b"abcd\nabcde\nab\nabcdef", 4).await, ["abcd", "(too long)", "ab", "(too long)"]);
        let long = [vec![b'x'; 300_000], b"\nok\n".to_vec()].concat();
        assert_eq!(read(&long, 1_000).await, ["(too long)", "ok"]);
    }
}
