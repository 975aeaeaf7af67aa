//! A double of Amazon's cloud, as far as an agent asks it: each instance's metadata service
//! (version 2), EC2, autoscaling, Systems Manager, Secrets Manager. Answers are written from the
//! public API documents. [`Ec2`] is a smaller one, whose instances are no nodes and which has moods;
//! for the real protocol there is [`crate::moto`].

mod ec2;
mod wire;

pub use ec2::{Ec2, Mood};

use std::collections::BTreeMap;
use std::fmt::{Debug, Formatter};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use self::wire::{Answer, Request};
use crate::node::Node;
use crate::settings::Role;

/// The cloud.
#[derive(Clone)]
pub struct Amazon {
    world: Arc<Mutex<World>>,
    api: SocketAddr,
}

/// What it knows of one instance.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    /// EC2's word: `running`, `terminated`, …
    pub state: String,
    /// Its address.
    pub address: String,
    /// Whether it has the tag that agents look for; servers have.
    pub tagged: bool,
    /// The metadata service's answers, by path under `latest/meta-data/`.
    pub metadata: BTreeMap<String, String>,
    /// Its autoscaling group's word: `InService`, `Terminating:Wait`, …
    pub lifecycle: String,
    /// Its metadata service takes connections and never answers.
    pub hangs: bool,
}

#[derive(Default)]
struct World {
    instances: BTreeMap<String, Instance>,
    parameters: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    calls: Vec<String>,
    watcher: Option<Watcher>,
    refuses: bool,
}

/// Called with each call before it is answered.
type Watcher = Arc<dyn Fn(&str) + Send + Sync>;

impl Debug for Amazon {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Amazon").field("api", &self.api).finish()
    }
}

impl Amazon {
    /// An empty cloud.
    pub fn start() -> Result<Self> {
        let world: Arc<Mutex<World>> = Arc::default();
        let answering = world.clone();
        let api = wire::serve(move |request| api_answer(&answering, &request))?;
        Ok(Self { world, api })
    }

    /// Makes a node an instance of an autoscaling group with one terminating hook; its id is
    /// `i-NAME`. The node's file gets the entry of `join`, its agent the environment.
    pub fn adopt(&self, node: &Node) -> Result<()> {
        let id = format!("i-{}", node.name());
        let instance = Instance {
            state: "running".to_owned(),
            address: node.address().to_string(),
            tagged: node.role() == Role::Server,
            metadata: BTreeMap::from([
                ("instance-id".to_owned(), id.clone()),
                (
                    "autoscaling/target-lifecycle-state".to_owned(),
                    "InService".to_owned(),
                ),
            ]),
            lifecycle: "InService".to_owned(),
            hangs: false,
        };
        self.lock().instances.insert(id.clone(), instance);
        let world = self.world.clone();
        let metadata = wire::serve(move |request| metadata_answer(&world, &id, &request))?;
        let environment = [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.api)),
            (
                "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                format!("http://{metadata}"),
            ),
            ("AWS_REGION", "eu-west-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIADOUBLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "double".to_owned()),
        ];
        node.reconfigure(|settings| {
            let environment = environment.iter().cloned();
            let environment = environment.map(|(name, value)| (name.to_owned(), value));
            settings.environment.extend(environment);
            let entry = "provider=aws tag_key=swarmer tag_value=test-dev";
            settings.join.push(entry.to_owned());
        });
        Ok(())
    }

    /// Changes what it knows of `i-NAME`.
    ///
    /// # Panics
    /// If there is none: the test itself is wrong.
    pub fn change(&self, node: &str, change: impl FnOnce(&mut Instance)) {
        let mut world = self.lock();
        let instance = world.instances.get_mut(&format!("i-{node}"));
        change(instance.expect("a node that was adopted"));
    }

    /// Its group wants this node's instance gone, and its hook waits.
    pub fn tell_to_go(&self, node: &str) {
        self.change(node, |instance| {
            "Terminating:Wait".clone_into(&mut instance.lifecycle);
            let path = "autoscaling/target-lifecycle-state".to_owned();
            instance.metadata.insert(path, "Terminated".to_owned());
        });
    }

    /// A parameter of Systems Manager.
    pub fn put_parameter(&self, name: &str, value: &str) {
        self.lock()
            .parameters
            .insert(name.to_owned(), value.to_owned());
    }

    /// A secret of Secrets Manager.
    pub fn put_secret(&self, name: &str, value: &str) {
        self.lock()
            .secrets
            .insert(name.to_owned(), value.to_owned());
    }

    /// Whether every signed call is refused, for want of rights.
    pub fn refuse(&self, refuse: bool) {
        self.lock().refuses = refuse;
    }

    /// Calls `watch` with each call, as [`Amazon::calls`] lists it, before it is answered.
    pub fn watch(&self, watch: impl Fn(&str) + Send + Sync + 'static) {
        self.lock().watcher = Some(Arc::new(watch));
    }

    /// The calls so far, each as `ACTION OBJECT`.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// How often exactly that was called.
    #[must_use]
    pub fn count(&self, call: &str) -> usize {
        self.lock().calls.iter().filter(|one| *one == call).count()
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }
}

fn locked(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(world: &Mutex<World>, call: String) {
    let watcher = locked(world).watcher.clone();
    if let Some(watch) = watcher {
        watch(&call);
    }
    locked(world).calls.push(call);
}

fn metadata_answer(world: &Mutex<World>, id: &str, request: &Request) -> Answer {
    let instance = locked(world).instances.get(id)?.clone();
    if instance.hangs {
        return None;
    }
    let token = format!("token-of-{id}");
    if (request.method.as_str(), request.path.as_str()) == ("PUT", "/latest/api/token") {
        return Some((200, token));
    }
    if request.headers.get("x-aws-ec2-metadata-token") != Some(&token) {
        return Some((401, String::new()));
    }
    let path = request.path.strip_prefix("/latest/meta-data/");
    let found = path.and_then(|path| instance.metadata.get(path));
    Some(found.map_or((404, String::new()), |text| (200, text.clone())))
}

fn api_answer(world: &Mutex<World>, request: &Request) -> Answer {
    let signed = request.headers.get("authorization");
    if !signed.is_some_and(|text| text.starts_with("AWS4-HMAC-SHA256 ")) {
        return Some((403, refusal("AuthFailure", "not signed")));
    }
    if locked(world).refuses {
        let message = "You are not authorized to perform this operation.";
        return Some((403, refusal("UnauthorizedOperation", message)));
    }
    if let Some(target) = request.headers.get("x-amz-target") {
        return Some(secret_answer(world, target, &request.body));
    }
    let form = wire::form(&request.body);
    let get = |key: &str| form.get(key).map(String::as_str).unwrap_or_default();
    let action = get("Action");
    let id = ["InstanceId", "InstanceId.1", "InstanceIds.member.1"]
        .map(get)
        .concat();
    note(world, format!("{action} {id}"));
    let mut world = locked(world);
    let body = match action {
        "DescribeInstances" => {
            let all = world.instances.iter();
            let some = all.filter(|(one, instance)| match id.as_str() {
                "" => instance.tagged,
                id => *one == id,
            });
            let items = some.map(|(id, one)| instance_item(id, &one.state, &one.address));
            return Some((200, describe_instances(&items.collect::<String>())));
        }
        "DescribeAutoScalingInstances" => {
            let member = world.instances.get(&id).map(|instance| {
                format!(
                    "<member><InstanceId>{id}</InstanceId><AutoScalingGroupName>group</AutoScalingGroupName><LifecycleState>{}</LifecycleState></member>",
                    instance.lifecycle
                )
            });
            result(action, &format!("<AutoScalingInstances>{}</AutoScalingInstances>", member.unwrap_or_default()))
        }
        "DescribeLifecycleHooks" => result(
            action,
            "<LifecycleHooks><member><LifecycleHookName>swarmer-leave</LifecycleHookName><LifecycleTransition>autoscaling:EC2_INSTANCE_TERMINATING</LifecycleTransition></member></LifecycleHooks>",
        ),
        "CompleteLifecycleAction" => {
            if let Some(instance) = world.instances.get_mut(&id) {
                "Terminating:Proceed".clone_into(&mut instance.lifecycle);
            }
            result(action, "")
        }
        "RecordLifecycleActionHeartbeat" => result(action, ""),
        _ => return Some((400, "<ErrorResponse><Error><Code>InvalidAction</Code><Message>not in this double</Message></Error></ErrorResponse>".to_owned())),
    };
    Some((200, format!("<{action}Response>{body}</{action}Response>")))
}

fn result(action: &str, inner: &str) -> String {
    format!("<{action}Result>{inner}</{action}Result>")
}

fn refusal(code: &str, message: &str) -> String {
    format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
    )
}

fn describe_instances(items: &str) -> String {
    format!(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
    )
}

fn instance_item(id: &str, state: &str, address: &str) -> String {
    format!(
        "<item><instanceId>{id}</instanceId><instanceState><name>{state}</name></instanceState><privateIpAddress>{address}</privateIpAddress></item>"
    )
}

fn secret_answer(world: &Mutex<World>, target: &str, body: &str) -> (u16, String) {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let name = body["Name"].as_str().or(body["SecretId"].as_str());
    let name = name.unwrap_or_default().to_owned();
    note(world, format!("{target} {name}"));
    let world = locked(world);
    let (found, missing) = match target {
        "AmazonSSM.GetParameter" => {
            let value = world.parameters.get(&name);
            let found = value.map(|value| serde_json::json!({"Parameter": {"Value": value}}));
            (found, "ParameterNotFound")
        }
        _ => {
            let value = world.secrets.get(&name);
            let found = value.map(|value| serde_json::json!({"SecretString": value}));
            (found, "ResourceNotFoundException")
        }
    };
    match found {
        Some(found) => (200, found.to_string()),
        None => (
            400,
            serde_json::json!({"__type": missing, "message": "there is none of that name"})
                .to_string(),
        ),
    }
}
