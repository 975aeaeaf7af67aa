//! Secrets that AWS keeps: a parameter of Systems Manager, or a secret of Secrets Manager.

use serde_json::{Value, json};

use super::KIND;
use super::api::Api;
use super::calls::{Call, GET_PARAMETER, GET_SECRET_VALUE};
use crate::config::Secret;
use crate::discover::ProviderError;

impl Api {
    /// What stands at `ssm:NAME` (decrypted; NAME mostly begins with a slash) or
    /// `secretsmanager:NAME` (or an ARN), without white space around it.
    pub async fn secret(&self, source: &str) -> Result<Secret, ProviderError> {
        let (call, body, path) = match source.split_once(':') {
            Some(("ssm", name)) if !name.is_empty() => {
                let body = json!({"Name": name, "WithDecryption": true});
                (GET_PARAMETER, body, "/Parameter/Value")
            }
            Some(("secretsmanager", name)) if !name.is_empty() => {
                let body = json!({"SecretId": name});
                (GET_SECRET_VALUE, body, "/SecretString")
            }
            _ => {
                let expected = "ssm:NAME or secretsmanager:NAME";
                return Err(ProviderError::argument(KIND, "a secret's source", expected));
            }
        };
        let answer = self.json(call, &body).await?;
        read(call, &answer, path)
    }
}

fn read(call: Call, answer: &Value, path: &str) -> Result<Secret, ProviderError> {
    let text = answer.pointer(path).and_then(Value::as_str);
    match text.map(str::trim) {
        Some(text) if !text.is_empty() => Ok(Secret::new(text)),
        _ => Err(ProviderError::Unreadable {
            call: call.action,
            why: "it holds no text (is the secret binary, or empty?)".to_owned(),
        }),
    }
}
