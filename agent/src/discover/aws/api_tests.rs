//! The calls beside discovery: lifecycle hooks, and secrets that AWS keeps.

use super::double::{Answer, Asked, Double, args, around};
use super::{Api, GroupMember, Hook};
use crate::discover::ProviderError;

const VARIABLE: [&str; 3] = [
    "AWS_ENDPOINT_URL_AUTO_SCALING",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
];

async fn answering(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Double, Api) {
    let double = Double::new(answer).await;
    let mut variables: Vec<_> = VARIABLE.map(|name| (name, double.url.as_str())).to_vec();
    variables.push(("AWS_REGION", "eu-west-1"));
    variables.push(("AWS_ACCESS_KEY_ID", "A"));
    variables.push(("AWS_SECRET_ACCESS_KEY", "B"));
    let api = Api::in_surroundings(&args(&[]), around(&variables)).unwrap();
    (double, api)
}

const MEMBER: &str = "<DescribeAutoScalingInstancesResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><DescribeAutoScalingInstancesResult><AutoScalingInstances><member><InstanceId>i-1</InstanceId><AutoScalingGroupName>servers-a</AutoScalingGroupName><LifecycleState>Terminating:Wait</LifecycleState></member></AutoScalingInstances></DescribeAutoScalingInstancesResult></DescribeAutoScalingInstancesResponse>";
const HOOKS: &str = "<DescribeLifecycleHooksResponse xmlns=\"x\"><DescribeLifecycleHooksResult><LifecycleHooks><member><LifecycleHookName>up</LifecycleHookName><LifecycleTransition>autoscaling:EC2_INSTANCE_LAUNCHING</LifecycleTransition></member><member><LifecycleHookName>drainer</LifecycleHookName><LifecycleTransition>autoscaling:EC2_INSTANCE_TERMINATING</LifecycleTransition></member><member><LifecycleHookName>swarmer-leave</LifecycleHookName><LifecycleTransition>autoscaling:EC2_INSTANCE_TERMINATING</LifecycleTransition></member></LifecycleHooks></DescribeLifecycleHooksResult></DescribeLifecycleHooksResponse>";

#[tokio::test]
async fn a_hook_is_found_kept_waiting_and_answered() {
    let (double, api) = answering(|asked| {
        assert!(
            asked
                .header("authorization")
                .contains("/eu-west-1/autoscaling/")
        );
        let is = |action: &str| {
            asked
                .body
                .starts_with(&format!("Action={action}&Version=2011-01-01&"))
        };
        let answer = match () {
            () if is("DescribeAutoScalingInstances") => MEMBER,
            () if is("DescribeLifecycleHooks") => HOOKS,
            () => "<ok/>",
        };
        (200, answer.to_owned())
    })
    .await;
    let member = api.describe_auto_scaling_instance("i-1").await;
    let waiting = GroupMember {
        group: "servers-a".to_owned(),
        lifecycle_state: "Terminating:Wait".to_owned(),
    };
    assert_eq!(member, Ok(Some(waiting)));
    assert_eq!(api.describe_auto_scaling_instance("i-2").await, Ok(None));
    let hook = Hook {
        group: "servers-a".to_owned(),
        name: "swarmer-leave".to_owned(),
        instance_id: "i-1".to_owned(),
    };
    let found = api.leave_hook("servers-a", "i-1").await;
    assert_eq!(found, Ok(Some(hook.clone())));
    api.record_lifecycle_heartbeat(&hook).await.unwrap();
    api.complete_lifecycle_action(&hook).await.unwrap();
    let last: Vec<_> = double
        .asked()
        .into_iter()
        .skip(3)
        .map(|one| one.body)
        .collect();
    let rest = "AutoScalingGroupName=servers-a&LifecycleHookName=swarmer-leave&InstanceId=i-1";
    assert_eq!(
        last,
        [
            format!("Action=RecordLifecycleActionHeartbeat&Version=2011-01-01&{rest}"),
            format!(
                "Action=CompleteLifecycleAction&Version=2011-01-01&{rest}&LifecycleActionResult=CONTINUE"
            ),
        ]
    );
}

#[tokio::test]
async fn a_secret_is_fetched_from_either_place() {
    let (_double, api) = answering(|asked| match asked.header("x-amz-target") {
        "AmazonSSM.GetParameter" => {
            assert!(
                asked.body.contains(r#""Name":"/swarmer/token""#),
                "{}",
                asked.body
            );
            assert!(
                asked.body.contains(r#""WithDecryption":true"#),
                "{}",
                asked.body
            );
            (200, r#"{"Parameter":{"Value":"from-ssm\n"}}"#.to_owned())
        }
        "secretsmanager.GetSecretValue" => {
            assert_eq!(
                asked.body,
                r#"{"SecretId":"arn:aws:secretsmanager:x:1:secret:y"}"#
            );
            (200, r#"{"SecretString":"from-manager"}"#.to_owned())
        }
        _ => (400, String::new()),
    })
    .await;
    let secret = api.secret("ssm:/swarmer/token").await.unwrap();
    assert_eq!(secret.expose(), "from-ssm");
    let secret = api
        .secret("secretsmanager:arn:aws:secretsmanager:x:1:secret:y")
        .await
        .unwrap();
    assert_eq!(secret.expose(), "from-manager");
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told_and_none_is_ever_quoted() {
    let cases = [
        (
            400,
            r#"{"__type":"ParameterNotFound"}"#,
            "nothing has that name",
        ),
        (
            400,
            r#"{"__type":"AccessDeniedException","message":"no"}"#,
            "kms:Decrypt",
        ),
        (200, r#"{"Parameter":{"Value":""}}"#, "it holds no text"),
        (
            200,
            r#"{"Parameter":{"Value":["s3cret"]}}"#,
            "it holds no text",
        ),
        (200, "s3cret", "it is no JSON"),
    ];
    for (status, body, said) in cases {
        let (_double, api) = answering(move |_| (status, body.to_owned())).await;
        let error = api.secret("ssm:/x").await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
    let (double, api) = answering(|_| (200, String::new())).await;
    for source in ["ssm:", "secretsmanager:", "vault:x", "s3cret"] {
        let error = api.secret(source).await.unwrap_err();
        assert!(matches!(error, ProviderError::Argument { .. }), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    assert!(double.asked().is_empty());
}
