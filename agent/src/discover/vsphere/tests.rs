//! Against answers as vCenter gives them. The story `discover_vsphere` asks a real simulator.

use std::sync::{Arc, Mutex};

use super::super::LeftOut;
use super::super::double::{Answer, Asked, Double, bare};
use super::*;
use vcenter::{PASSWORD, UUID, Vcenter, fault};

mod vcenter;

/// A vCenter, and who asks it.
struct Scene {
    vcenter: Arc<Mutex<Vcenter>>,
    double: Double,
    provider: Vsphere,
}

impl Scene {
    async fn with(vcenter: Vcenter, more: &[(&str, &str)]) -> Self {
        let vcenter = Arc::new(Mutex::new(vcenter));
        let behind = Arc::clone(&vcenter);
        let double = Double::secure(move |asked| behind.lock().unwrap().answer(asked)).await;
        let host = format!("localhost:{}", double.at.port());
        let given = [
            ("category_name", "swarmer"),
            ("tag_name", "vagrant-dev"),
            ("host", &host),
            ("user", "swarmer"),
            ("password", PASSWORD),
            ("thumbprint", &double.thumbprint),
        ];
        let pairs = given.iter().chain(more);
        let args = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let network = AdminNetwork::Cidr("10.0.0.0/8".parse().unwrap());
        let provider = Vsphere::new(&args.collect(), &network).unwrap();
        Self {
            vcenter,
            double,
            provider,
        }
    }

    async fn new() -> Self {
        Self::with(Vcenter::with_two(), &[]).await
    }

    fn change(&self, change: impl FnOnce(&mut Vcenter)) {
        change(&mut self.vcenter.lock().unwrap());
    }

    /// What it says while vCenter answers so to whatever has `what` in it.
    async fn trouble(&self, what: &'static str, answer: Answer) -> ProviderError {
        self.change(|vcenter| vcenter.instead = Some((what, answer)));
        let error = self.provider.machines().await.unwrap_err();
        self.change(|vcenter| vcenter.instead = None);
        let told = format!("{error} {error:?}");
        assert!(
            !told.contains("s3cret") && !told.contains("session-"),
            "{told}"
        );
        error
    }

    async fn names(&self) -> Vec<String> {
        let machines = self.provider.machines().await.unwrap();
        machines.into_iter().map(|machine| machine.name).collect()
    }
}

fn is_login(asked: &&Asked) -> bool {
    asked.target.ends_with("/session") || asked.body.contains("<Login ")
}

#[tokio::test]
async fn the_machines_with_the_tag_are_found_on_many_pages_in_one_session() {
    let scene = Scene::new().await;
    let found = scene.provider.machines().await.unwrap();
    let one = Machine {
        id: UUID[0].to_owned(),
        name: "server-1".to_owned(),
        address: Ok("10.0.0.1".parse().unwrap()),
    };
    let other = Machine {
        id: UUID[1].to_owned(),
        name: "server-2".to_owned(),
        address: Err(LeftOut::State("poweredOff".to_owned())),
    };
    assert_eq!(found, [one, other]);
    assert_eq!(scene.provider.machines().await.unwrap(), found);
    assert_eq!(scene.double.asked().iter().filter(is_login).count(), 2);
}

#[tokio::test]
async fn a_session_that_is_over_is_followed_by_another() {
    let scene = Scene::new().await;
    scene.names().await;
    scene.change(|vcenter| vcenter.sessions.clear());
    assert_eq!(scene.names().await, ["server-1", "server-2"]);
    assert_eq!(scene.double.asked().iter().filter(is_login).count(), 4);
    // One that never holds is told, and not tried for ever.
    let over = fault("NotAuthenticated", "The session is not authenticated.");
    let error = scene.trouble("<RetrievePropertiesEx ", over).await;
    assert!(error.to_string().contains("NotAuthenticated"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_told_once_and_sent_once() {
    let scene = Scene::with(Vcenter::with_two(), &[("password", "s3cret-but-old")]).await;
    let first = scene.provider.machines().await.unwrap_err();
    let said = first.to_string();
    assert!(
        said.contains("401 Unauthorized unauthenticated Authentication required."),
        "{said}"
    );
    assert!(said.contains("check user and password"), "{said}");
    assert!(!format!("{first:?}").contains("s3cret"));
    assert_eq!(scene.provider.machines().await, Err(first));
    assert_eq!(scene.double.asked().len(), 1);
}

#[tokio::test]
async fn names_that_lead_nowhere_are_named() {
    for (key, value, said) in [
        (
            "category_name",
            "swarm",
            "no category \"swarm\" among the 2 ",
        ),
        (
            "tag_name",
            "vagrant-prod",
            "no tag \"vagrant-prod\" in the category \"swarmer\": among the 1 ",
        ),
        ("folder", "/DC0/vm/none", "no folder \"DC0/vm/none\""),
    ] {
        let scene = Scene::with(Vcenter::with_two(), &[(key, value)]).await;
        let error = scene.provider.machines().await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_folder_holds_those_in_its_folders_too() {
    let scene = Scene::with(Vcenter::with_two(), &[("folder", "/DC0/vm/prod")]).await;
    assert_eq!(scene.names().await, ["server-1"]);
}

#[tokio::test]
async fn a_tag_that_was_made_anew_is_found_again() {
    let scene = Scene::new().await;
    scene.names().await;
    let gone = "tag-association/id:urn:t:9";
    let error = scene.trouble(gone, bare(404)).await.to_string();
    assert!(error.contains("it was there, and is gone"), "{error}");
    assert_eq!(scene.names().await.len(), 2);
}

#[tokio::test]
async fn trouble_says_which_call_and_what_vcenter_said() {
    let scene = Scene::new().await;
    let pause = vec![("retry-after", "9".to_owned())];
    let error = scene
        .trouble("/session", (429, pause, "slow down".into()))
        .await;
    assert!(
        matches!(&error, ProviderError::Throttled { after: Some(after), .. } if after.as_secs() == 9),
        "{error:?}"
    );
    let error = scene.trouble("<RetrievePropertiesEx ", bare(503)).await;
    assert!(
        matches!(error, ProviderError::Throttled { after: None, .. }),
        "{error:?}"
    );
    let said = r#"{"type":"com.vmware.vapi.std.errors.unauthorized","value":{"messages":[{"default_message":"Forbidden."}]}}"#;
    let error = scene
        .trouble("list-attached", (403, vec![], said.into()))
        .await;
    assert_eq!(
        error.to_string(),
        "listing what carries the tag at vCenter: 403 Forbidden unauthorized Forbidden. (the account needs to read tags and virtual machines)"
    );
    let error = scene.trouble("<Retrieve", bare(502)).await.to_string();
    assert!(
        error.ends_with("(RetrievePropertiesEx): 502 Bad Gateway"),
        "{error}"
    );
}

#[tokio::test]
async fn answers_that_are_none_are_told_so() {
    let scene = Scene::new().await;
    let deep = format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let entities = "<!DOCTYPE a [<!ENTITY b \"cc\">]><a>&b;</a>".to_owned();
    for (what, body) in [
        ("/category", "<html>".to_owned()),
        ("/category", r#"{"value":{"a":1}}"#.to_owned()),
        ("list-attached", r#"{"value":[{"id":1}]}"#.to_owned()),
        ("list-attached", String::new()),
        ("<RetrievePropertiesEx ", "{}".to_owned()),
        ("<RetrievePropertiesEx ", "<a><b></a>".to_owned()),
        ("<RetrievePropertiesEx ", entities),
    ] {
        let error = scene.trouble(what, (200, vec![], body)).await;
        assert!(
            matches!(error, ProviderError::Unreadable { .. }),
            "{what}: {error}"
        );
    }
    let error = scene
        .trouble("<RetrievePropertiesEx ", (500, vec![], "<html/>".into()))
        .await;
    assert!(matches!(error, ProviderError::Unreadable { .. }), "{error}");
    // However deep, it is read or refused, and nothing falls over.
    scene.change(|vcenter| vcenter.instead = Some(("<Retrieve", (200, vec![], deep))));
    let _ = scene.provider.machines().await;
}

#[tokio::test]
async fn a_vcenter_that_turns_the_same_page_is_left() {
    let scene = Scene::new().await;
    let page = "<r><returnval><token>again</token></returnval></r>".to_owned();
    let error = scene
        .trouble("RetrievePropertiesEx ", (200, vec![], page))
        .await;
    assert!(error.to_string().contains("more than 100 pages"), "{error}");
}

#[tokio::test]
async fn a_machine_is_deleted_when_it_is_gone_and_its_peers_are_seen() {
    let scene = Scene::new().await;
    let fate = |id: &'static str| scene.provider.fate(id);
    assert_eq!(fate(UUID[0]).await, Ok(Fate::Exists("poweredOn".into())));
    assert_eq!(fate(UUID[1]).await, Ok(Fate::Exists("poweredOff".into())));
    assert_eq!(fate("i-0123").await, Ok(Fate::Unknown));
    scene.names().await;
    scene.change(|vcenter| {
        vcenter.machines.remove("vm-1");
    });
    assert_eq!(fate(UUID[0]).await, Ok(Fate::Missing));
    // Never seen by this program, and nowhere.
    assert_eq!(fate(UUID[2]).await, Ok(Fate::Unknown));
}

#[tokio::test]
async fn a_lost_permission_does_not_look_like_a_deletion() {
    let scene = Scene::new().await;
    scene.names().await;
    // It sees none of them any more.
    scene.change(|vcenter| vcenter.hidden = vcenter.machines.keys().cloned().collect());
    assert_eq!(scene.provider.fate(UUID[0]).await, Ok(Fate::Unknown));
    // It sees its peer, and not this one, which is still there.
    scene.change(|vcenter| {
        vcenter.hidden.remove("vm-2");
    });
    let error = scene.provider.fate(UUID[0]).await.unwrap_err().to_string();
    assert!(error.contains("NoPermission"), "{error}");
}

#[tokio::test]
async fn this_machine_finds_itself_by_its_firmware() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let mut scene = Scene::new().await;
    scene.provider.firmware = folder.path().to_owned();
    assert_eq!(scene.provider.this_machine().await, Ok(None));
    assert_eq!(scene.double.asked().len(), 0);
    put("sys_vendor", "VMware, Inc.\n");
    put(
        "product_serial",
        "VMware-42 1c aa 5b 6f 60 3a d7-b1 7c 5d 0f 2e 16 9d c1\n",
    );
    assert_eq!(scene.provider.this_machine().await, Ok(None));
    let bios = "421caa5b-6f60-3ad7-b17c-5d0f2e169dc1";
    scene.change(|vcenter| {
        for machine in vcenter.machines.values_mut() {
            machine[2] = bios;
        }
    });
    // The other one with this BIOS UUID does not run.
    let own = scene.provider.this_machine().await;
    assert_eq!(own, Ok(Some(UUID[0].to_owned())));
    scene.change(|vcenter| vcenter.machines.get_mut("vm-2").unwrap()[3] = "poweredOn");
    let error = scene.provider.this_machine().await.unwrap_err().to_string();
    assert!(
        error.contains("server-1 and server-2 have one BIOS UUID"),
        "{error}"
    );
}

#[test]
fn arguments_are_judged_before_anything_is_asked() {
    let judge = |key: &str, value: &str| {
        let mut args: BTreeMap<String, String> = [
            ("category_name", "a"),
            ("tag_name", "b"),
            ("host", "vcenter"),
            ("user", "u"),
            ("password", "p"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        args.insert(key.to_owned(), value.to_owned());
        let network = AdminNetwork::Interface("eth0".into());
        Vsphere::new(&args, &network)
            .err()
            .map(|error| error.to_string())
    };
    for host in [
        "vcenter.example.com",
        "vcenter:8443",
        "10.0.0.1",
        "[fd00::1]:443",
    ] {
        assert_eq!(judge("host", host), None, "{host}");
    }
    for host in [
        "https://vcenter",
        "vcenter/sdk",
        "me@vcenter",
        "vcenter:99999",
        ":443",
    ] {
        let error = judge("host", host).unwrap_or_default();
        assert!(error.contains("with or without a port"), "{host}: {error}");
    }
    for timeout in ["15", "0s", "-1s", "soon"] {
        let error = judge("timeout", timeout).unwrap_or_default();
        assert!(error.contains("a time such as 15s"), "{timeout}: {error}");
    }
}

#[tokio::test]
async fn an_unknown_vcenter_is_told_nothing() {
    let scene = Scene::with(Vcenter::with_two(), &[("thumbprint", &"ab".repeat(32))]).await;
    let error = scene.provider.machines().await.unwrap_err().to_string();
    assert!(
        error.starts_with("logging in to vCenter's REST API at localhost:"),
        "{error}"
    );
    assert!(
        error.contains("not the one that thumbprint names"),
        "{error}"
    );
    assert!(scene.double.asked().is_empty());
    scene.change(|vcenter| assert_eq!(vcenter.logins, 0));
}
