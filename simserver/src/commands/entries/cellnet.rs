//! Commands of scope `cellnet`.

use super::super::cellnet;
use super::super::table::Command;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("cellnet", "cells", "get system cells info", "cells").hidden().run(cellnet::cells),
    Command::new("cellnet", "conns", "show connectors of a cell", "conns target_cell").hidden().run(cellnet::conns),
    Command::new("cellnet", "list_pools", "list stats pools", "list_pools target").hidden().run(cellnet::list_pools),
    Command::new("cellnet", "msg_stats", "show request stats", "msg_stats target [mode]")
        .hidden()
        .run(cellnet::msg_stats),
    Command::new("cellnet", "peers", "show connected peers of a cell", "peers target_cell")
        .hidden()
        .run(cellnet::peers),
    Command::new("cellnet", "process_info", "show process information", "process_info target")
        .hidden()
        .run(cellnet::process_info),
    Command::new("cellnet", "route", "send message to a cell and show route", "route to_cell [from_cell]")
        .hidden()
        .run(cellnet::route),
    Command::new("cellnet", "show_comm_config", "show communication config", "show_comm_config target")
        .hidden()
        .run(cellnet::show_comm_config),
    Command::new("cellnet", "show_config_vars", "show all defined config var values", "show_config_vars target")
        .hidden()
        .run(cellnet::show_config_vars),
    Command::new("cellnet", "show_pool", "show stats pool detail", "show_pool target pool_name [mode]")
        .hidden()
        .run(cellnet::show_pool),
    Command::new(
        "cellnet",
        "speed",
        "test communication speed between cells",
        "speed from_fqcn to_fqcn [num_tries] [payload_size]",
    )
    .hidden()
    .run(cellnet::speed),
    Command::new("cellnet", "stress", "stress test communication among cells", "stress [num_tries] [timeout]")
        .hidden()
        .run(cellnet::stress),
    Command::new("cellnet", "url_use", "show use of a url", "url_use url").hidden().run(cellnet::url_use),
];
