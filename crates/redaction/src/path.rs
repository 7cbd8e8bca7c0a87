//! Paths of declared fields: the part of JSONPath (RFC 9535) that can be decided on the way down.
//!
//! Names, `*`, `[*]` and `..` are read; positions, slices and filters are not, because a field is
//! declared for all rows of a result. Where a path has got to is a set of its steps, so a walk
//! carries one number for each path.

/// Most steps of a path.
const MAX_STEPS: usize = 30;

/// A path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    /// Whether anything may stand before it.
    anywhere: bool,
    /// The name; nothing for any.
    name: Option<String>,
}

/// How far a path has got: bit `n` says that its first `n` steps are behind.
pub(crate) type Reached = u32;

impl FieldPath {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.strip_prefix('$').ok_or("a path begins with `$`")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let anywhere = rest.starts_with("..");
            let (name, after) = if let Some(bracket) =
                rest.strip_prefix("..[").or_else(|| rest.strip_prefix('['))
            {
                bracketed(bracket)?
            } else {
                let dotted = rest.strip_prefix("..").or_else(|| rest.strip_prefix('.'));
                dotted_name(
                    dotted.ok_or_else(|| format!("expected `.` or `[` before `{}`", rest.escape_debug()))?,
                )?
            };
            steps.push(Step { anywhere, name });
            rest = after;
        }
        if steps.is_empty() || steps.len() > MAX_STEPS {
            return Err(format!("a path has 1 to {MAX_STEPS} steps"));
        }
        Ok(Self { steps })
    }

    /// Where every walk begins.
    pub(crate) const START: Reached = 1;

    /// How far the path has got one level down, at the member `name` or at an item of a list.
    pub(crate) fn descend(&self, reached: Reached, name: Option<&str>) -> Reached {
        let mut next = 0;
        for (at, step) in self.steps.iter().enumerate() {
            if reached >> at & 1 == 0 {
                continue;
            }
            let fits = match (&step.name, name) {
                (None, _) => true,
                (Some(wanted), Some(name)) => wanted == name,
                (Some(_), None) => false,
            };
            if fits {
                next |= 1 << (at + 1);
            }
            if step.anywhere {
                next |= 1 << at;
            }
        }
        // What is below a field that was reached belongs to it.
        next | (reached & self.end())
    }

    fn end(&self) -> Reached {
        1 << self.steps.len()
    }

    pub(crate) fn is_there(&self, reached: Reached) -> bool {
        reached & self.end() != 0
    }
}

fn dotted_name(text: &str) -> Result<(Option<String>, &str), String> {
    if let Some(after) = text.strip_prefix('*') {
        return Ok((None, after));
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_' || !c.is_ascii())
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if name.is_empty() || !is_name {
        return Err(format!("`{}` is no name; write it as `['…']`", name.escape_debug()));
    }
    Ok((Some(name.to_owned()), after))
}

fn bracketed(text: &str) -> Result<(Option<String>, &str), String> {
    if let Some(after) = text.strip_prefix("*]") {
        return Ok((None, after));
    }
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else {
        return Err(
            "only names in quotes and `*` are read in brackets: a field is declared for all rows".into()
        );
    };
    let inner = text.get(1..).unwrap_or_default();
    let (name, after) = inner.split_once(quote).ok_or("a quote is not closed")?;
    let after = after.strip_prefix(']').ok_or("expected `]`")?;
    if name.contains('\\') {
        return Err("escapes are not read in names".into());
    }
    Ok((Some(name.to_owned()), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `path` is reached by going down over names and, for `-`, items.
    fn reaches(path: &str, way: &str) -> bool {
        let path = FieldPath::parse(path).expect("a path");
        let steps = way.split('/').filter(|step| !step.is_empty());
        let reached = steps
            .fold(FieldPath::START, |reached, step| path.descend(reached, (step != "-").then_some(step)));
        path.is_there(reached)
    }

    #[test]
    fn paths_reach_what_they_name_and_all_below() {
        for (path, way) in [
            ("$.a", "a"),
            ("$.a", "a/b"),
            ("$.rows[*].email", "rows/-/email"),
            ("$..email", "email"),
            ("$..email", "a/-/b/email"),
            ("$..['e-mail']", "x/e-mail"),
            ("$.a.*", "a/b"),
            ("$['a b'].c", "a b/c"),
        ] {
            assert!(reaches(path, way), "{path} {way}");
        }
        for (path, way) in
            [("$.a", ""), ("$.a", "b/a"), ("$.rows[*].email", "rows/email"), ("$..a.b", "a/c/b")]
        {
            assert!(!reaches(path, way), "{path} {way}");
        }
    }

    #[test]
    fn what_cannot_be_decided_on_the_way_down_is_refused() {
        for path in ["", "a", "$", "$.", "$.a[0]", "$.a[?@.b]", "$.a[1:2]", "$['a", "$.a-b", "$x"] {
            assert!(FieldPath::parse(path).is_err(), "{path}");
        }
    }
}
