//! A service instance as Curator's x-discovery writes it: JSON in the data of its znode.

use crate::recipes::names::uuid;
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// How long an instance's znode stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ServiceKind {
    /// As long as the session of who registered it.
    #[default]
    Dynamic,
    /// Until somebody deletes it.
    Static,
    /// The same.
    Permanent,
}

impl ServiceKind {
    const ALL: [(ServiceKind, &str); 3] =
        [(ServiceKind::Dynamic, "DYNAMIC"), (ServiceKind::Static, "STATIC"), (ServiceKind::Permanent, "PERMANENT")];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("DYNAMIC", |(_, name)| name)
    }
}

/// One instance of a service.
///
/// ```
/// use ostler_client::recipes::ServiceInstance;
/// let instance = ServiceInstance::new("web", "10.0.0.7").port(8080).payload(serde_json::json!({ "weight": 3 }));
/// let read = ServiceInstance::from_json(&instance.to_json())?;
/// assert_eq!(read, instance);
/// assert_eq!(read.payload["weight"], 3);
/// # Ok::<(), ostler_client::recipes::MalformedInstance>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct ServiceInstance {
    /// Of which service.
    pub name: String,
    /// Its own id, the name of its znode.
    pub id: String,
    /// Where it is: a host's name or address.
    pub address: String,
    /// Its port.
    pub port: Option<u16>,
    /// Its port for TLS.
    pub ssl_port: Option<u16>,
    /// Whatever its clients have to know. Curator reads an object into the class that its `@class` names.
    pub payload: Value,
    /// When it was registered, milliseconds since 1970.
    pub registered_ms: i64,
    /// How long it stays.
    pub kind: ServiceKind,
    /// Curator's `uriSpec`, as it is.
    pub uri_spec: Value,
    /// False if it wants no clients now.
    pub enabled: bool,
}

/// A znode's data is no service instance.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "this is no service instance: {why}\nhint: only instances in the form of Curator's x-discovery belong below a service's znode"
)]
pub struct MalformedInstance {
    /// What is wrong with it.
    pub why: String,
}

impl ServiceInstance {
    /// An instance with a random id, registered now.
    pub fn new(name: &str, address: &str) -> ServiceInstance {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        ServiceInstance {
            name: name.to_owned(),
            id: uuid(),
            address: address.to_owned(),
            port: None,
            ssl_port: None,
            payload: Value::Null,
            registered_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            kind: ServiceKind::Dynamic,
            uri_spec: Value::Null,
            enabled: true,
        }
    }

    /// Sets its id.
    pub fn id(mut self, id: &str) -> ServiceInstance {
        self.id = id.to_owned();
        self
    }

    /// Sets its port.
    pub fn port(mut self, port: u16) -> ServiceInstance {
        self.port = Some(port);
        self
    }

    /// Sets its payload.
    pub fn payload(mut self, payload: Value) -> ServiceInstance {
        self.payload = payload;
        self
    }

    /// Sets how long it stays.
    pub fn kind(mut self, kind: ServiceKind) -> ServiceInstance {
        self.kind = kind;
        self
    }

    /// As Curator writes it. `enabled` is left out where it is true: older versions of Curator refuse to read it.
    pub fn to_json(&self) -> Vec<u8> {
        let mut value = json!({
            "name": self.name,
            "id": self.id,
            "address": self.address,
            "port": self.port,
            "sslPort": self.ssl_port,
            "payload": self.payload,
            "registrationTimeUTC": self.registered_ms,
            "serviceType": self.kind.name(),
            "uriSpec": self.uri_spec,
        });
        if !self.enabled {
            value["enabled"] = Value::Bool(false);
        }
        value.to_string().into_bytes()
    }

    /// As Curator reads it; what is unknown is left out.
    ///
    /// # Errors
    /// It is none.
    pub fn from_json(bytes: &[u8]) -> Result<ServiceInstance, MalformedInstance> {
        let malformed = |why: String| MalformedInstance { why };
        let value: Value = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let Value::Object(fields) = value else { return Err(malformed("it is no JSON object".into())) };
        let kind = match fields.get("serviceType").and_then(Value::as_str) {
            None => ServiceKind::Dynamic,
            Some(name) => {
                let known = ServiceKind::ALL.iter().find(|(_, other)| *other == name);
                known.ok_or_else(|| malformed(format!("serviceType is {name:?}")))?.0
            }
        };
        Ok(ServiceInstance {
            name: text(&fields, "name")?,
            id: text(&fields, "id")?,
            address: text(&fields, "address").unwrap_or_default(),
            port: port(&fields, "port")?,
            ssl_port: port(&fields, "sslPort")?,
            payload: fields.get("payload").cloned().unwrap_or_default(),
            registered_ms: fields.get("registrationTimeUTC").and_then(Value::as_i64).unwrap_or_default(),
            kind,
            uri_spec: fields.get("uriSpec").cloned().unwrap_or_default(),
            enabled: fields.get("enabled").and_then(Value::as_bool).unwrap_or(true),
        })
    }
}

fn text(fields: &Map<String, Value>, key: &str) -> Result<String, MalformedInstance> {
    let text = fields.get(key).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| MalformedInstance { why: format!("{key:?} is missing or no text") })
}

fn port(fields: &Map<String, Value>, key: &str) -> Result<Option<u16>, MalformedInstance> {
    let number = match fields.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_i64(),
    };
    let port = number.and_then(|number| u16::try_from(number).ok());
    port.map(Some).ok_or_else(|| MalformedInstance { why: format!("{key:?} is no port") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As Curator 5.9.0 wrote it.
    const CURATORS: &str = r#"{"name":"web","id":"465bcba8-01cd-44d6-a845-5603bcbbf71a","address":"h","port":80,"sslPort":null,"payload":{"@class":"Probe$Load","a":"x","n":3},"registrationTimeUTC":1795525039570,"serviceType":"DYNAMIC","uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://foo:","variable":false},{"value":"port","variable":true}]}}"#;

    #[test]
    fn curators_own_is_read_and_written_the_same() {
        let instance = ServiceInstance::from_json(CURATORS.as_bytes()).unwrap();
        assert_eq!((instance.name.as_str(), instance.port, instance.ssl_port), ("web", Some(80), None));
        assert_eq!(instance.payload["n"], 3);
        assert!(instance.enabled);
        let written: Value = serde_json::from_slice(&instance.to_json()).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(CURATORS).unwrap());
    }

    #[test]
    fn what_is_none_says_why() {
        let why = |text: &str| ServiceInstance::from_json(text.as_bytes()).unwrap_err().why;
        assert!(why("").contains("EOF"));
        assert_eq!(why("[]"), "it is no JSON object");
        assert_eq!(why(r#"{"name":"a"}"#), "\"id\" is missing or no text");
        assert_eq!(why(r#"{"name":"a","id":"b","port":70000}"#), "\"port\" is no port");
        assert_eq!(why(r#"{"name":"a","id":"b","serviceType":"X"}"#), "serviceType is \"X\"");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = ServiceInstance::from_json(&bytes);
        }

        #[test]
        fn what_is_written_is_read(name: String, address: String, port: Option<u16>, text: String, enabled: bool) {
            let mut instance = ServiceInstance::new(&name, &address).payload(Value::String(text));
            (instance.port, instance.enabled) = (port, enabled);
            prop_assert_eq!(ServiceInstance::from_json(&instance.to_json()).unwrap(), instance);
        }
    }
}
