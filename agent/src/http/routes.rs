//! The table of endpoints. Paths are matched after decoding, so `/v1/kv/a%2Fb` and `/v1/kv/a/b`
//! are one; a path that ends in `/` takes everything behind it as its argument.

use futures_util::future::BoxFuture;

use super::api::{Api, BodyError};
use super::caller::Access;
use super::reply::{Outcome, Problem, Reply};
use super::request::Request;
use super::{agent_checks, agent_info, agent_services, catalog, health, kv, metrics, operator};
use super::{register, session, status, swarmer};

/// The largest KV value, as in Consul.
pub(super) const VALUE_LIMIT: usize = 512 * 1024;
/// The largest JSON body: a service with all its checks is far below.
const JSON_LIMIT: usize = 1024 * 1024;
/// The largest snapshot that is read into memory to be restored.
const SNAPSHOT_LIMIT: usize = 1024 * 1024 * 1024;
/// Where clients learn about the limit.
const LIMIT_URL: &str = "https://developer.hashicorp.com/consul/docs/install/performance#kv-store";

/// Whether a worker hands the request to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relay {
    Never,
    Always,
    UnlessStale,
}

type Serve = for<'a> fn(&'a Api, &'a Request) -> BoxFuture<'a, Outcome>;

/// One endpoint.
pub(super) struct Route {
    pub(super) path: &'static str,
    /// Joined by commas, as `Allow` names them.
    pub(super) methods: &'static str,
    pub(super) access: Access,
    pub(super) relay: Relay,
    pub(super) limit: usize,
    pub(super) serve: Serve,
}

const fn route(path: &'static str, methods: &'static str, serve: Serve) -> Route {
    Route {
        path,
        methods,
        access: Access::Api,
        relay: Relay::Never,
        limit: JSON_LIMIT,
        serve,
    }
}

impl Route {
    const fn open(mut self) -> Self {
        self.access = Access::Anyone;
        self
    }

    const fn here(mut self) -> Self {
        self.access = Access::ThisAgent;
        self
    }

    const fn operator(mut self) -> Self {
        self.access = Access::Operator;
        self
    }

    const fn relayed(mut self) -> Self {
        self.relay = Relay::Always;
        self
    }

    const fn relayed_unless_stale(mut self) -> Self {
        self.relay = Relay::UnlessStale;
        self
    }

    const fn up_to(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

macro_rules! to {
    ($($handler:ident)::+) => {
        |api, request| Box::pin($($handler)::+(api, request))
    };
}

static ROUTES: &[Route] = &[
    route("/v1/kv/", "GET,PUT,DELETE", to!(kv::serve))
        .relayed()
        .up_to(VALUE_LIMIT),
    route("/v1/session/create", "PUT", to!(session::create)).relayed(),
    route("/v1/session/destroy/", "PUT", to!(session::destroy)).relayed(),
    route("/v1/session/renew/", "PUT", to!(session::renew)).relayed(),
    route("/v1/session/info/", "GET", to!(session::info)).relayed(),
    route("/v1/session/node/", "GET", to!(session::of_node)).relayed(),
    route("/v1/session/list", "GET", to!(session::list)).relayed(),
    route("/v1/catalog/register", "PUT", to!(register::register)),
    route("/v1/catalog/deregister", "PUT", to!(register::deregister)),
    route("/v1/catalog/datacenters", "GET", to!(catalog::datacenters)),
    route("/v1/catalog/nodes", "GET", to!(catalog::nodes)).relayed_unless_stale(),
    route("/v1/catalog/services", "GET", to!(catalog::services)).relayed_unless_stale(),
    route("/v1/catalog/service/", "GET", to!(catalog::service)).relayed_unless_stale(),
    route("/v1/catalog/connect/", "GET", to!(catalog::nothing)).relayed_unless_stale(),
    route("/v1/catalog/node/", "GET", to!(catalog::node)).relayed_unless_stale(),
    route(
        "/v1/catalog/node-services/",
        "GET",
        to!(catalog::node_services),
    )
    .relayed_unless_stale(),
    route(
        "/v1/catalog/gateway-services/",
        "GET",
        to!(catalog::nothing),
    )
    .relayed_unless_stale(),
    route("/v1/health/node/", "GET", to!(health::node)).relayed_unless_stale(),
    route("/v1/health/checks/", "GET", to!(health::checks)).relayed_unless_stale(),
    route("/v1/health/service/", "GET", to!(health::service)).relayed_unless_stale(),
    route("/v1/health/connect/", "GET", to!(catalog::nothing)).relayed_unless_stale(),
    route("/v1/health/ingress/", "GET", to!(catalog::nothing)).relayed_unless_stale(),
    route("/v1/health/state/", "GET", to!(health::state)).relayed_unless_stale(),
    route("/v1/agent/self", "GET", to!(agent_info::me)),
    route("/v1/agent/version", "GET", to!(agent_info::version)),
    route("/v1/agent/members", "GET", to!(agent_info::members)),
    route("/v1/agent/join/", "PUT", to!(agent_info::join)),
    route("/v1/agent/services", "GET", to!(agent_services::list)),
    route(
        "/v1/agent/service/register",
        "PUT",
        to!(agent_services::register),
    )
    .here(),
    route(
        "/v1/agent/service/deregister/",
        "PUT",
        to!(agent_services::deregister),
    )
    .here(),
    route(
        "/v1/agent/service/maintenance/",
        "PUT",
        to!(agent_services::maintenance),
    )
    .here(),
    route("/v1/agent/service/", "GET", to!(agent_services::one)),
    route(
        "/v1/agent/maintenance",
        "PUT",
        to!(agent_checks::node_maintenance),
    )
    .here(),
    route("/v1/agent/checks", "GET", to!(agent_checks::list)),
    route(
        "/v1/agent/check/register",
        "PUT",
        to!(agent_checks::register),
    )
    .here(),
    route(
        "/v1/agent/check/deregister/",
        "PUT",
        to!(agent_checks::deregister),
    )
    .here(),
    route("/v1/agent/check/pass/", "PUT", to!(agent_checks::pass)).here(),
    route("/v1/agent/check/warn/", "PUT", to!(agent_checks::warn)).here(),
    route("/v1/agent/check/fail/", "PUT", to!(agent_checks::fail)).here(),
    route("/v1/agent/check/update/", "PUT", to!(agent_checks::update)).here(),
    route(
        "/v1/agent/health/service/id/",
        "GET",
        to!(agent_services::health_by_id),
    ),
    route(
        "/v1/agent/health/service/name/",
        "GET",
        to!(agent_services::health_by_name),
    ),
    route("/v1/agent/leave", "PUT", to!(operator::leave)).operator(),
    route(
        "/v1/agent/force-leave/",
        "PUT",
        to!(operator::remove_member),
    )
    .operator(),
    route("/v1/agent/token/", "PUT", to!(acl_off)),
    route("/v1/acl/", "GET,PUT,POST,DELETE", to!(acl_off)),
    route("/v1/query", "GET", to!(no_queries)),
    route("/v1/connect/", "GET,PUT,POST,DELETE", to!(no_connect)),
    route("/v1/agent/connect/", "GET,PUT,POST,DELETE", to!(no_connect)),
    route("/v1/config", "PUT", to!(no_connect)),
    route("/v1/config/", "GET,DELETE", to!(no_connect)),
    route("/v1/status/leader", "GET", to!(status::leader)),
    route("/v1/status/peers", "GET", to!(status::peers)),
    route("/v1/snapshot", "GET,PUT", to!(operator::snapshot))
        .operator()
        .up_to(SNAPSHOT_LIMIT),
    route("/v1/swarmer/status", "GET", to!(swarmer::status)),
    route("/v1/swarmer/ca", "GET", to!(swarmer::ca)).relayed(),
    route("/v1/swarmer/tokens", "GET", to!(operator::tokens)).operator(),
    route(
        "/v1/swarmer/tokens/create",
        "PUT",
        to!(operator::create_token),
    )
    .operator(),
    route(
        "/v1/swarmer/tokens/rotate",
        "PUT",
        to!(operator::rotate_token),
    )
    .operator(),
    route(
        "/v1/swarmer/tokens/revoke/",
        "PUT",
        to!(operator::revoke_token),
    )
    .operator(),
    route(
        "/v1/swarmer/members/remove/",
        "PUT",
        to!(operator::remove_member),
    )
    .operator(),
    route("/v1/swarmer/members/expect/", "PUT", to!(operator::expect)).operator(),
    route("/v1/swarmer/leave", "PUT", to!(operator::leave)).operator(),
    route("/v1/swarmer/log-level", "GET,PUT", to!(operator::log_level)).operator(),
    route("/v1/swarmer/snapshot", "GET,PUT", to!(operator::snapshot))
        .operator()
        .up_to(SNAPSHOT_LIMIT),
    route("/metrics", "GET", to!(metrics::serve)),
    route("/healthz", "GET", to!(metrics::healthz)).open(),
    route("/", "GET", to!(root)).open(),
];

/// The endpoint for a decoded path: the longest that fits.
pub(super) fn find(path: &str) -> Result<&'static Route, Problem> {
    let fits = |route: &&Route| match route.path {
        "/" => path == "/",
        prefix if prefix.ends_with('/') => {
            path.starts_with(prefix) || path == prefix.trim_end_matches('/')
        }
        exact => path == exact,
    };
    let found = ROUTES
        .iter()
        .filter(fits)
        .max_by_key(|route| route.path.len());
    found.ok_or_else(|| {
        Problem::Missing(if path.starts_with("/v1/") {
            "Invalid URL path: not a recognized HTTP API endpoint\n".into()
        } else {
            "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n".into()
        })
    })
}

/// What a client is told whose body was not taken.
pub(super) fn no_body(route: &Route, error: &BodyError) -> Problem {
    match *error {
        BodyError::Broken => Problem::Bad("the request's body broke off or came too late".into()),
        BodyError::TooLarge(length) => {
            let limit = route.limit;
            Problem::TooLarge(format!(
                "Request body({length} bytes) too large, max size: {limit} bytes. See {LIMIT_URL}."
            ))
        }
    }
}

async fn acl_off(_: &Api, _: &Request) -> Outcome {
    Ok(Reply::text(401, "ACL support disabled"))
}

async fn no_queries(_: &Api, request: &Request) -> Outcome {
    let none: [(); 0] = [];
    Ok(Reply::json(request.pretty(), &none))
}

async fn no_connect(_: &Api, _: &Request) -> Outcome {
    let off = "Connect must be enabled in order to use this endpoint";
    Err(Problem::Failed(off.into()))
}

async fn root(api: &Api, _: &Request) -> Outcome {
    let who = api.identity();
    Ok(Reply::text(
        200,
        format!(
            "Swarmer {} on {} ({} of {}.{}). The API is under /v1/.\n",
            who.version, who.name, who.role, who.dc, who.stack
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_wins_and_a_prefix_needs_no_slash() {
        let path = |path| {
            find(path)
                .map(|route| route.path)
                .map_err(|e| e.to_string())
        };
        assert_eq!(path("/v1/kv/a//b").unwrap(), "/v1/kv/");
        assert_eq!(path("/v1/kv").unwrap(), "/v1/kv/");
        assert_eq!(
            path("/v1/agent/service/register").unwrap(),
            "/v1/agent/service/register"
        );
        assert_eq!(path("/v1/agent/service/web").unwrap(), "/v1/agent/service/");
        assert!(path("/v1/kvx").unwrap_err().contains("not a recognized"));
        assert!(path("/x").unwrap_err().contains("ensure the path starts"));
        assert!(path("/v1/session/listx").is_err());
    }

    #[test]
    fn t6_what_operators_do_is_open_to_operators_only() {
        for path in [
            "/v1/snapshot",
            "/v1/swarmer/tokens",
            "/v1/swarmer/tokens/create",
            "/v1/swarmer/tokens/rotate",
            "/v1/swarmer/tokens/revoke/x",
            "/v1/swarmer/members/remove/x",
            "/v1/swarmer/leave",
            "/v1/agent/leave",
            "/v1/swarmer/log-level",
            "/v1/swarmer/snapshot",
            "/v1/agent/force-leave/x",
        ] {
            assert_eq!(find(path).unwrap().access, Access::Operator, "{path}");
        }
    }
}
