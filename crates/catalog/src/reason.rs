//! The argument by which an agent gives a business reason.
//!
//! Agents can only fill arguments, so a tool whose calls may be refused for want of a reason has
//! one more: `reason`. It is taken out before the call is decided on and run. A tool that has an
//! argument of this name already keeps it, and what it says is the reason as well.

use quaymaster_core::{Arguments, CallError, ErrorCode};
use serde_json::{Map, Value, json};

/// The name of the argument.
pub(crate) const ARGUMENT: &str = "reason";
/// Longest reason, in characters.
const MAX_CHARS: usize = 2_000;

/// Whether the tool has an argument of this name itself.
pub(crate) fn is_own(schema: &Value) -> bool {
    schema.pointer("/properties/reason").is_some()
}

/// The schema with the argument, if it has none of that name.
pub(crate) fn with_reason(visible: &Value) -> Value {
    let mut schema = visible.clone();
    if let (false, Some(object)) = (is_own(visible), schema.as_object_mut()) {
        let properties = object.entry("properties").or_insert_with(|| Map::new().into());
        if let Some(properties) = properties.as_object_mut() {
            let argument = json!({
                "type": "string",
                "maxLength": MAX_CHARS,
                "description": "Why this call is made: the business reason, in one sentence. Some calls are refused without it.",
            });
            properties.insert(ARGUMENT.into(), argument);
        }
    }
    schema
}

/// The arguments without the reason, and the reason.
pub(crate) fn taken_out(arguments: &Arguments) -> Result<(Arguments, Option<String>), CallError> {
    let reason = read(arguments.get(ARGUMENT))?;
    let Some(members) = arguments.value().as_object().filter(|members| members.contains_key(ARGUMENT)) else {
        return Ok((arguments.clone(), None));
    };
    let mut members = members.clone();
    members.shift_remove(ARGUMENT);
    Ok((Arguments::from_map(members), reason))
}

/// The reason that an argument says; a blank one is none.
pub(crate) fn read(argument: Option<&Value>) -> Result<Option<String>, CallError> {
    let text = match argument {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim(),
        Some(_) => return Err(CallError::new(ErrorCode::InputInvalid, "`reason` must be of type string")),
    };
    if text.chars().count() > MAX_CHARS {
        let message = format!("`reason` must have at most {MAX_CHARS} characters");
        return Err(CallError::new(ErrorCode::InputInvalid, message));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(value: &Value) -> Arguments {
        Arguments::from_map(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn a_reason_is_taken_out_of_the_arguments_and_a_blank_one_is_none() {
        let (rest, reason) =
            taken_out(&arguments(&json!({"id": 1, "reason": " it was asked for "}))).expect("text");
        assert_eq!((rest.as_json(), reason.as_deref()), (r#"{"id":1}"#, Some("it was asked for")));
        let (rest, reason) = taken_out(&arguments(&json!({"id": 1, "reason": " "}))).expect("text");
        assert_eq!((rest.as_json(), reason), (r#"{"id":1}"#, None));
        assert!(taken_out(&arguments(&json!({"reason": 7}))).is_err());
        assert!(taken_out(&arguments(&json!({"reason": "x".repeat(2_001)}))).is_err());
    }

    #[test]
    fn the_argument_is_in_the_schema_once() {
        let shown = with_reason(&json!({"type": "object", "additionalProperties": false}));
        assert_eq!(shown["properties"]["reason"]["type"], "string");
        let own = json!({"type": "object", "properties": {"reason": {"type": "string", "minLength": 3}}});
        assert_eq!(with_reason(&own), own);
    }
}
