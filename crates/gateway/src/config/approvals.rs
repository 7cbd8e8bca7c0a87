//! What of the settings concerns approvals: who is told, and who the local user is elsewhere.

use quaymaster_core::ActorId;
use quaymaster_operations::notify::config::{ApprovalsConfig, ConfigProblem};

use super::checked::{Known, PathProblem};
use super::diagnostic::Code;
use super::settings::LocalUserConfig;

/// What is wrong with `config`, names of roles and workspaces included.
pub(super) fn problems(config: &ApprovalsConfig, known: Known<'_>) -> Vec<PathProblem> {
    let at = |ConfigProblem { path, message }: ConfigProblem| {
        PathProblem::error(Code::Value, format!("approvals.{path}"), message)
    };
    let mut problems: Vec<PathProblem> = config.problems().into_iter().map(at).collect();
    for (at, webhook) in config.webhooks.iter().enumerate() {
        for (index, name) in webhook.workspaces.iter().enumerate() {
            let path = format!("approvals.webhooks[{at}].workspaces[{index}]");
            problems.extend(known.workspace(&path, name));
        }
    }
    if let Some(email) = &config.email {
        for (index, name) in email.workspaces.iter().enumerate() {
            problems.extend(known.workspace(&format!("approvals.email.workspaces[{index}]"), name));
        }
        for role in email.to.keys().filter(|role| !known.roles.contains_key(*role)) {
            let message = format!("unknown role `{role}`");
            problems.push(PathProblem::error(
                Code::UnknownRole,
                format!("approvals.email.to.{role}"),
                message,
            ));
        }
    }
    problems
}

/// The problem, if the local user is said to be nobody.
pub(super) fn person_problem(user: &LocalUserConfig) -> Option<PathProblem> {
    let error = user.person.as_deref().and_then(|name| ActorId::parse(name).err());
    error.map(|message| PathProblem::error(Code::Value, "localUser.person", message))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SETTINGS, folder};
    use super::super::{SETTINGS_FILE, SecretCheck, Style, load};

    #[test]
    fn who_is_told_is_checked_and_what_is_wrong_is_shown_at_its_place() {
        let text = format!(
            "{SETTINGS}\napprovals:\n  url: https://approvals.example.test/console\n  webhooks:\n    - name: desk\n      \
             url: http://desk.example.test/\n      workspaces: [nowhere]\n      events: [requested, answered]\n  email:\n    \
             host: mail.example.test\n    password: hunter2\n    from: nobody\n    to: {{ boss: [mo] }}\n    workspaces: []\n"
        );
        let found = load(folder(&[(SETTINGS_FILE, &text)]).path(), SecretCheck::Skip).expect_err("a bad one");
        let shown = found.render(Style::Plain);
        assert!(!shown.contains("hunter2"), "{shown}");
        let text = text.replace(", answered", "").replace("hunter2", "'${secret:MAIL}'");
        let more = load(folder(&[(SETTINGS_FILE, &text)]).path(), SecretCheck::Skip).expect_err("a bad one");
        insta::assert_snapshot!(format!("{shown}\n{}", more.render(Style::Plain)));
    }
}
