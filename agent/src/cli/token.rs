//! `swarmer token`.

use std::io::{IsTerminal as _, Read as _};

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connect::{self, Connect, TOKEN};
use super::failure::Failure;
use super::output;
use super::table::Table;
use crate::client::{Request, escape};
use crate::model::Role;
use crate::pki::Token;

/// Join tokens.
#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make a server token, before there is a cluster.
    New,
    /// Make the worker or operator token that belongs to a server token (SWARMER_TOKEN or standard input).
    Derive {
        /// worker or operator
        role: Role,
    },
    /// Make another token for a role (operators only); it is shown this once.
    Create {
        /// server, worker or operator
        role: Role,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Make a new token for a role and revoke all others of it (operators only). Running nodes are not touched.
    Rotate {
        /// server, worker or operator
        role: Role,
    },
    /// From now on a token admits nobody (operators only).
    Revoke {
        /// Its id, as `list` shows it.
        id: String,
    },
    /// List the tokens' ids (operators only).
    List,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    role: String,
    description: String,
    revoked: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    token: String,
}

pub(super) async fn run(command: &TokenCommand, connect: &Connect<'_>) -> Result<(), Failure> {
    const TOKENS: &str = "/v1/swarmer/tokens";
    match command {
        TokenCommand::New => show(&Token::generate_server(), connect),
        TokenCommand::Derive { role } => show(&server_token()?.derive(*role)?, connect),
        TokenCommand::Create { role, description } => {
            let body = json!({"Role": role, "Description": description});
            make(&format!("{TOKENS}/create"), &body, connect).await
        }
        TokenCommand::Rotate { role } => {
            make(&format!("{TOKENS}/rotate"), &json!({"Role": role}), connect).await
        }
        TokenCommand::Revoke { id } => {
            let path = format!("{TOKENS}/revoke/{}", escape(id));
            let answer = connect::ask(&connect.operator()?, Request::put(&path, "")).await?;
            match connect.json() {
                true => output::json(&connect::parse::<Value>(&answer)?),
                false => output::line(&format!("{id} admits nobody from now on")),
            }
        }
        TokenCommand::List => {
            let answer = connect::ask(&connect.operator()?, Request::get(TOKENS)).await?;
            if connect.json() {
                return output::json(&connect::parse::<Value>(&answer)?);
            }
            let rows: Vec<Row> = connect::parse(&answer)?;
            let mut table = Table::new(&["ID", "ROLE", "STATE", "DESCRIPTION"]);
            for row in rows {
                let state = if row.revoked { "revoked" } else { "valid" };
                table.row([row.id, row.role, state.to_owned(), row.description]);
            }
            output::raw(table.render().as_bytes())
        }
    }
}

fn show(token: &Token, connect: &Connect<'_>) -> Result<(), Failure> {
    match connect.json() {
        true => output::json(&json!({
            "token": token.expose(), "role": token.role(), "id": token.id().to_string(),
        })),
        false => output::line(&token.expose()),
    }
}

async fn make(path: &str, body: &Value, connect: &Connect<'_>) -> Result<(), Failure> {
    let request = Request::put(path, body.to_string());
    let answer = connect::ask(&connect.operator()?, request).await?;
    if connect.json() {
        return output::json(&connect::parse::<Value>(&answer)?);
    }
    output::line(&connect::parse::<Made>(&answer)?.token)
}

fn server_token() -> Result<Token, Failure> {
    let text = match std::env::var(TOKEN) {
        Ok(text) => text,
        Err(_) => {
            let mut stdin = std::io::stdin();
            if stdin.is_terminal() {
                eprintln!("swarmer: paste the server token, then press Ctrl-D");
            }
            let mut text = String::new();
            stdin
                .read_to_string(&mut text)
                .map_err(|error| Failure::file("read", "standard input", error))?;
            text
        }
    };
    if text.trim().is_empty() {
        return Err(Failure::usage(
            "there is no server token in SWARMER_TOKEN nor on standard input",
            "`swarmer token new` makes one",
        ));
    }
    Ok(text.trim().parse()?)
}
