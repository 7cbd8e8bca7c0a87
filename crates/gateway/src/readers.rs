//! Tools that read on the way of another call: for a preview, or to look up what became of a write.
//!
//! Invariant: none of them waits for anybody. A call that waits for somebody cannot wait for another one.
//! Whether one might is told from the configuration alone, whatever servers are up.

use quaymaster_catalog::Catalogue;
use quaymaster_connectors::mcp::config::McpSpec;
use quaymaster_control::Rulebook;

use crate::assembly::{known, policy_files};
use crate::config::{Connector, Diagnostic, Loaded, LoadedConnector};
use crate::upstreams::{public_name, stand_ins};

/// Which of them might have to wait.
pub(crate) fn problems(loaded: &Loaded) -> Vec<Diagnostic> {
    let mut places = Vec::new();
    let mut declarations = Vec::new();
    for LoadedConnector { connector, source } in &loaded.connectors {
        let Connector::Mcp(file) = connector else { continue };
        let own = readers(&file.spec);
        let is_reader = |name: &str| own.iter().any(|(_, reader)| reader == name);
        declarations.extend(stand_ins(file).into_iter().filter(|tool| is_reader(tool.name.as_str())));
        places.extend(own.into_iter().map(|(place, reader)| (source, place, reader)));
    }
    if places.is_empty() {
        return Vec::new();
    }
    let (catalogue, _) = Catalogue::build(declarations);
    // What is wrong with policies is told where all of them are read.
    let (rulebook, _) = Rulebook::build(&policy_files(loaded), &catalogue, &known(loaded));
    let may_park = |name: &str| catalogue.tool(name).is_some_and(|tool| rulebook.told(tool).may_park);
    let gated = places.into_iter().filter(|(_, _, reader)| may_park(reader));
    gated
        .map(|(source, place, reader)| {
            let message = format!(
                "somebody may have to agree to calls of `{reader}`, so nothing can be read with it here"
            );
            let help = "name a tool that has no `approval`, and of which no policy with `@approval` speaks";
            source.problem_at(&place, &message, Some(help.to_owned()))
        })
        .collect()
}

/// Where a tool of `spec` is named as a reader, and under which name agents know it.
fn readers(spec: &McpSpec) -> Vec<(String, String)> {
    let mut readers = Vec::new();
    for (at, tool) in spec.tools.iter().enumerate() {
        let preview = tool.briefing.preview.as_ref().map(|preview| ("briefing.preview", &preview.tool));
        let lookup = tool.idempotency.as_ref().and_then(|own| own.lookup.as_ref());
        let lookup = lookup.map(|lookup| ("idempotency.lookup", &lookup.tool));
        for (place, own_name) in preview.into_iter().chain(lookup) {
            let reader = spec.tools.iter().find(|tool| tool.name == *own_name);
            readers.extend(reader.map(|reader| {
                let name = public_name(spec, reader.rename.as_deref().unwrap_or(&reader.name));
                (format!("spec.tools[{at}].{place}.tool"), name)
            }));
        }
    }
    readers
}
