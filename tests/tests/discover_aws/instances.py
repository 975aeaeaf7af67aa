"""Six machines of two clusters, in as many states; prints those of vagrant-dev by name."""

import json
import sys

import boto3

ec2 = boto3.client(
    "ec2", endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id="any", aws_secret_access_key="any"
)
image = ec2.describe_images()["Images"][0]["ImageId"]


def run(name, cluster):
    tags = [{"Key": "Name", "Value": name}, {"Key": "swarmer", "Value": cluster}]
    answer = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}]
    )
    return answer["Instances"][0]["InstanceId"]


ids = {name: run(name, "vagrant-dev") for name in ("node-1", "node-2", "node-3", "stopped", "gone")}
run("stranger", "vagrant-prod")
ec2.stop_instances(InstanceIds=[ids["stopped"]])
ec2.terminate_instances(InstanceIds=[ids["gone"]])
found = {}
for reservation in ec2.describe_instances(InstanceIds=list(ids.values()))["Reservations"]:
    for instance in reservation["Instances"]:
        name = next(tag["Value"] for tag in instance["Tags"] if tag["Key"] == "Name")
        found[name] = {
            "id": instance["InstanceId"],
            "private": instance.get("PrivateIpAddress"),
            "public": instance.get("PublicIpAddress"),
        }
print(json.dumps(found))
