"""What EC2 has and moto has not: hosts. Behind each instance that runs is a network namespace with its address,
in which the agent runs with the instance's own user-data and finds a metadata service where EC2 has it."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from node_file import decoded, file_of
from project import SWARMER, run
from timeline import Failed, expect

INSIDE = "SWARMER_TERRAFORM_INSIDE"
METADATA = "169.254.169.254"
ROLE = "iam/security-credentials/"
# A lease, a question to the cloud and a removal, on a busy machine. Without a witness it is ten minutes.
SOON = 30


def missing():
    """Why there can be no hosts here; empty if there can."""
    if os.geteuid() != 0:
        return "root"
    tools = ["unshare", "ip", "dig", "docker-registry"]
    return " and ".join(one for one in tools if subprocess.run(["which", one], capture_output=True, check=False).returncode)


def enter():
    """Goes on in a network namespace with nothing in it: what runs here reaches no other network."""
    if missing() or os.environ.get(INSIDE):
        return
    os.environ[INSIDE] = "yes"
    setup = 'mount -t tmpfs run /run && ip link set lo up && exec "$@"'
    os.execvp("unshare", ["unshare", "--net", "--mount", "sh", "-c", setup, "sh", sys.executable, *sys.argv])


class Metadata(BaseHTTPRequestHandler):
    """IMDSv2, for whichever instance asks."""

    protocol_version = "HTTP/1.1"
    token = "a-session"

    def do_PUT(self):
        self.answer(200, self.token)

    def do_GET(self):
        if self.headers.get("x-aws-ec2-metadata-token") != self.token:
            return self.answer(401, "")
        instance = self.server.instances.get(self.client_address[0])
        found = self.told(instance).get(self.path.removeprefix("/latest/meta-data/")) if instance else None
        return self.answer(404, "") if found is None else self.answer(200, found)

    def told(self, instance):
        key = {"Code": "Success", "AccessKeyId": "testing", "SecretAccessKey": "testing", "Token": "testing", "Expiration": "2100-01-01T00:00:00Z"}
        return {
            "instance-id": instance, "placement/region": self.server.region,
            ROLE: "node", f"{ROLE}node": json.dumps(key), "autoscaling/target-lifecycle-state": "InService",
        }

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


class Host:
    """One instance's."""

    def __init__(self, hosts, instance):
        self.id, self.address = instance["InstanceId"], instance["PrivateIpAddress"]
        self.hosts, self.space = hosts, self.id[:12]
        self.folder = hosts.folder / self.id
        self.folder.mkdir()
        self.plug()
        (self.folder / "swarmer.yaml").write_text(self.file())
        self.log = open(self.folder / "log", "w")
        self.agent = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *self.inside(), SWARMER, "agent", "--config", str(self.folder / "swarmer.yaml")],
            stdout=self.log, stderr=self.log, env={**os.environ, "AWS_ENDPOINT_URL": self.hosts.aws})

    def inside(self):
        return ["ip", "netns", "exec", self.space]

    def plug(self):
        port = f"p{self.id[2:12]}"
        run(["ip", "netns", "add", self.space])
        run(["ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self.space])
        run(["ip", "link", "set", port, "master", "vpc", "up"])
        for words in (["link", "set", "lo", "up"], ["addr", "add", f"{self.address}/{self.hosts.prefix}", "dev", "eth0"],
                      ["link", "set", "eth0", "up"], ["route", "add", METADATA, "dev", "eth0"]):
            run(["ip", "-n", self.space, *words])

    def file(self):
        """What cloud-init would write; a simulator and a host without an engine need four lines more."""
        attribute = self.hosts.look.ec2.describe_instance_attribute(InstanceId=self.id, Attribute="userData")
        text = file_of(decoded(attribute["UserData"]["Value"]))
        at = f'      "regionendpoint": "{self.hosts.aws}"\n      "accesskey": "testing"\n      "secretkey": "testing"\n'
        text, count = re.subn(r'( {4}"s3":\n)', rf"\1{at}", text)
        expect(count == 1, f"no bucket in\n{text}")
        return f"{text.rstrip()}\ndata_dir: {self.folder / 'data'}\ndocker: {{enabled: false}}\n"

    def swarmer(self, *arguments):
        return run([*self.inside(), SWARMER, *arguments])

    def end(self):
        self.agent.kill()
        self.agent.wait(10)
        self.log.close()
        run(["ip", "netns", "delete", self.space])

    def last_words(self):
        return f"{self.address}:\n{(self.folder / 'log').read_text()[-3000:]}"


class Hosts:
    """Those of one cluster's servers, in one VPC."""

    def __init__(self, moto, look, tag, vpc, folder):
        self.look, self.tag, self.folder, self.hosts = look, tag, folder / "hosts", {}
        self.folder.mkdir()
        base, self.prefix = vpc.split("/")
        # The last of the VPC's addresses, where no subnet of nodes is.
        gateway = ".".join(base.split(".")[:2]) + ".255.254"
        self.aws = f"http://{gateway}:{moto.port}"
        # With an address of its own it does not take another one when a host goes.
        run(["ip", "link", "add", "vpc", "address", "02:00:00:00:00:01", "type", "bridge"])
        for address in (f"{gateway}/{self.prefix}", f"{METADATA}/32"):
            run(["ip", "addr", "add", address, "dev", "vpc"])
        run(["ip", "link", "set", "vpc", "up"])
        self.metadata = ThreadingHTTPServer((METADATA, 80), Metadata)
        self.metadata.instances, self.metadata.region = {}, moto.REGION
        threading.Thread(target=self.metadata.serve_forever, daemon=True).start()

    def instances(self):
        return {one["InstanceId"]: one for one in self.look.instances(self.tag, "server")}

    def end(self):
        """Machines that EC2 has ended are dead at once."""
        for gone in set(self.hosts) - set(self.instances()):
            self.hosts.pop(gone).end()

    def start(self):
        """Those that it has started, start."""
        for new, instance in self.instances().items():
            if new not in self.hosts:
                self.metadata.instances[instance["PrivateIpAddress"]] = new
                self.hosts[new] = Host(self, instance)

    def any(self):
        return next(iter(self.hosts.values()))

    def wait_healthy(self):
        """As an operator waits between two replacements."""
        with self.explained():
            for host in self.hosts.values():
                until(f"the agent at {host.address} answers", lambda: host.swarmer("status"))
            self.any().swarmer("status", "--wait-healthy", "--timeout", "2m")

    @contextmanager
    def explained(self):
        """A failure shows what the agents said last."""
        try:
            yield
        except Failed as error:
            raise Failed("\n".join([str(error), *(host.last_words() for host in self.hosts.values())])) from error

    def members(self):
        status = json.loads(self.any().swarmer("status", "--json"))
        return {one["address"].rsplit(":", 1)[0] for one in status["members"]}

    def wait_members(self):
        """The members are the machines that run; seconds that it took."""
        begun, right = time.monotonic(), {host.address for host in self.hosts.values()}
        with self.explained():
            until(f"the members are {sorted(right)}", lambda: expect(self.members() == right, f"{sorted(self.members())}"))
        return time.monotonic() - begun

    def dig(self, name):
        return run(["dig", "+short", "+tries=1", f"@{self.any().address}", name]).split()

    def close(self):
        for host in self.hosts.values():
            host.end()
        self.metadata.shutdown()
        run(["ip", "link", "delete", "vpc"])


def until(fact, look):
    """Waits for a fact, and says what was seen instead."""
    end = time.monotonic() + SOON
    while True:
        try:
            return look()
        except Failed as error:
            if time.monotonic() > end:
                raise Failed(f"not within {SOON} s: {fact}: {error}") from error
            time.sleep(0.3)
