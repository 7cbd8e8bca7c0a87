//! How many calls may wait for an agreement, and how long what is over is kept, as it is written.

use std::num::NonZeroU32;
use std::time::Duration;

use quaymaster_control::approval::Bounds;
use quaymaster_core::setting::DurationSetting;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Problems;

/// Shortest and longest time that what is over is kept.
const RETENTION: (Duration, Duration) = (Duration::from_hours(24), Duration::from_hours(24 * 3_660));

/// How many calls may wait for somebody's agreement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WaitingConfig {
    /// Of one account; 100 if absent. What comes beyond is refused with `limit.concurrency`.
    #[serde(default)]
    pub per_account: Option<NonZeroU32>,
    /// Of one workspace; 2000 if absent.
    #[serde(default)]
    pub per_workspace: Option<NonZeroU32>,
}

/// What `waiting` and `retention` come to.
pub(super) fn bounds(waiting: &WaitingConfig, retention: Option<&DurationSetting>) -> Bounds {
    let usual = Bounds::default();
    let most = |config: Option<NonZeroU32>, usual| config.map_or(usual, |most| most.get().into());
    Bounds {
        per_account: most(waiting.per_account, usual.per_account),
        per_workspace: most(waiting.per_workspace, usual.per_workspace),
        retention: retention.map_or(usual.retention, |retention| retention.get()),
    }
}

pub(super) fn check(retention: Option<&DurationSetting>, found: &mut Problems) {
    let (shortest, longest) = RETENTION;
    if retention.is_some_and(|retention| !(shortest..=longest).contains(&retention.get())) {
        found.add("retention", "between one day and ten years, such as `90d`");
    }
}

#[cfg(test)]
mod tests {
    use super::super::ApprovalsConfig;
    use super::*;

    #[test]
    fn what_is_not_said_is_bounded_and_what_is_said_counts() {
        let read = |json: &str| serde_json::from_str::<ApprovalsConfig>(json).expect("a configuration");
        assert_eq!(read("{}").bounds(), Bounds::default());
        let said = read(r#"{"waiting": {"perAccount": 5}, "retention": "30d"}"#);
        let expected = Bounds { per_account: 5, retention: Duration::from_hours(720), ..Bounds::default() };
        assert_eq!((said.bounds(), said.problems()), (expected, vec![]));
        let paths = |json: &str| read(json).problems().into_iter().map(|p| p.path).collect::<Vec<_>>();
        assert_eq!(paths(r#"{"retention": "1h"}"#), ["retention"]);
        assert!(serde_json::from_str::<ApprovalsConfig>(r#"{"waiting": {"perAccount": 0}}"#).is_err());
    }
}
