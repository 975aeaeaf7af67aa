//! `swarmer registry`.

use serde_json::json;

use super::cluster_status;
use super::connect::Connect;
use super::failure::Failure;
use super::output;

pub(super) async fn run(connect: &Connect<'_>) -> Result<(), Failure> {
    let (_, status) = cluster_status::fetch(connect).await?;
    let host = status.registry_host.as_deref();
    let member = status
        .members
        .iter()
        .find(|member| Some(member.name.as_str()) == host);
    let name = format!("registry.service.{}.{}", status.dc, status.stack);
    let port = member.map_or(5000, |member| member.ports.registry);
    let reported = member.map(|member| member.told("registry"));
    let reported = reported.filter(|text| !text.is_empty());
    let health = member.and_then(|member| member.health.clone());
    if connect.json() {
        return output::json(&json!({
            "name": name,
            "port": port,
            "host": host,
            "address": member.map(|member| member.address.clone()),
            "health": health,
            "report": reported,
        }));
    }
    let Some(member) = member else {
        return Err(Failure::not(
            "no node serves the registry",
            "it needs `registry: {enabled: true}` on a server and the program docker-registry; `swarmer status` shows what each node reports",
        ));
    };
    output::line(&format!(
        "host    {} ({}), {}\npush    {name}:{port}\nreport  {}",
        member.name,
        member.address,
        health.unwrap_or_else(|| "health unknown".to_owned()),
        reported.unwrap_or_else(|| "-".to_owned()),
    ))
}
