//! The pod network: one bridge, whose address is node and gateway, and one nftables table.

use std::process::Command;

use anyhow::{Result, ensure};
use step::Failure;

use crate::command;

/// The node's address, the pods' gateway, and where everything listens that pods call.
pub(crate) const NODE: &str = "10.244.0.1";
/// The Service `kubernetes`: the first address of the Services' range.
pub(crate) const API_SERVICE: &str = "10.96.0.1";

const BRIDGE: &str = "kanaria0";
const PODS: &str = "10.244.0.0/24";
const SERVICES: &str = "10.96.0.0/16";
/// Docker sets the policy of this chain to DROP, which would cut pods off from each other.
const FORWARD_RULES: [[&str; 8]; 2] = [forward("-i"), forward("-o")];

const fn forward(direction: &'static str) -> [&'static str; 8] {
    ["FORWARD", direction, BRIDGE, "-j", "ACCEPT", "-m", "comment", "--comment=kanaria"]
}

/// Ports of the node address that answer on 127.0.0.1 too, pods' way out, and no way in from outside.
/// The bridge's `forward` and `input` see no packet of another interface that opens a connection.
const TABLE: &str = "
table ip kanaria
delete table ip kanaria
table ip kanaria {
  chain from-loopback {
    type nat hook output priority -100; policy accept;
    ip daddr 127.0.0.1 tcp dport { 5000, 9000, 9090 } dnat to 10.244.0.1
  }
  chain way-out {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 10.244.0.0/24 ip daddr != 10.244.0.0/24 masquerade
  }
  chain no-way-in {
    type filter hook prerouting priority mangle; policy accept;
    iifname != { lo, kanaria0 } ip daddr { 10.244.0.0/24, 10.96.0.0/16 } ct state new drop
  }
}
";

pub(crate) fn open() -> Result<()> {
    refuse_a_taken_network()?;
    if !command::succeeds("ip", ["link", "show", BRIDGE]) {
        command::run("ip", ["link", "add", BRIDGE, "type", "bridge"])?;
    }
    command::run("ip", ["address", "replace", &format!("{NODE}/24"), "dev", BRIDGE])?;
    command::run("ip", ["link", "set", BRIDGE, "up"])?;
    // Without a route no packet gets as far as kube-proxy's rules, as on a machine that is offline.
    command::run("ip", ["route", "replace", SERVICES, "dev", BRIDGE, "src", NODE])?;
    command::feed(Command::new("nft").args(["-f", "-"]), TABLE)?;
    if command::run("iptables", ["-S", "FORWARD"])
        .is_ok_and(|rules| rules.contains("-P FORWARD DROP"))
    {
        for rule in FORWARD_RULES {
            if !iptables("-C", rule) {
                ensure!(
                    iptables("-I", rule),
                    "failed to let pods through the firewall's chain FORWARD"
                );
            }
        }
    }
    Ok(())
}

/// Removes ours, kube-proxy's tables, and the pods' ends of their cables.
pub(crate) fn close() {
    for rule in FORWARD_RULES {
        while iptables("-D", rule) {}
    }
    command::succeeds("nft", ["delete", "table", "ip", "kanaria"]);
    remove_proxy_tables();
    let ports = command::run("ip", ["-o", "link", "show", "master", BRIDGE]).unwrap_or_default();
    for port in ports.lines().filter_map(interface) {
        command::succeeds("ip", ["link", "delete", port]);
    }
    command::succeeds("ip", ["link", "delete", BRIDGE]);
}

/// kube-proxy writes them anew when it starts.
pub(crate) fn remove_proxy_tables() {
    for family in ["ip", "ip6"] {
        command::succeeds("nft", ["delete", "table", family, "kube-proxy"]);
    }
}

/// What `close` could not remove.
pub(crate) fn leftovers() -> Vec<String> {
    let tables = command::run("nft", ["list", "tables"]).unwrap_or_default();
    let tables =
        tables.lines().filter(|table| table.ends_with("kanaria") || table.ends_with("kube-proxy"));
    let bridge =
        command::succeeds("ip", ["link", "show", BRIDGE]).then(|| format!("interface {BRIDGE}"));
    tables.map(|table| format!("nftables {table}")).chain(bridge).collect()
}

fn iptables(verb: &str, rule: [&str; 8]) -> bool {
    command::succeeds("iptables", ["-w", verb].into_iter().chain(rule))
}

/// `7: veth1a2b@if2: <…` is `veth1a2b`.
fn interface(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)?.trim_end_matches(':').split('@').next()
}

fn refuse_a_taken_network() -> Result<()> {
    let routes = command::run("ip", ["-o", "-4", "route", "show", "root", "10.244.0.0/16"])?;
    match routes.lines().find(|route| !route.contains(BRIDGE)) {
        None => Ok(()),
        Some(route) => Err(Failure {
            what: format!(
                "failed to open the pod network {PODS}: this machine routes it elsewhere: {}",
                route.trim()
            ),
            hint: "another cluster or a VPN has this network: stop it first".into(),
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_named_without_its_peer() {
        assert_eq!(interface("7: veth1a2b@if2: <BROADCAST,UP> mtu 1500"), Some("veth1a2b"));
        assert_eq!(interface("3: kanaria0: <BROADCAST>"), Some("kanaria0"));
    }

    #[test]
    fn the_table_speaks_of_the_same_addresses_as_the_code() {
        assert!(TABLE.contains(&format!("dnat to {NODE}\n")));
        assert!(TABLE.contains(&format!("ip saddr {PODS} ")));
        assert!(TABLE.contains(BRIDGE));
    }
}
