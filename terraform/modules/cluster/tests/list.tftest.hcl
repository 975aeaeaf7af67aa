# What a list becomes, and what is told of a wrong one. The tokens are nobody's.

variables {
  server_token = "swarmer-server-0000000000000000000000000000000000000000"
  worker_token = "swarmer-worker-0000000000000000000000000000000000000000"
  cluster = {
    stack         = "shop"
    dc            = "prod"
    admin_network = "10.20.0.0/24"
    servers = [
      { name = "a", ip = "10.20.0.11", role = "server" },
      { name = "B", ip = "10.20.0.12", role = "server", disk = 100 },
      { name = "c", ip = "10.20.0.13", role = "server" },
      { name = "w", ip = "10.20.0.14", role = "worker" },
    ]
  }
}

run "a_right_list" {
  command = plan

  assert {
    condition     = output.expect == 3 && output.domain == "prod.shop"
    error_message = "Three servers vote in prod.shop."
  }
  assert {
    condition     = output.machines.b.disk == 100 && output.machines.b.memory == 1024 && output.machines.c.number == 2 && output.machines.w.number == 0
    error_message = "Defaults stand where nothing is said."
  }
  assert {
    condition     = strcontains(output.user_data["a"], "\n      expect: 3\n") && !strcontains(output.user_data["w"], "expect") && strcontains(output.user_data["w"], "swarmer-worker-")
    error_message = "Each is told its role's part, and has its role's token."
  }
  assert {
    condition     = !strcontains(output.user_data["w"], var.server_token)
    error_message = "A worker is not told the servers' token."
  }
}

run "who_is_found_otherwise_needs_no_address" {
  command = plan
  variables {
    join = ["provider=aws tag_key=swarmer tag_value=shop-prod"]
    cluster = {
      stack         = "shop"
      dc            = "prod"
      admin_network = "10.20.0.0/24"
      servers       = [{ name = "a", role = "server" }]
    }
    settings        = { log = { level = "debug" } }
    server_settings = { registry = { enabled = false } }
  }
  assert {
    condition     = strcontains(output.user_data["a"], "join:\n        - \"provider=aws tag_key=swarmer tag_value=shop-prod\"\n")
    error_message = "It looks where it is told to."
  }
  assert {
    condition     = strcontains(output.user_data["a"], "\"log\":\n        \"level\": \"debug\"") && strcontains(output.user_data["a"], "\"enabled\": false")
    error_message = "What settings say is in the file."
  }
  assert {
    condition     = strcontains(output.network_config["a"], "eth1:\n    dhcp4: true")
    error_message = "Without an address it asks DHCP."
  }
}

run "an_even_number_of_servers" {
  command = plan
  variables {
    cluster = {
      stack         = "shop"
      dc            = "prod"
      admin_network = "10.20.0.0/24"
      servers       = [{ name = "a", ip = "10.20.0.11", role = "server" }, { name = "b", ip = "10.20.0.12", role = "server" }]
    }
  }
  expect_failures = [output.machines]
}

run "two_of_one_name" {
  command = plan
  variables {
    cluster = {
      stack         = "shop"
      dc            = "prod"
      admin_network = "10.20.0.0/24"
      servers       = [{ name = "a", ip = "10.20.0.11", role = "server" }, { name = "A", ip = "10.20.0.12", role = "worker" }]
    }
  }
  expect_failures = [output.machines]
}

run "an_address_outside_the_network" {
  command = plan
  variables {
    cluster = { stack = "shop", dc = "prod", admin_network = "10.20.0.0/24", servers = [{ name = "a", ip = "10.20.1.11", role = "server" }] }
  }
  expect_failures = [output.machines]
}

run "an_unknown_key" {
  command = plan
  variables {
    cluster = { stack = "shop", dc = "prod", admin_network = "10.20.0.0/24", servers = [{ name = "a", ip = "10.20.0.11", role = "server", cpu = 2 }] }
  }
  expect_failures = [output.machines]
}

run "the_other_role_s_token" {
  command = plan
  variables {
    server_token = "swarmer-worker-0000000000000000000000000000000000000000"
  }
  expect_failures = [output.machines]
}

run "workers_without_a_token" {
  command = plan
  variables {
    worker_token = ""
  }
  expect_failures = [output.machines]
}

run "neither_file_nor_cluster" {
  command = plan
  variables {
    cluster = null
  }
  expect_failures = [var.file]
}

run "a_setting_that_is_none" {
  command = plan
  variables {
    settings = { expect = 5 }
  }
  expect_failures = [var.settings]
}

run "more_than_fits" {
  command = plan
  variables {
    user_data_limit = 1024
    settings        = { meta = { for number in range(60) : "key${number}" => sha256("${number}") } }
  }
  expect_failures = [output.machines]
}
