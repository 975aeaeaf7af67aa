"""moto's server, with one mistake of it mended: user-data of a launch template's second version is not
made what that of the first is, and no machine can be started from it."""

import sys

from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.utils import parse_user_data
from moto.server import main

original = LaunchTemplate.create_version


def create_version(self, data, description):
    if isinstance(data.get("UserData"), (str, bytes)):
        data["UserData"] = parse_user_data(data["UserData"])
    return original(self, data, description)


LaunchTemplate.create_version = create_version

if __name__ == "__main__":
    main(sys.argv[1:])
