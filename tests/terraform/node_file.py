"""What a machine is told, read back as cloud-init reads it, and judged by the agent."""

import base64
import gzip
import re
import tempfile

from project import swarmer
from timeline import Failed, equal, expect

LIMIT = 16 * 1024


def decoded(user_data, limit=LIMIT):
    """User-data as a simulator has it: base64 of gzip."""
    packed = base64.b64decode(user_data, validate=True)
    expect(len(packed) <= limit, f"user-data has {len(packed)} bytes")
    return gzip.decompress(packed).decode()


def file_of(text):
    """The node's one file in a #cloud-config."""
    expect(text.startswith("#cloud-config\n"), text[:40])
    found = re.search(r"  - path: /etc/swarmer/swarmer.yaml\n    owner: root:root\n    permissions: \"0600\"\n    content: \|\n((?:      .*\n)+)", text)
    if not found:
        raise Failed("there is no file for the agent in the user-data")
    return re.sub(r"^      ", "", found[1], flags=re.M)


def check(user_data, role, token, name=None):
    """The agent takes the file, and it says what it should."""
    text = decoded(user_data)
    own = file_of(text)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(own)
        file.flush()
        said = swarmer("config", "check", file.name)
    expect(f"is fine: a {role} of " in said, said)
    expect(token in own, f"a {role} was not told its token")
    if name:
        expect(f"\nname: {name}\n" in own and f"\nhostname: {name}\n" in text, f"{name} is not told its name")
    else:
        equal([line for line in own.splitlines() if line.startswith("name:")], [], "an anonymous worker's name")
    return own
