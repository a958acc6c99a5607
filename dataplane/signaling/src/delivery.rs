//! Where a consumer wants data beyond its data plane's local listener. An extension of ours, in `metadata` of prepare, where DPS
//! leaves room for it.

use serde_json::{Map, Value, json};

use crate::{SignalError, read};

/// The member of `metadata`.
pub const DELIVERY: &str = "delivery";
/// Begins the label by which a data plane tells of a broker that it can deliver to.
pub const BROKER_LABEL: &str = "broker=";
/// Longest name of a broker, in bytes.
const MAX_NAME: usize = 100;

/// What becomes of mirrored entities when the transfer has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnEnd {
    /// They are deleted from the broker.
    #[default]
    Delete,
    /// They stay there, and change no more.
    Keep,
}

/// What a consumer's data plane does with a transfer's data beside showing it to programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The entities are copied into a broker of ours and kept up to date there.
    Mirror {
        /// Name of the broker in the data plane's configuration.
        broker: String,
        /// What becomes of them at the end.
        on_end: OnEnd,
    },
    /// The transfer is registered with a broker of ours as a context source, so that the broker asks through it.
    ContextSource {
        /// Name of the broker in the data plane's configuration.
        broker: String,
    },
}

impl Delivery {
    /// Reads the member `delivery`. Nothing unknown may stand in it.
    ///
    /// # Errors
    /// [`SignalError`] that names the member.
    pub fn decode(value: &Value) -> Result<Self, SignalError> {
        let wrong = |text: &str| SignalError::new("bad_value", text);
        let map = value.as_object().ok_or_else(|| SignalError::new("wrong_type", "`delivery` must be an object"))?;
        let mut members = map.iter();
        let (Some((kind, wish)), None) = (members.next(), members.next()) else {
            return Err(wrong("`delivery` must have one member, which says what is wanted"));
        };
        let wish = wish
            .as_object()
            .ok_or_else(|| SignalError::new("wrong_type", format!("`delivery.{}` must be an object", shown(kind))))?;
        match kind.as_str() {
            "mirror" => {
                only(wish, &["broker", "onEnd"])?;
                let on_end = match read::optional(wish, "onEnd")?.as_deref() {
                    None | Some("delete") => OnEnd::Delete,
                    Some("keep") => OnEnd::Keep,
                    Some(_) => return Err(wrong("member `onEnd` must be `delete` or `keep`")),
                };
                Ok(Self::Mirror { broker: broker(wish)?, on_end })
            }
            "contextSource" => {
                only(wish, &["broker"])?;
                Ok(Self::ContextSource { broker: broker(wish)? })
            }
            other => {
                let text = format!("`delivery.{}` is not known; `mirror` and `contextSource` are", shown(other));
                Err(wrong(&text))
            }
        }
    }

    /// The member `delivery`.
    pub fn encode(&self) -> Value {
        match self {
            Self::Mirror { broker, on_end } => {
                let on_end = match on_end {
                    OnEnd::Delete => "delete",
                    OnEnd::Keep => "keep",
                };
                json!({"mirror": {"broker": broker, "onEnd": on_end}})
            }
            Self::ContextSource { broker } => json!({"contextSource": {"broker": broker}}),
        }
    }

    /// The name of the broker.
    pub fn broker(&self) -> &str {
        match self {
            Self::Mirror { broker, .. } | Self::ContextSource { broker } => broker,
        }
    }
}

fn broker(wish: &Map<String, Value>) -> Result<String, SignalError> {
    let name = read::required(wish, &["broker"])?;
    if name.len() > MAX_NAME {
        return Err(SignalError::new("bad_value", format!("member `broker` is longer than {MAX_NAME} bytes")));
    }
    Ok(name)
}

fn only(wish: &Map<String, Value>, known: &[&str]) -> Result<(), SignalError> {
    match wish.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(SignalError::new("bad_value", format!("`delivery` has no member `{}`", shown(name)))),
        None => Ok(()),
    }
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        let mirror = |on_end| Delivery::Mirror { broker: "twin".into(), on_end };
        for (text, expected) in [
            (json!({"mirror": {"broker": "twin"}}), mirror(OnEnd::Delete)),
            (json!({"mirror": {"broker": "twin", "onEnd": "delete"}}), mirror(OnEnd::Delete)),
            (json!({"mirror": {"broker": "twin", "onEnd": "keep"}}), mirror(OnEnd::Keep)),
            (json!({"contextSource": {"broker": "twin"}}), Delivery::ContextSource { broker: "twin".into() }),
        ] {
            let read = Delivery::decode(&text).unwrap();
            assert_eq!(read, expected, "{text}");
            assert_eq!(Delivery::decode(&read.encode()).unwrap(), read);
            assert_eq!(read.broker(), "twin");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, named) in [
            (json!("mirror"), "delivery"),
            (json!({}), "one member"),
            (json!({"mirror": {"broker": "a"}, "other": {}}), "one member"),
            (json!({"mirror": "twin"}), "delivery.mirror"),
            (json!({"mirror": {}}), "broker"),
            (json!({"mirror": {"broker": ""}}), "broker"),
            (json!({"mirror": {"broker": 7}}), "broker"),
            (json!({"mirror": {"broker": "x".repeat(101)}}), "broker"),
            (json!({"mirror": {"broker": "a", "onEnd": "burn"}}), "onEnd"),
            (json!({"mirror": {"broker": "a", "when": "now"}}), "when"),
            (json!({"contextSource": {"broker": "a", "onEnd": "keep"}}), "onEnd"),
            (json!({"fax": {"number": "1"}}), "fax"),
        ] {
            let refusal = Delivery::decode(&text).unwrap_err();
            assert!(refusal.message.contains(named), "{text}: {refusal}");
        }
    }
}
