//! Tools that read on the way of another call: for a preview, or to look up what became of a write.
//!
//! Invariant: none of them waits for anybody. A call that waits for somebody cannot wait for another one.

use quaymaster_catalog::Catalogue;

use crate::config::{Connector, Diagnostic, Loaded, LoadedConnector};
use crate::upstreams::public_name;

/// Which of them might have to wait, by the rules of `catalogue`.
pub(crate) fn problems(loaded: &Loaded, catalogue: &Catalogue) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for LoadedConnector { connector, source } in &loaded.connectors {
        let Connector::Mcp(file) = connector else { continue };
        let may_park = |own_name: &str| {
            let reader = file.spec.tools.iter().find(|tool| tool.name == own_name)?;
            let name = public_name(&file.spec, reader.rename.as_deref().unwrap_or(&reader.name));
            catalogue.tool(&name).is_some_and(|tool| tool.rules().may_park).then_some(name)
        };
        for (at, tool) in file.spec.tools.iter().enumerate() {
            let preview = tool.briefing.preview.as_ref();
            let preview = preview.map(|preview| ("briefing.preview", &preview.tool));
            let lookup = tool.idempotency.as_ref().and_then(|own| own.lookup.as_ref());
            let lookup = lookup.map(|lookup| ("idempotency.lookup", &lookup.tool));
            for (place, reader) in preview.into_iter().chain(lookup) {
                let Some(reader) = may_park(reader) else { continue };
                let path = format!("spec.tools[{at}].{place}.tool");
                let message = format!(
                    "somebody may have to agree to calls of `{reader}`, so nothing can be read with it here"
                );
                let help =
                    "name a tool that has no `approval`, and of which no policy with `@approval` speaks";
                found.push(source.problem_at(&path, &message, Some(help.to_owned())));
            }
        }
    }
    found
}
