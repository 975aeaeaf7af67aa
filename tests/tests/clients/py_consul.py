"""What programs do with py-consul. Arguments: host, port and name of the node that is asked."""
import sys
import threading
import time

import consul

host, port, node = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client = consul.Consul(host=host, port=port)


def step(name):
    print("    " + name, flush=True)


step("values are stored, read, listed and deleted")
prefix = "py/" + node
assert client.kv.put(prefix + "/a", "one", flags=2**64 - 1)
index, entry = client.kv.get(prefix + "/a")
assert entry["Value"] == b"one" and entry["Flags"] == 2**64 - 1, entry
assert client.kv.put(prefix + "/b c:ü", "two")
index, entries = client.kv.get(prefix + "/", recurse=True)
assert [e["Value"] for e in entries] == [b"one", b"two"], entries
index, keys = client.kv.get(prefix + "/", keys=True)
assert keys == [prefix + "/a", prefix + "/b c:ü"], keys
assert client.kv.delete(prefix + "/b c:ü")
index, entry = client.kv.get(prefix + "/b c:ü")
assert entry is None and int(index) > 0, (index, entry)

step("compare and set")
assert client.kv.put(prefix + "/cas", "first", cas=0)
assert not client.kv.put(prefix + "/cas", "again", cas=0)
index, entry = client.kv.get(prefix + "/cas")
assert client.kv.put(prefix + "/cas", "second", cas=entry["ModifyIndex"])
assert not client.kv.put(prefix + "/cas", "third", cas=entry["ModifyIndex"])

step("a blocking read returns when the key changes")
index, entry = client.kv.get(prefix + "/a")
seen = []
watcher = threading.Thread(
    target=lambda: seen.append(
        consul.Consul(host=host, port=port).kv.get(prefix + "/a", index=index, wait="20s")
    )
)
watcher.start()
time.sleep(0.3)
assert not seen, "it returned before anything changed"
client.kv.put(prefix + "/a", "changed")
watcher.join(10)
assert seen and seen[0][1]["Value"] == b"changed", seen

step("a lock has one holder")
one = client.session.create(name="one", lock_delay=0, ttl=20)
two = client.session.create(name="two", lock_delay=0, behavior="delete")
assert client.kv.put(prefix + "/lock", "one", acquire=one)
assert not client.kv.put(prefix + "/lock", "two", acquire=two)
index, entry = client.kv.get(prefix + "/lock")
assert entry["Session"] == one and entry["LockIndex"] == 1, entry
assert client.kv.put(prefix + "/lock", "one", release=one)
assert client.kv.put(prefix + "/lock", "two", acquire=two)
assert client.session.renew(one)["ID"] == one
assert client.session.destroy(two)
index, entry = client.kv.get(prefix + "/lock")
assert entry is None, "the session's behavior is delete: %r" % entry
index, sessions = client.session.list()
assert one in [s["ID"] for s in sessions]
assert client.session.destroy(one)

step("a service with a TTL check is passing once it says so")
service = "py-" + node
assert client.agent.service.register(
    service, port=4000, tags=["t1"], check=consul.Check.ttl("30s")
)
index, passing = client.health.service(service, passing=True)
assert passing == [], passing
assert client.agent.check.ttl_pass("service:" + service)
deadline = time.time() + 5
while time.time() < deadline:
    index, passing = client.health.service(service, passing=True)
    if passing:
        break
    time.sleep(0.05)
assert passing[0]["Service"]["Port"] == 4000 and passing[0]["Node"]["Node"] == node, passing

step("the catalog is read")
index, nodes = client.catalog.nodes()
assert [n["Node"] for n in nodes] == ["s1", "s2", "s3", "w1"], nodes
assert all(n["ID"] for n in nodes), nodes
index, services = client.catalog.services()
assert services[service] == ["t1"], services
index, found = client.catalog.service(service)
assert found[0]["ServicePort"] == 4000 and found[0]["ServiceTags"] == ["t1"], found
index, of_node = client.catalog.node(node)
assert service in of_node["Services"], of_node
assert client.catalog.datacenters() == ["dev"]
assert client.status.leader() and len(client.status.peers()) == 3

step("a service that is gone is gone")
assert client.agent.service.deregister(service)
index, found = client.catalog.service(service)
assert found == [], found
