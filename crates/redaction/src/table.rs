//! Tables in a text: CSV (RFC 4180, and with other separators) and Markdown.

/// A cell: where it begins and ends in the text, without the space around it.
pub(crate) type Cell = (usize, usize);

/// Most lines and columns that are read as a table.
const MAX_LINES: usize = 100_000;
const MAX_COLUMNS: usize = 512;

/// A table: a row of names, and rows of values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) names: Vec<Cell>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// The table that `text` is, if it is one.
pub(crate) fn read(text: &str) -> Option<Table> {
    let lines = lines(text)?;
    markdown(text, &lines).or_else(|| separated(text, &lines))
}

/// Where lines begin and end; nothing if there are fewer than two or too many.
fn lines(text: &str) -> Option<Vec<Cell>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        if !content.trim().is_empty() {
            lines.push((start, start + content.len()));
        }
        start += line.len();
        if lines.len() > MAX_LINES {
            return None;
        }
    }
    (lines.len() >= 2).then_some(lines)
}

/// A table whose second line is of hyphens, as GitHub Flavored Markdown has it.
fn markdown(text: &str, lines: &[Cell]) -> Option<Table> {
    let line = |cell: &Cell| text.get(cell.0..cell.1).unwrap_or_default();
    let is_rule = |cell: &Cell| {
        let line = line(cell);
        line.contains("--") && line.contains('|') && line.bytes().all(|byte| b"|-: \t".contains(&byte))
    };
    let rule = lines.iter().position(is_rule).filter(|at| *at > 0)?;
    let names = cells(text, *lines.get(rule.checked_sub(1)?)?, '|');
    let rows = lines.iter().skip(rule + 1).take_while(|cell| line(cell).contains('|'));
    let rows: Vec<Vec<Cell>> = rows.map(|cell| cells(text, *cell, '|')).collect();
    (!rows.is_empty() && names.len() <= MAX_COLUMNS).then_some(Table { names, rows })
}

/// Lines of as many cells each.
fn separated(text: &str, lines: &[Cell]) -> Option<Table> {
    let first = *lines.first()?;
    for separator in ['\t', ';', ',', '|'] {
        let names = cells(text, first, separator);
        if names.len() < 2 || names.len() > MAX_COLUMNS {
            continue;
        }
        let rows: Vec<Vec<Cell>> = lines.iter().skip(1).map(|line| cells(text, *line, separator)).collect();
        if rows.iter().all(|row| row.len() == names.len()) {
            return Some(Table { names, rows });
        }
    }
    None
}

/// The cells of a line. What is in quotes may hold the separator.
fn cells(text: &str, (start, end): Cell, separator: char) -> Vec<Cell> {
    let line = text.get(start..end).unwrap_or_default();
    // A line of Markdown begins and ends with its separator.
    let framed = separator == '|' && line.trim_start().starts_with('|');
    let mut cells = Vec::new();
    let (mut from, mut quoted) = (0, false);
    for (at, c) in line.char_indices() {
        if c == '"' && !framed {
            quoted = !quoted;
        } else if c == separator && !quoted {
            cells.push(trimmed(line, from, at, start));
            from = at + c.len_utf8();
        }
        if cells.len() > MAX_COLUMNS {
            return cells;
        }
    }
    cells.push(trimmed(line, from, line.len(), start));
    if framed {
        cells.remove(0);
        if line.trim_end().ends_with('|') {
            cells.pop();
        }
    }
    cells
}

/// A cell without space and quotes around it.
fn trimmed(line: &str, from: usize, to: usize, offset: usize) -> Cell {
    let cell = line.get(from..to).unwrap_or_default();
    let inner = cell.trim();
    let start = from + (cell.len() - cell.trim_start().len());
    let quoted = inner.len() >= 2 && inner.starts_with('"') && inner.ends_with('"');
    let (start, length) = if quoted { (start + 1, inner.len() - 2) } else { (start, inner.len()) };
    (offset + start, offset + start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Option<Vec<Vec<&str>>> {
        let table = read(text)?;
        let row = |cells: &Vec<Cell>| cells.iter().map(|(start, end)| &text[*start..*end]).collect();
        Some(std::iter::once(&table.names).chain(&table.rows).map(row).collect())
    }

    #[test]
    fn tables_are_cut_into_cells() {
        let csv = "name,email\n\"Lovelace, Ada\",ada@example.com\r\nBo , bo@example.com\n";
        let expected = vec![
            vec!["name", "email"],
            vec!["Lovelace, Ada", "ada@example.com"],
            vec!["Bo", "bo@example.com"],
        ];
        assert_eq!(texts(csv), Some(expected));
        let markdown = "Customers:\n\n| Name | Mail |\n|---|:--|\n| Ada | a@x.org |\n\nend";
        assert_eq!(texts(markdown), Some(vec![vec!["Name", "Mail"], vec!["Ada", "a@x.org"]]));
        assert_eq!(texts("a;b\n1;2"), Some(vec![vec!["a", "b"], vec!["1", "2"]]));
    }

    #[test]
    fn prose_is_no_table() {
        assert_eq!(texts("one line, only"), None);
        assert_eq!(texts("Hello, Ada\nthis is a letter\nyours, Bo"), None);
    }
}
