//! Lines of bounded length from a stream of bytes.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Above this, a buffer that held one long line is given back.
const KEPT_BYTES: usize = 64 * 1024;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, or the rest of the stream, without the end of line.
    Whole,
    /// As much of a line as is allowed; it goes on.
    Cut,
    /// Nothing: the stream has ended.
    End,
}

/// Reads the next line into `line`, at most `limit_bytes` of it.
pub(super) async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    limit_bytes: usize,
) -> io::Result<Line> {
    line.clear();
    line.shrink_to(KEPT_BYTES);
    let limit = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let count = reader.take(limit).read_until(b'\n', line).await?;
    if count == 0 {
        return Ok(Line::End);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > limit_bytes {
        return Ok(Line::Cut);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Line::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_split_and_long_ones_are_cut() {
        let mut reader: &[u8] = b"abc\r\n\n12345\n123456\nrest";
        let (mut line, mut seen) = (Vec::new(), Vec::new());
        loop {
            let read = read_line(&mut reader, &mut line, 5).await.expect("bytes in memory");
            if read == Line::End {
                break;
            }
            seen.push((read, String::from_utf8(line.clone()).expect("text")));
        }
        let expected = [
            (Line::Whole, "abc"),
            (Line::Whole, ""),
            (Line::Whole, "12345"),
            (Line::Cut, "123456"),
            (Line::Whole, ""),
            (Line::Whole, "rest"),
        ];
        assert_eq!(seen, expected.map(|(read, text)| (read, text.to_owned())));
    }
}
