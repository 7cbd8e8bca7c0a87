//! Where a request is sent: to which workspace, and to all of it or to one connector.
//!
//! Whether there is such a workspace is the door's to say, and whether there is such a
//! connector nobody's: one that a caller may see nothing of is no other place than one
//! that does not exist.

use quaymaster_core::Reach;
use quaymaster_core::setting::Slug;

/// The place that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The workspace, if the path names one.
    pub(super) workspace: Option<&'a str>,
    /// What of it the path leads to.
    pub(super) reach: Reach,
}

impl<'a> Place<'a> {
    /// The place of `/mcp`, `/s/<server>`, and both below `/w/<workspace>`; none of any
    /// other path. A server is named as its connector is, letter by letter.
    pub(super) fn read(path: &'a str) -> Option<Self> {
        let (workspace, rest) = match path.strip_prefix("/w/") {
            Some(behind) => {
                let (workspace, rest) = behind.split_at(behind.find('/').filter(|at| *at > 0)?);
                (Some(workspace), rest)
            }
            None => (None, path),
        };
        let reach = match rest.strip_prefix("/s/") {
            Some(server) => Reach::One(Slug::parse(server).ok()?),
            None if rest == "/mcp" => Reach::All,
            None => return None,
        };
        Some(Self { workspace, reach })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<(Option<&str>, String)> {
        Place::read(path).map(|place| (place.workspace, place.reach.as_str().to_owned()))
    }

    #[test]
    fn a_path_names_one_place() {
        assert_eq!(read("/mcp"), Some((None, String::new())));
        assert_eq!(read("/w/sales/mcp"), Some((Some("sales"), String::new())));
        assert_eq!(read("/s/support-desk"), Some((None, "support-desk".into())));
        assert_eq!(read("/w/sales/s/desk"), Some((Some("sales"), "desk".into())));
        assert_eq!(read("/w/s/s/s"), Some((Some("s"), "s".into())));
        assert_eq!(read("/w/sales/s/mcp"), Some((Some("sales"), "mcp".into())));
    }

    #[test]
    fn a_path_that_is_not_exactly_one_of_these_names_none() {
        for path in [
            "",
            "/",
            "/mcp/",
            "//mcp",
            "/MCP",
            "/w//mcp",
            "/w/a/b/mcp",
            "/w/mcp",
            "/w/sales/mcp/",
            "/w/sales",
            "/s",
            "/s/",
            "/s/desk/",
            "/s/desk/mcp",
            "/s/Desk",
            "/s/de%73k",
            "/s/../mcp",
            "/S/desk",
            "/w//s/desk",
            "/w/sales/s/",
            "/w/sales/s/desk/",
            "/w/sales/x/s/desk",
            "/s/a/s/b",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
        assert_eq!(read(&format!("/s/{}", "a".repeat(64))), None);
    }
}
