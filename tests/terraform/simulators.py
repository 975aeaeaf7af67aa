"""moto (AWS) and vcsim (vCenter), each on a free port of loopback, and their own ways to look into them."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import hosts
from project import CACHE, ROOT, run
from timeline import Failed

STARTS_WITHIN = 60
# moto: AWS' own policies are there, as they are at AWS.
SETTINGS = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Simulator:
    """A process that ends with the test."""

    def __init__(self, arguments, log):
        self.log = log
        with open(log, "w") as file:
            # It ends with the test, however that ends.
            mortal = ["setpriv", "--pdeathsig", "KILL", "--", *map(str, arguments)]
            self.process = subprocess.Popen(mortal, stdout=file, stderr=file, env={**os.environ, **SETTINGS})

    def wait(self, url):
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(url, timeout=1)
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
        raise Failed(f"{url} does not answer:\n{open(self.log).read()[-2000:]}")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Vcsim(Simulator):
    """A vCenter with a datacenter, a cluster of three hosts, and some machines that serve as templates."""

    TEMPLATE = "DC0_C0_RP0_VM0"

    def __init__(self, folder):
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__([ROOT / "target/vcsim/vcsim", "-l", self.address, "-dc", 1, "-vm", 1], folder / "vcsim.log")
        # It speaks TLS with a certificate of its own: an answer in plain text says that it is there.
        self.wait(f"http://{self.address}/about")
        self.environment = {
            "VSPHERE_SERVER": self.address, "VSPHERE_USER": "user", "VSPHERE_PASSWORD": "pass", "VSPHERE_ALLOW_UNVERIFIED_SSL": "true",
        }

    def govc(self, *arguments):
        """vCenter's API, by VMware's own client."""
        environment = {"GOVC_URL": f"https://user:pass@{self.address}/sdk", "GOVC_INSECURE": "1", "GOVC_DATACENTER": "DC0"}
        return run([CACHE / "bin/govc", *arguments], environment=environment)

    def machines(self, folder):
        """The machines in a folder, by name."""
        paths = self.govc("find", f"/DC0/vm/{folder}", "-type", "m").split()
        found = json.loads(self.govc("vm.info", "-json", *paths))["virtualMachines"] if paths else []
        return {one["name"]: one for one in found}

    @staticmethod
    def extra_config(machine):
        return {one["key"]: one["value"] for one in machine["config"]["extraConfig"]}

    def everything(self):
        """All that can be left behind."""
        lists = [("find", "/", "-type", kind) for kind in "mfp"] + [("tags.ls",), ("tags.category.ls",), ("cluster.rule.ls", "-cluster", "DC0_C0")]
        return {" ".join(one): sorted(self.govc(*one).splitlines()) for one in lists}


class Moto(Simulator):
    """Some of AWS, with an image in it."""

    REGION = "eu-central-1"

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # In a namespace of its own, hosts are to reach it too.
        at = "0.0.0.0" if os.environ.get(hosts.INSIDE) else "127.0.0.1"
        super().__init__([sys.executable, Path(__file__).with_name("moto_server.py"), "-H", at, "-p", self.port], folder / "moto.log")
        self.wait(f"{self.url}/moto-api/data.json")
        self.environment = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": self.REGION}

    def client(self, service):
        import boto3  # Comes with moto, in its own environment.

        return boto3.client(service, region_name=self.REGION, endpoint_url=self.url, aws_access_key_id="testing", aws_secret_access_key="testing")

    def override(self):
        """For an example's own provider: the test alone knows where moto is."""
        services = ["autoscaling", "ec2", "elbv2", "iam", "kms", "route53resolver", "s3", "ssm", "sts"]
        endpoints = "\n".join(f'    {service} = "{self.url}"' for service in services)
        return f"""provider "aws" {{
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
  max_retries                 = 2
  endpoints {{
{endpoints}
  }}
}}
"""
