//! Against answers written from the documents of the Resource Manager and of the metadata service.

use serde_json::{Value, json};

use super::super::double::{Answer, Asked, Double, json as answer};
use super::*;

const SECRET: &str = "s3cret~with=signs";
const IDS: [&str; 2] = [
    "0a1b2c3d-0000-4000-8000-000000000001",
    "0a1b2c3d-0000-4000-8000-000000000002",
];

fn interface(machine: Option<&str>, tag: &str, address: &str) -> Value {
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "primary": true,
        "ipConfigurations": [{
            "name": "internal",
            "properties": {"privateIPAddress": address, "privateIPAllocationMethod": "Dynamic"},
        }],
    });
    if let Some(machine) = machine {
        properties["virtualMachine"] = json!({"id": machine});
    }
    json!({"name": "nic", "location": "westeurope", "tags": {"Swarmer": tag}, "properties": properties})
}

fn resource(name: &str) -> String {
    format!(
        "/subscriptions/sub/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/{name}"
    )
}

fn machine(name: &str, id: &str) -> Value {
    // The same id is written in another case elsewhere.
    let resource = resource(name).to_uppercase();
    json!({"id": resource, "name": name, "properties": {"vmId": id.to_uppercase(), "provisioningState": "Succeeded"}})
}

fn subscription(base: &str, asked: &Asked) -> Answer {
    let target = asked.target.as_str();
    if target.starts_with("/metadata/") {
        assert_eq!(asked.header("metadata"), "true");
        if target.starts_with("/metadata/instance/compute/vmId?") {
            return (200, vec![], IDS[0].to_owned());
        }
        assert!(
            target.contains("&resource=http%3A%2F%2F127.0.0.1"),
            "{target}"
        );
        return answer(
            &json!({"access_token": "s3cret-token", "expires_in": "86399", "token_type": "Bearer"}),
        );
    }
    if target == "/tenant/oauth2/v2.0/token" {
        assert!(
            asked
                .body
                .contains("client_id=app&client_secret=s3cret~with%3Dsigns&scope=")
        );
        return answer(&json!({"access_token": "s3cret-token", "expires_in": 3599}));
    }
    assert_eq!(asked.header("authorization"), "Bearer s3cret-token");
    match target.strip_prefix("/subscriptions/sub").unwrap() {
        "/providers/Microsoft.Network/networkInterfaces?api-version=2023-09-01" => answer(&json!({
            "value": [
                interface(Some(&resource("server-2")), "vagrant-dev", "192.168.0.2"),
                interface(Some(&resource("web")), "other", "10.0.0.9"),
                interface(None, "vagrant-dev", "10.0.0.8"),
            ],
            "nextLink": format!("{base}/subscriptions/sub/next"),
        })),
        "/next" => answer(&json!({"value": [
            interface(Some(&resource("server-1")), "vagrant-dev", "10.0.0.1"),
            interface(Some(&resource("server-3")), "vagrant-dev", "10.0.0.3"),
        ]})),
        "/providers/Microsoft.Compute/virtualMachines?api-version=2023-09-01" => answer(&json!({
            "value": [machine("server-1", IDS[0]), machine("server-2", IDS[1])],
        })),
        "/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/set/networkInterfaces?api-version=2018-10-01" => {
            answer(&json!({"value": [
                interface(Some("/s/0"), "", "10.0.0.1"),
                interface(Some("/s/1"), "", "10.0.0.2"),
            ]}))
        }
        "/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/set/virtualMachines?$expand=instanceView&api-version=2023-09-01" =>
        {
            let vm = |id: &str, name: &str, unique: &str, power: &str| {
                let statuses = json!([{"code": "ProvisioningState/succeeded"}, {"code": power}]);
                json!({"id": id, "name": name, "instanceId": "0", "properties": {"vmId": unique, "instanceView": {"statuses": statuses}}})
            };
            answer(&json!({"value": [
                vm("/s/0", "set_0", IDS[0], "PowerState/running"),
                vm("/s/1", "set_1", IDS[1], "PowerState/deallocated"),
            ]}))
        }
        other => panic!("asked for {other}"),
    }
}

const TAGGED: [(&str, &str); 2] = [("tag_name", "swarmer"), ("tag_value", "vagrant-dev")];
const SET: [(&str, &str); 2] = [("resource_group", "rg"), ("vm_scale_set", "set")];
const APPLICATION: [(&str, &str); 3] = [
    ("tenant_id", "tenant"),
    ("client_id", "app"),
    ("secret_access_key", SECRET),
];

fn made(base: &str, args: &[(&str, &str)]) -> Result<Azure, ProviderError> {
    let given = [("subscription_id", "sub")];
    let args = given.iter().chain(args);
    let args = args.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let place = Place {
        manager: base.to_owned(),
        login: base.to_owned(),
        metadata: base.to_owned(),
    };
    let network = AdminNetwork::Cidr("10.0.0.0/8".parse().unwrap());
    Azure::at(&place, &args.collect(), &network)
}

async fn scene(
    args: &[(&str, &str)],
    api: impl Fn(&str, &Asked) -> Answer + Send + Sync + 'static,
) -> (Double, Azure) {
    let double = Double::plain(move |asked| {
        let base = format!("http://{}", asked.header("host"));
        api(&base, asked)
    })
    .await;
    let azure = made(&format!("http://{}", double.at), args).unwrap();
    (double, azure)
}

#[tokio::test]
async fn machines_whose_interfaces_carry_the_tag_are_found() {
    let (double, azure) = scene(&TAGGED, subscription).await;
    let found = azure.machines().await.unwrap();
    assert_eq!(found.len(), 3);
    let machine = |at: usize, address| Machine {
        id: IDS[at].to_owned(),
        name: format!("server-{}", at + 1),
        address,
    };
    assert_eq!(found[0], machine(0, Ok("10.0.0.1".parse().unwrap())));
    let elsewhere = LeftOut::NoAddress("10.0.0.0/8".to_owned());
    assert_eq!(found[1], machine(1, Err(elsewhere)));
    let why = found[2].address.clone().unwrap_err().to_string();
    assert!(why.contains("no list of virtual machines"), "{why}");
    azure.machines().await.unwrap();
    let tokens = double.asked().into_iter();
    assert_eq!(
        tokens.filter(|a| a.target.contains("/identity/")).count(),
        1
    );
}

#[tokio::test]
async fn an_application_asks_for_a_scale_set() {
    let args = [SET.as_slice(), APPLICATION.as_slice()].concat();
    let (_double, azure) = scene(&args, subscription).await;
    let found = azure.machines().await.unwrap();
    assert_eq!(found[0].address, Ok("10.0.0.1".parse().unwrap()));
    assert_eq!(found[1].address, Err(LeftOut::State("deallocated".into())));
    assert_eq!(found[1].id, IDS[1]);
    assert_eq!(
        azure.fate(IDS[1]).await,
        Ok(Fate::Exists("deallocated".into()))
    );
    let gone = "0a1b2c3d-0000-4000-8000-000000000009";
    assert_eq!(azure.fate(gone).await, Ok(Fate::Missing));
    assert_eq!(azure.fate("vm-1").await, Ok(Fate::Unknown));
}

#[tokio::test]
async fn what_an_identity_can_not_see_is_not_deleted() {
    let (_double, azure) = scene(&TAGGED, subscription).await;
    assert_eq!(
        azure.fate(IDS[0]).await,
        Ok(Fate::Exists("Succeeded".into()))
    );
    let blind = |base: &str, asked: &Asked| match asked.target.contains("/virtualMachines?") {
        true => answer(&json!({"value": []})),
        false => subscription(base, asked),
    };
    let (_double, azure) = scene(&TAGGED, blind).await;
    assert_eq!(azure.fate(IDS[0]).await, Ok(Fate::Unknown));
}

#[tokio::test]
async fn refusals_are_told_in_azures_words_and_without_secrets() {
    let args = [TAGGED.as_slice(), APPLICATION.as_slice()].concat();
    for (part, status, body, said) in [
        (
            "/token",
            401,
            json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}),
            "AADSTS7000215: Invalid client secret",
        ),
        (
            "networkInterfaces",
            403,
            json!({"error": {"code": "AuthorizationFailed", "message": "The client does not have authorization"}}),
            "403 Forbidden AuthorizationFailed The client does not have authorization (the identity needs",
        ),
        (
            "networkInterfaces",
            429,
            json!({"error": {"code": "TooManyRequests"}}),
            "asking again later",
        ),
        (
            "networkInterfaces",
            200,
            json!({"value": [{"properties": 1}]}),
            "can't be read",
        ),
        (
            "networkInterfaces",
            200,
            json!({"value": [], "nextLink": "http://elsewhere/x"}),
            "at another host",
        ),
        (
            "/token",
            200,
            json!({"access_token": "s3cret", "expires_in": "soon"}),
            "can't be read",
        ),
    ] {
        let trouble = move |base: &str, asked: &Asked| match asked.target.contains(part) {
            true => (status, vec![], body.to_string()),
            false => subscription(base, asked),
        };
        let (_double, azure) = scene(&args, trouble).await;
        let error = azure.machines().await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn this_machine_asks_only_where_azure_made_it() {
    let folder = tempfile::tempdir().unwrap();
    let (double, mut azure) = scene(&TAGGED, subscription).await;
    azure.firmware = folder.path().join("chassis_asset_tag");
    assert_eq!(azure.this_machine().await, Ok(None));
    assert!(double.asked().is_empty());
    std::fs::write(&azure.firmware, format!("{ASSET}\n")).unwrap();
    assert_eq!(azure.this_machine().await, Ok(Some(IDS[0].to_owned())));
}

#[test]
fn arguments_that_do_not_go_together_are_told() {
    let refused =
        |args: &[(&str, &str)]| made("http://127.0.0.1:1", args).err().unwrap().to_string();
    for args in [
        &[][..],
        &TAGGED[..1],
        &SET[1..],
        &[TAGGED[0], TAGGED[1], SET[0]],
    ] {
        assert!(refused(args).contains("together with"), "{args:?}");
    }
    for missing in 0..2 {
        let mut args = [TAGGED.as_slice(), APPLICATION.as_slice()].concat();
        args.remove(2 + missing);
        let error = refused(&args);
        assert!(error.contains("together with secret_access_key"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    assert!(Place::named(Some("AzureChinaCloud")).is_ok());
    assert!(Place::named(Some("moon")).is_err());
}
