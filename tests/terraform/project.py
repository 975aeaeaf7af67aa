"""A copy of terraform/ in a temporary folder, and what its user does with it. The tree is not written to."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from timeline import Failed, expect

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path(os.environ.get("SWARMER_TERRAFORM", ROOT / "target/terraform")).resolve()
SWARMER = os.environ.get("SWARMER", str(ROOT / "target/release/swarmer"))
LONGEST = 400


def run(arguments, folder=None, environment=None, may_fail=False, given=None):
    """Output of a program. A failure shows all that it said."""
    try:
        ended = subprocess.run(
            [str(one) for one in arguments], cwd=folder, env={**os.environ, **(environment or {})},
            input=given, capture_output=True, text=True, timeout=LONGEST, check=False)
    except FileNotFoundError as error:
        raise Failed(f"there is no {error.filename}") from error
    if may_fail:
        return ended
    if ended.returncode != 0:
        raise Failed(f"{' '.join(map(str, arguments))} ended with {ended.returncode}:\n{ended.stdout[-6000:]}{ended.stderr[-6000:]}")
    return ended.stdout


def swarmer(*arguments, **more):
    return run([SWARMER, *arguments], **more)


class Tokens:
    """One secret makes all: as an operator makes them."""

    def __init__(self):
        self.server = swarmer("token", "new").strip()
        self.worker = swarmer("token", "derive", "worker", given=self.server).strip()

    def expect_not_in(self, text, where):
        for token in (self.server, self.worker):
            # Neither whole nor in part.
            secret = token.rsplit("-", 1)[1]
            expect(secret[:20] not in text, f"a token is in {where}")


class Tree:
    """The copy. Its providers come from the cache, never from the network."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="swarmer-terraform-"))
        shutil.copytree(ROOT / "terraform", self.folder / "terraform", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        settings = self.folder / "terraform.rc"
        settings.write_text(
            f'disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = "{CACHE}/mirror"\n  }}\n}}\n')
        self.environment = {"TF_CLI_CONFIG_FILE": str(settings), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}

    def path(self, name):
        return self.folder / "terraform" / name

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Project:
    """One root module of the copy: an example, or a module by itself."""

    def __init__(self, tree, name, environment=None):
        self.tree, self.name, self.folder = tree, name, tree.path(name)
        self.environment = {**tree.environment, **(environment or {})}

    def terraform(self, *arguments, may_fail=False):
        return run(["terraform", *arguments], self.folder, self.environment, may_fail)

    def write(self, file, text):
        (self.folder / file).write_text(text)

    def edit(self, file, old, new):
        path = self.folder / file
        text = path.read_text()
        expect(old in text, f"{file} has no {old!r}")
        path.write_text(text.replace(old, new))

    def init(self):
        self.terraform("init", "-no-color", "-backend=false" if self.name.startswith(("modules", "aws", "vsphere")) else "-upgrade=false")

    def validate(self):
        said = json.loads(self.terraform("validate", "-json"))
        told = [f"{one['severity']}: {one['summary']}: {one['detail']}" for one in said["diagnostics"]]
        expect(said["valid"] and not told, f"{self.name}: {told}")

    def test(self):
        said = self.terraform("test", "-no-color")
        passed = re.search(r"(\d+) passed, 0 failed", said)
        expect(passed and int(passed[1]) > 0, f"{self.name}: {said[-2000:]}")
        return int(passed[1])

    def plan(self, *arguments):
        """The plan as people see it, and as programs do."""
        seen = self.terraform("plan", "-no-color", "-out=plan", *arguments)
        return seen, json.loads(self.terraform("show", "-json", "plan"))

    def refused(self, *arguments):
        """What a plan that can't be made says, in one line's width."""
        ended = self.terraform("plan", "-no-color", *arguments, may_fail=True)
        expect(ended.returncode != 0, f"{self.name}: a plan was made of {arguments}")
        return " ".join((ended.stdout + ended.stderr).split())

    def apply(self, *arguments):
        return self.terraform("apply", "-auto-approve", "-no-color", *arguments)

    def destroy(self):
        return self.terraform("destroy", "-auto-approve", "-no-color")

    def outputs(self):
        return {name: one["value"] for name, one in json.loads(self.terraform("output", "-json")).items()}

    def state(self):
        return self.terraform("state", "list").split()


def actions(plan):
    """What a plan would do: address to actions, but for what it leaves."""
    changes = {one["address"]: one["change"]["actions"] for one in plan.get("resource_changes", [])}
    return {address: done for address, done in changes.items() if done not in (["no-op"], ["read"])}


def differences(plan):
    """What it would change: address and attribute, or the action where that is no update."""
    found = set()
    for address, done in actions(plan).items():
        [change] = [one["change"] for one in plan["resource_changes"] if one["address"] == address]
        before, after = change["before"] or {}, change["after"] or {}
        # What will only be known then follows from what is known to change.
        names = {name for name in after if before.get(name) != after[name]}
        found |= {f"{address} {name}" for name in names} if done == ["update"] else {f"{address} {'/'.join(done)}"}
    return found
